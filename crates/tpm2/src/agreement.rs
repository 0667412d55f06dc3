//! A key that agrees on a secret and never leaves the TPM (part 3, section 14.5).

use crate::conversation::Tpm;
use crate::error::TpmError;
use crate::object::Object;
use crate::session::Session;
use crate::wire::{AnswerHandles, Reader, Request, name, push_sized};
use crypto::Secret;
use tpm2_protocol::data::{TpmCc, TpmaSession};
use zeroize::Zeroizing;

/// Bytes of a coordinate of P-256.
const COORDINATE: usize = 32;

impl Tpm<'_> {
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
