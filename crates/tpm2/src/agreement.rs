//! A key that agrees on a secret and never leaves the TPM (part 3, section 14.5).

use crate::conversation::Tpm;
use crate::error::TpmError;
use crate::object::Object;
use crate::seal::Sealed;
use crate::session::Session;
use crate::template::agreement_key;
use crate::wire::{AnswerHandles, Reader, Request, name, push_sized};
use crypto::Secret;
use tpm2_protocol::data::{TpmCc, TpmaSession};
use zeroize::Zeroizing;

/// Bytes of a coordinate of P-256.
const COORDINATE: usize = 32;

impl<'a> Tpm<'a> {
    /// `TPM2_Create`: a new key under `parent`.
    ///
    /// # Errors
    /// [`TpmError`].
    pub fn create_agreement_key(&self, parent: &Object<'_, '_>, session: Session<'_, '_>) -> Result<Sealed, TpmError> {
        // TPM2B_SENSITIVE_CREATE: no authorisation value, no data.
        self.create_object(parent, &agreement_key(), Zeroizing::new(vec![0, 4, 0, 0, 0, 0]), session)
    }

    /// `TPM2_Load` of such a key. The session goes on.
    ///
    /// # Errors
    /// [`TpmError`]; the meaning [`NotOurs`](crate::Meaning::NotOurs) if another TPM or another parent made it.
    pub fn load_agreement_key<'t>(
        &'t self,
        parent: &Object<'_, '_>,
        key: &Sealed,
        session: &mut Session<'_, '_>,
    ) -> Result<Object<'t, 'a>, TpmError> {
        let public = key.public_area_of_any()?;
        self.load_object(parent, public, key, |request| session.run(request, TpmaSession::empty()))
    }

    /// `TPM2_ECDH_ZGen`: the first coordinate of `d · (x, y)`, where `d` is the private half of `key` on P-256. It comes back encrypted.
    ///
    /// # Errors
    /// [`TpmError`].
    pub fn ecdh_zgen(
        &self,
        key: &Object<'_, '_>,
        (x, y): (&[u8], &[u8]),
        session: Session<'_, '_>,
    ) -> Result<Secret, TpmError> {
        let code = TpmCc::EcdhZGen;
        let mut point = Vec::new();
        push_sized(&mut point, x)?;
        push_sized(&mut point, y)?;
        let mut parameters = Zeroizing::new(Vec::new());
        push_sized(&mut parameters, &point)?;
        let handles = [key.named()];
        let request = Request { code, handles: &handles, parameters, answers_with: AnswerHandles::None };
        let answer = session.run_last(request, TpmaSession::ENCRYPT)?;
        let mut reader = Reader::new(&answer.parameters, name(code));
        let point = reader.sized()?;
        reader.end()?;
        let mut coordinates = Reader::new(point, name(code));
        let x = coordinates.sized()?;
        coordinates.sized()?;
        coordinates.end()?;
        let zeros = COORDINATE.checked_sub(x.len()).ok_or_else(|| reader.malformed("a coordinate is too long"))?;
        Ok(Secret::filled_by(COORDINATE, |bytes| {
            bytes.iter_mut().skip(zeros).zip(x).for_each(|(to, from)| *to = *from)
        }))
    }
}
