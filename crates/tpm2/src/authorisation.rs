//! The authorisation of a command, and of its answer (part 1, sections 18 and 19): what a session computes, as values.

use crate::error::TpmError;
use crate::kdf::kdfa;
use crate::wire::{Answer, Reader, Request, name, push_sized};
use crypto::{Digest, Hash, Random, Secret, cfb, hmac};
use std::fmt;
use tpm2_protocol::data::TpmaSession;

/// `TPM_RS_PW`: the session that is a password in clear.
const PASSWORD_SESSION: u32 = 0x4000_0009;
/// Bits of a key and a vector of AES-128 in CFB, as bytes.
const CFB_LEN: u16 = 32;

/// How a command is authorised.
pub(crate) enum Authorisation<'a> {
    /// Not at all.
    None,
    /// By the empty password. For what needs no secret and comes before there is a key to salt a session with.
    EmptyPassword,
    /// By a session; the attributes say what it encrypts, and whether it goes on.
    Session(&'a mut SessionKeys, TpmaSession),
}

/// What both sides of a session know.
pub(crate) struct SessionKeys {
    handle: u32,
    hash: Hash,
    key: Secret,
    /// The authorisation value of the object that is used; empty for all but sealed data with a PIN.
    value: Secret,
    nonce_caller: Vec<u8>,
    nonce_tpm: Vec<u8>,
}

impl SessionKeys {
    /// `sessionKey = KDFa(authHash, salt, "ATH", nonceTPM, nonceCaller, bits of authHash)`: no session here is bound to an object.
    pub(crate) fn new(
        handle: u32,
        hash: Hash,
        salt: &Secret,
        nonce_caller: Vec<u8>,
        nonce_tpm: Vec<u8>,
    ) -> SessionKeys {
        let len = crate::algorithm::digest_len(hash);
        let key = kdfa(hash, salt, b"ATH\0", &nonce_tpm, &nonce_caller, len);
        SessionKeys { handle, hash, key, value: Secret::new(Vec::new()), nonce_caller, nonce_tpm }
    }

    /// From here on an object with this authorisation value is used. A TPM leaves out the zeros at the end of one (part 1, section 17.6.4.2).
    pub(crate) fn know(&mut self, value: &Secret) {
        self.value = Secret::copied_from(without_zeros(value.expose()));
    }

    /// `sessionKey ‖ authValue`: the key of the HMAC, and what parameters are encrypted by (part 1, sections 19.6.5 and 21.2). A TPM takes it
    /// for an HMAC in a policy session only after `PolicyAuthValue`, so nothing that has a value is used without that step.
    fn with_value(&self) -> Secret {
        let (key, value) = (self.key.expose(), self.value.expose());
        Secret::filled_by(key.len() + value.len(), |bytes| {
            bytes.iter_mut().zip(key.iter().chain(value)).for_each(|(to, from)| *to = *from);
        })
    }

    pub(crate) fn hash(&self) -> Hash {
        self.hash
    }

    /// A new nonce of the caller's, as long as a digest of the session.
    pub(crate) fn nonce(hash: Hash, random: &dyn Random) -> Result<Vec<u8>, TpmError> {
        let mut nonce = vec![0; hash.len()];
        random.fill(&mut nonce)?;
        Ok(nonce)
    }

    pub(crate) fn handle(&self) -> u32 {
        self.handle
    }

    /// Encrypts the first parameter if the attributes say so, and authenticates the command:
    /// `HMAC(sessionKey ‖ authValue, H(code ‖ names ‖ parameters) ‖ nonceCaller ‖ nonceTPM ‖ attributes)`.
    fn authorise(
        &mut self,
        request: &mut Request<'_>,
        attributes: TpmaSession,
        random: &dyn Random,
    ) -> Result<Vec<u8>, TpmError> {
        self.nonce_caller = SessionKeys::nonce(self.hash, random)?;
        if attributes.contains(TpmaSession::DECRYPT) {
            let key = kdfa(self.hash, &self.with_value(), b"CFB\0", &self.nonce_caller, &self.nonce_tpm, CFB_LEN);
            let hidden = first_parameter(&mut request.parameters).map(|text| cfb::encrypt(&key, text));
            hidden.and_then(Result::ok).ok_or(TpmError::Unsayable { what: "a command without a text to encrypt" })?;
        }
        let code = request.code.value().to_be_bytes();
        let names: Vec<u8> = request.handles.iter().flat_map(|named| named.name).copied().collect();
        let command = self.hash.digest(&[&code, &names, &request.parameters]);
        let mac = self.mac(command.as_ref(), &self.nonce_caller, &self.nonce_tpm, attributes.bits());
        area(self.handle, &self.nonce_caller, attributes, mac.as_ref())
    }

    /// Checks the answer, `HMAC(sessionKey ‖ authValue, H(0 ‖ code ‖ parameters) ‖ nonceTPM ‖ nonceCaller ‖ attributes)` with the TPM's new nonce, and
    /// only then decrypts its first parameter if the command asked for that.
    fn check(&mut self, request: &Request<'_>, answer: &mut Answer, attributes: TpmaSession) -> Result<(), TpmError> {
        let command = name(request.code);
        let said = AnswerArea::read(&answer.authorisation, command)?;
        let code = request.code.value().to_be_bytes();
        let digest = self.hash.digest(&[&[0; 4], &code, &answer.parameters]);
        let mac = self.mac(digest.as_ref(), said.nonce, &self.nonce_caller, said.attributes);
        if !Secret::copied_from(mac.as_ref()).ct_eq(said.hmac) {
            return Err(TpmError::Forged { command });
        }
        self.nonce_tpm = said.nonce.to_vec();
        if attributes.contains(TpmaSession::ENCRYPT) {
            let key = kdfa(self.hash, &self.with_value(), b"CFB\0", &self.nonce_tpm, &self.nonce_caller, CFB_LEN);
            let shown = first_parameter(&mut answer.parameters).map(|text| cfb::decrypt(&key, text));
            let malformed = TpmError::Malformed { command, what: "its text is cut" };
            shown.and_then(Result::ok).ok_or(malformed)?;
        }
        Ok(())
    }

    fn mac(&self, digest: &[u8], newer: &[u8], older: &[u8], attributes: u8) -> Digest {
        hmac(self.hash, self.with_value().expose(), &[digest, newer, older, &[attributes]])
    }
}

impl Authorisation<'_> {
    /// What goes before the parameters of the command; nothing if it is not authorised.
    pub(crate) fn area(&mut self, request: &mut Request<'_>, random: &dyn Random) -> Result<Vec<u8>, TpmError> {
        match self {
            Authorisation::None => Ok(Vec::new()),
            Authorisation::EmptyPassword => area(PASSWORD_SESSION, &[], TpmaSession::CONTINUE_SESSION, &[]),
            Authorisation::Session(keys, attributes) => keys.authorise(request, *attributes, random),
        }
    }

    /// Checks what came behind the parameters of the answer.
    pub(crate) fn check(&mut self, request: &Request<'_>, answer: &mut Answer) -> Result<(), TpmError> {
        match self {
            Authorisation::None => Ok(()),
            Authorisation::EmptyPassword => AnswerArea::read(&answer.authorisation, name(request.code)).map(|_| ()),
            Authorisation::Session(keys, attributes) => keys.check(request, answer, *attributes),
        }
    }

    /// Whether there is one.
    pub(crate) fn is_some(&self) -> bool {
        !matches!(self, Authorisation::None)
    }
}

/// An authorisation value as a TPM keeps it.
pub(crate) fn without_zeros(value: &[u8]) -> &[u8] {
    let end = value.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    value.split_at_checked(end).map_or(value, |(value, _)| value)
}

/// `TPMS_AUTH_COMMAND`.
fn area(handle: u32, nonce: &[u8], attributes: TpmaSession, hmac: &[u8]) -> Result<Vec<u8>, TpmError> {
    let mut area = handle.to_be_bytes().to_vec();
    push_sized(&mut area, nonce)?;
    area.push(attributes.bits());
    push_sized(&mut area, hmac)?;
    Ok(area)
}

/// `TPMS_AUTH_RESPONSE`.
struct AnswerArea<'a> {
    nonce: &'a [u8],
    attributes: u8,
    hmac: &'a [u8],
}

impl<'a> AnswerArea<'a> {
    fn read(bytes: &'a [u8], command: &'static str) -> Result<AnswerArea<'a>, TpmError> {
        let mut reader = Reader::new(bytes, command);
        let said = AnswerArea { nonce: reader.sized()?, attributes: reader.u8()?, hmac: reader.sized()? };
        reader.end()?;
        Ok(said)
    }
}

/// The content of the `TPM2B` that parameters begin with: the part that a session encrypts.
fn first_parameter(parameters: &mut [u8]) -> Option<&mut [u8]> {
    let (len, rest) = parameters.split_first_chunk_mut::<2>()?;
    rest.get_mut(..u16::from_be_bytes(*len).into())
}

impl fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionKeys(0x{:08x}, {:?})", self.handle, self.hash)
    }
}
