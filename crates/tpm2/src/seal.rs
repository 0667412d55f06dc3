//! Sealing: a secret goes into the TPM, and comes out as two halves that only this TPM puts together again.

use crate::authorisation::without_zeros;
use crate::conversation::Tpm;
use crate::error::TpmError;
use crate::object::{Object, push_no_creation_data, push_public, read_public_area, skip_creation_data};
use crate::public::Public;
use crate::session::Session;
use crate::template::SealedTemplate;
use crate::wire::{Answer, AnswerHandles, Reader, Request, push_sized};
use crypto::Secret;
use tpm2_protocol::data::{TpmCc, TpmaSession, TpmtPublic};
use zeroize::Zeroizing;

/// Longest text that a TPM seals, in bytes.
const LONGEST_SEALED: usize = 128;
const CREATE: &str = "TPM2_Create";
const LOAD: &str = "TPM2_Load";
const UNSEAL: &str = "TPM2_Unseal";

/// Sealed data, or a key, outside of the TPM: only the TPM that made it reads it, and only under the same parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// `TPM2B_PUBLIC`, with its length before it.
    pub public: Vec<u8>,
    /// `TPM2B_PRIVATE`, with its length before it.
    pub private: Vec<u8>,
}

impl Sealed {
    /// What the public half says.
    ///
    /// # Errors
    /// [`TpmError::Unsayable`] if it is not the public area of sealed data.
    pub fn public_area(&self) -> Result<Public, TpmError> {
        let public = self.public_area_of_any()?;
        let key = TpmError::Unsayable { what: "an object that is not sealed data" };
        if public.is_sealed_data() { Ok(public) } else { Err(key) }
    }

    /// The same of a key.
    pub(crate) fn public_area_of_any(&self) -> Result<Public, TpmError> {
        Public::parse(content(&self.public)?)
    }
}

/// The content of one `TPM2B` and nothing behind it.
fn content(sized: &[u8]) -> Result<&[u8], TpmError> {
    let mut reader = Reader::new(sized, "");
    let content = reader.sized().and_then(|content| reader.end().map(|()| content));
    content.map_err(|_| TpmError::Unsayable { what: "half of a sealed object has another length than it says" })
}

impl<'a> Tpm<'a> {
    /// `TPM2_Create`: seals `secret` under `parent`. The secret goes out encrypted.
    ///
    /// # Errors
    /// [`TpmError`]; [`TpmError::Unsayable`] for a secret of more than 128 bytes.
    pub fn create(
        &self,
        parent: &Object<'_, '_>,
        template: &SealedTemplate,
        secret: &Secret,
        session: Session<'_, '_>,
    ) -> Result<Sealed, TpmError> {
        self.create_with_value(parent, template, secret, &Secret::new(Vec::new()), session)
    }

    /// As [`Tpm::create`], with an authorisation value: a PIN, or better what a key derivation makes of one. It goes out encrypted too. It is
    /// asked for if the policy has [`Step::AuthValue`](crate::policy::Step::AuthValue), or if there is no policy.
    ///
    /// # Errors
    /// As [`Tpm::create`]; [`TpmError::Unsayable`] for a value that is longer than a digest of the template's hash.
    pub fn create_with_value(
        &self,
        parent: &Object<'_, '_>,
        template: &SealedTemplate,
        secret: &Secret,
        value: &Secret,
        session: Session<'_, '_>,
    ) -> Result<Sealed, TpmError> {
        if value.len() > template.hash.len() {
            return Err(TpmError::Unsayable { what: "an authorisation value that is longer than a digest" });
        }
        if secret.len() > LONGEST_SEALED {
            return Err(TpmError::Unsayable { what: "a secret of more than 128 bytes" });
        }
        self.create_object(parent, &template.area()?, sensitive(value, secret)?, session)
    }

    /// `TPM2_Create`; `parameters` begin with what is secret.
    pub(crate) fn create_object(
        &self,
        parent: &Object<'_, '_>,
        area: &TpmtPublic,
        mut parameters: Zeroizing<Vec<u8>>,
        session: Session<'_, '_>,
    ) -> Result<Sealed, TpmError> {
        push_public(&mut parameters, area)?;
        push_no_creation_data(&mut parameters)?;
        let handles = [parent.named()];
        let request = Request { code: TpmCc::Create, handles: &handles, parameters, answers_with: AnswerHandles::None };
        let answer = session.run_last(request, TpmaSession::DECRYPT)?;
        let mut reader = Reader::new(&answer.parameters, CREATE);
        let private = reader.sized()?;
        let public = read_public_area(&mut reader)?;
        skip_creation_data(&mut reader)?;
        reader.end()?;
        // The HMAC has proved that this comes from the holder of the parent key.
        let sized = |content| {
            let mut bytes = Vec::new();
            push_sized(&mut bytes, content).map(|()| bytes)
        };
        Ok(Sealed { public: sized(public.as_bytes())?, private: sized(private)? })
    }

    /// `TPM2_Load`: puts sealed data under its parent again. The session goes on.
    ///
    /// # Errors
    /// [`TpmError`]; the meaning [`NotOurs`](crate::Meaning::NotOurs) if another TPM or another parent sealed it.
    pub fn load<'t>(
        &'t self,
        parent: &Object<'_, '_>,
        sealed: &Sealed,
        session: &mut Session<'_, '_>,
    ) -> Result<Object<'t, 'a>, TpmError> {
        self.load_object(parent, sealed.public_area()?, sealed, |request| session.run(request, TpmaSession::empty()))
    }

    /// As [`Tpm::load`]; the session ends with it, which takes no command more.
    ///
    /// # Errors
    /// As [`Tpm::load`].
    pub fn load_last<'t>(
        &'t self,
        parent: &Object<'_, '_>,
        sealed: &Sealed,
        session: Session<'_, '_>,
    ) -> Result<Object<'t, 'a>, TpmError> {
        self.load_object(parent, sealed.public_area()?, sealed, |request| {
            session.run_last(request, TpmaSession::empty())
        })
    }

    pub(crate) fn load_object<'t>(
        &'t self,
        parent: &Object<'_, '_>,
        public: Public,
        sealed: &Sealed,
        run: impl FnOnce(Request<'_>) -> Result<Answer, TpmError>,
    ) -> Result<Object<'t, 'a>, TpmError> {
        let private = content(&sealed.private)?;
        let mut parameters = Zeroizing::new(Vec::new());
        push_sized(&mut parameters, private)?;
        push_sized(&mut parameters, public.as_bytes())?;
        let handles = [parent.named()];
        let request = Request { code: TpmCc::Load, handles: &handles, parameters, answers_with: AnswerHandles::One };
        let answer = run(request)?;
        let (value, handle) = self.made(&answer);
        let mut reader = Reader::new(&answer.parameters, LOAD);
        let name = reader.sized()?.to_vec();
        reader.end()?;
        if name != public.name() {
            return Err(TpmError::WrongName { command: LOAD });
        }
        Ok(Object::new(public, name, value, handle))
    }

    /// `TPM2_Unseal`: the secret again. It comes back encrypted, and is believed only after the answer's HMAC was.
    ///
    /// # Errors
    /// [`TpmError`]; the meaning [`PolicyFailed`](crate::Meaning::PolicyFailed) if the PCRs moved.
    pub fn unseal(&self, object: &Object<'_, '_>, session: Session<'_, '_>) -> Result<Secret, TpmError> {
        self.unseal_with_value(object, &Secret::new(Vec::new()), session)
    }

    /// As [`Tpm::unseal`], of an object with an authorisation value. The value is in the keys of the HMAC and of the encryption, and nowhere
    /// on the line.
    ///
    /// # Errors
    /// As [`Tpm::unseal`]; the meaning [`WrongValue`](crate::Meaning::WrongValue) if the value is another one, which the TPM counts if the
    /// object is [`Protection::Counted`](crate::Protection::Counted).
    pub fn unseal_with_value(
        &self,
        object: &Object<'_, '_>,
        value: &Secret,
        session: Session<'_, '_>,
    ) -> Result<Secret, TpmError> {
        let handles = [object.named()];
        let parameters = Zeroizing::new(Vec::new());
        let request = Request { code: TpmCc::Unseal, handles: &handles, parameters, answers_with: AnswerHandles::None };
        let answer = session.run_last_with(request, TpmaSession::ENCRYPT, value)?;
        let mut reader = Reader::new(&answer.parameters, UNSEAL);
        let secret = reader.sized()?;
        reader.end()?;
        Ok(Secret::copied_from(secret))
    }
}

/// `TPM2B_SENSITIVE_CREATE`: the authorisation value, and the secret. Room for the parameters behind it, so that nothing is copied when they
/// come.
fn sensitive(value: &Secret, secret: &Secret) -> Result<Zeroizing<Vec<u8>>, TpmError> {
    let too_long = |_| TpmError::Unsayable { what: "a secret that is too long" };
    let value = without_zeros(value.expose());
    let len = value.len() + secret.len();
    let mut parameters = Zeroizing::new(Vec::with_capacity(len + 512));
    parameters.extend(u16::try_from(len + 4).map_err(too_long)?.to_be_bytes());
    push_sized(&mut parameters, value)?;
    push_sized(&mut parameters, secret.expose())?;
    Ok(parameters)
}
