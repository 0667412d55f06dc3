//! Sessions salted with the parent key (part 1, section 19.6): who does not have that key reads nothing of what goes over the line, and
//! changes nothing of it unseen.
//!
//! Whoever sits on the line when the parent is made can put a key of his own in its place. Its name tells; the pin that has no place for a
//! name trusts the first use.

use crate::algorithm::id_of;
use crate::authorisation::{Authorisation, SessionKeys};
use crate::conversation::Tpm;
use crate::error::TpmError;
use crate::handle::Handle;
use crate::kdf::kdfe;
use crate::object::Object;
use crate::public::{Public, SaltingKey};
use crate::template::aes_128_cfb;
use crate::wire::{Answer, AnswerHandles, Named, Reader, Request, bytes_of, parameters_of};
use crypto::ec::{Curve, EcError, Point, Scalar};
use crypto::{Hash, Random, Secret, oaep};
use tpm2_protocol::basic::TpmHandle;
use tpm2_protocol::data::{
    Tpm2bEccParameter, Tpm2bEncryptedSecret, Tpm2bNonce, TpmCc, TpmSe, TpmaSession, TpmsEccPoint,
};
use tpm2_protocol::frame::TpmStartAuthSessionCommand;

/// `TPM_RH_NULL`: a session that is bound to nothing.
const BOUND_TO_NOTHING: u32 = 0x4000_0007;
const START: &str = "TPM2_StartAuthSession";
const LABEL: &[u8] = b"SECRET\0";

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To use an object by its authorisation value, which is empty.
    Authorise,
    /// To use an object by its policy.
    Policy,
}

/// A session with the TPM; flushed when dropped.
pub struct Session<'t, 'a> {
    pub(crate) tpm: &'t Tpm<'a>,
    keys: SessionKeys,
    /// Its handle, which is its name too.
    name: [u8; 4],
    handle: Handle<'t, 'a>,
}

impl<'a> Tpm<'a> {
    /// A session salted with the key of `parent`, whose digests and HMACs are made by `hash`.
    ///
    /// # Errors
    /// [`TpmError`].
    pub fn start_session<'t>(
        &'t self,
        parent: &Object<'_, '_>,
        purpose: Purpose,
        hash: Hash,
    ) -> Result<Session<'t, 'a>, TpmError> {
        let (salt, encrypted) = salt(parent.public(), self.random())?;
        let nonce = SessionKeys::nonce(hash, self.random())?;
        let unsayable = |_| TpmError::Unsayable { what: "a nonce or a salt of too many bytes" };
        let command = TpmStartAuthSessionCommand {
            handles: [TpmHandle::new(parent.handle()), TpmHandle::new(BOUND_TO_NOTHING)],
            nonce_caller: Tpm2bNonce::try_from(nonce.as_slice()).map_err(unsayable)?,
            encrypted_salt: Tpm2bEncryptedSecret::try_from(encrypted.as_slice()).map_err(unsayable)?,
            session_type: match purpose {
                Purpose::Authorise => TpmSe::Hmac,
                Purpose::Policy => TpmSe::Policy,
            },
            symmetric: aes_128_cfb(),
            auth_hash: id_of(hash).ok_or(TpmError::Unsayable { what: "a hash that TPMs do not have" })?,
        };
        let [key, bound] = [parent.handle(), BOUND_TO_NOTHING].map(|handle| Named { handle, name: &[] });
        let request = Request {
            code: TpmCc::StartAuthSession,
            handles: &[key, bound],
            parameters: parameters_of(&command)?,
            answers_with: AnswerHandles::One,
        };
        let answer = self.run(request, Authorisation::None)?;
        let value = answer.handle.unwrap_or_default();
        let handle = Handle::new(self, value);
        let mut reader = Reader::new(&answer.parameters, START);
        let nonce_tpm = reader.sized()?.to_vec();
        reader.end()?;
        if nonce_tpm.len() != hash.len() {
            return Err(reader.malformed("its nonce has another length"));
        }
        let keys = SessionKeys::new(value, hash, &salt, nonce, nonce_tpm);
        Ok(Session { tpm: self, keys, name: value.to_be_bytes(), handle })
    }
}

impl Session<'_, '_> {
    /// One command in this session, which goes on.
    pub(crate) fn run(&mut self, request: Request<'_>, attributes: TpmaSession) -> Result<Answer, TpmError> {
        let attributes = attributes | TpmaSession::CONTINUE_SESSION;
        self.tpm.run(request, Authorisation::Session(&mut self.keys, attributes))
    }

    /// The last command in this session, which the TPM ends by itself if the command succeeds.
    pub(crate) fn run_last(mut self, request: Request<'_>, attributes: TpmaSession) -> Result<Answer, TpmError> {
        let answer = self.tpm.run(request, Authorisation::Session(&mut self.keys, attributes))?;
        self.handle.is_gone();
        Ok(answer)
    }

    /// As [`Session::run_last`], for an object with an authorisation value.
    pub(crate) fn run_last_with(
        mut self,
        request: Request<'_>,
        attributes: TpmaSession,
        value: &Secret,
    ) -> Result<Answer, TpmError> {
        self.keys.know(value);
        self.run_last(request, attributes)
    }

    /// The hash of its digests and HMACs.
    pub fn hash(&self) -> Hash {
        self.keys.hash()
    }

    pub(crate) fn named(&self) -> Named<'_> {
        Named { handle: self.keys.handle(), name: &self.name }
    }
}

/// A salt, and the same for the holder of the parent key alone. It is as long as a digest of that key's name.
fn salt(parent: &Public, random: &dyn Random) -> Result<(Secret, Vec<u8>), TpmError> {
    match parent.salting_key() {
        Some(SaltingKey::P256 { x, y }) => salt_by_agreement(parent, x, y, random),
        Some(SaltingKey::Rsa { modulus, exponent }) => {
            let salt = Secret::try_filled_by(parent.digest_len().into(), |bytes| random.fill(bytes))?;
            let encrypted = oaep::encrypt(modulus, exponent, parent.hash(), LABEL, &salt);
            Ok((salt, encrypted.map_err(|_| NO_KEY)?))
        }
        None => Err(NO_KEY),
    }
}

const NO_KEY: TpmError = TpmError::Malformed { command: "TPM2_CreatePrimary", what: "its key does not serve" };

/// `KDFe(nameAlg, x of (e · Q), "SECRET", x of (e · G), x of Q, bits of nameAlg)` (part 1, annex C.6.1); e is used once.
fn salt_by_agreement(parent: &Public, x: &[u8], y: &[u8], random: &dyn Random) -> Result<(Secret, Vec<u8>), TpmError> {
    let (x, y) = (padded(x).ok_or(NO_KEY)?, padded(y).ok_or(NO_KEY)?);
    let theirs = Point::from_coordinates(Curve::P256, &x, &y).map_err(|_| NO_KEY)?;
    let once = Scalar::random(Curve::P256, random).map_err(|error| match error {
        EcError::Random(source) => TpmError::Random(source),
        _ => NO_KEY,
    })?;
    let ours = Point::base_times(&once).map_err(|_| NO_KEY)?;
    let shared = theirs.multiply(&once).map_err(|_| NO_KEY)?;
    let salt = kdfe(parent.hash(), shared.x(), LABEL, ours.x(), &x, parent.digest_len());
    let coordinate = |bytes| Tpm2bEccParameter::try_from(bytes).map_err(|_| NO_KEY);
    let encrypted = bytes_of(&TpmsEccPoint { x: coordinate(ours.x())?, y: coordinate(ours.y())? })?;
    Ok((salt, encrypted))
}

/// A coordinate of P-256 with the zeros that some TPMs leave out.
fn padded(coordinate: &[u8]) -> Option<[u8; 32]> {
    let mut padded = [0; 32];
    let start = padded.len().checked_sub(coordinate.len())?;
    padded.get_mut(start..)?.iter_mut().zip(coordinate).for_each(|(to, from)| *to = *from);
    Some(padded)
}

impl std::fmt::Debug for Session<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.keys.fmt(f)
    }
}
