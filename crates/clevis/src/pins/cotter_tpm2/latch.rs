//! The latch: a PCR that a binding wants to be zero, and that is extended once all disks are open.

use crate::error::PinError;
use crate::pin::Ports;
use crate::pins::tpm2::{begin, failed};
use ::tpm2::{Bank, ParentKey, ParentTemplate, Protection, Purpose, Tpm, TpmError};
use crypto::Hash;

/// The PCR of a latch that names none: no firmware measures into it, and systemd does only when volumes are open already.
pub const LATCH_PCR: u8 = 15;

/// What is measured: each bank is extended with its own hash of this text.
pub const LATCH_EVENT: &str = "cotter: latch";

/// Extends `pcr` in every bank that the TPM has: no binding with this latch opens before the machine starts again. Doing it once more changes
/// nothing of that.
///
/// # Errors
/// [`PinError::NoTpm`], [`PinError::Tpm`], [`PinError::Cancelled`].
pub fn shut_latch(pcr: u8, ports: &Ports<'_>) -> Result<Vec<Bank>, PinError> {
    let cancelled = || ports.cancel.is_cancelled();
    extend(pcr, &begin(ports, &cancelled)?).map_err(failed)
}

/// In a session, so that it is known to have been done.
fn extend(pcr: u8, tpm: &Tpm<'_>) -> Result<Vec<Bank>, TpmError> {
    let banks = tpm.banks()?;
    let template = ParentTemplate { key: ParentKey::Ecc, hash: Hash::Sha256, protection: Protection::Uncounted };
    let parent = tpm.create_primary(template)?;
    let mut session = tpm.start_session(&parent, Purpose::Authorise, Hash::Sha256)?;
    tpm.pcr_extend(pcr, &banks, LATCH_EVENT.as_bytes(), &mut session)?;
    Ok(banks)
}
