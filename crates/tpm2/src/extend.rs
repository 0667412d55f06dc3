//! Extending a PCR: what it holds then nothing brings back before the machine starts again (part 3, section 22.2).

use crate::algorithm::id_of;
use crate::conversation::Tpm;
use crate::error::TpmError;
use crate::pcr::{Bank, PCRS};
use crate::session::Session;
use crate::wire::Named;
use tpm2_protocol::data::TpmCc;
use zeroize::Zeroizing;

impl Tpm<'_> {
    /// `TPM2_PCR_Extend`: `value = H(value ‖ H(event))` in all of these banks at once. The session proves that it was done.
    ///
    /// # Errors
    /// [`TpmError`]; [`TpmError::NoSuchPcr`] for a PCR beyond 23 or no bank.
    pub fn pcr_extend(
        &self,
        pcr: u8,
        banks: &[Bank],
        event: &[u8],
        session: &mut Session<'_, '_>,
    ) -> Result<(), TpmError> {
        if pcr >= PCRS || banks.is_empty() {
            return Err(TpmError::NoSuchPcr);
        }
        let mut parameters = Zeroizing::new(u32::try_from(banks.len()).unwrap_or(u32::MAX).to_be_bytes().to_vec());
        for bank in banks {
            let id = id_of(bank.hash()).ok_or(TpmError::NoSuchPcr)?;
            parameters.extend(id.value().to_be_bytes());
            parameters.extend(bank.hash().digest(&[event]).as_ref());
        }
        let number = u32::from(pcr);
        let handle = Named { handle: number, name: &number.to_be_bytes() };
        self.done(TpmCc::PcrExtend, &[handle], parameters, session)
    }
}
