//! What TPMs compare in a binding, against what the PCRs hold and what the log of the boot says of them.
//!
//! A binding by `cotter-tpm2` has the values that it accepts; one by `tpm2` has a digest of them alone, and the values beside it if it was
//! made here. With the digest it can still be said whether it fits, and often which single PCR must have been another.

mod counter;
mod digests;
mod explain;
mod part;
mod predict;
mod trace;
mod under;

pub use counter::{count, raise};
pub use digests::{PcrDigests, digests_to_json, from_hex, read_digests, to_hex};
pub use explain::{Because, Explanation, MovedPcr, State, explain};
pub use part::{Form, Part, parts};
pub use predict::{Predicted, predict, replayed};
pub use trace::{BOOT_LOG, record};
pub use under::Hindrance;
pub(crate) use under::{Parent, Under};

use crate::error::PinError;
use crate::pin::Ports;
use crate::pins::tpm2;
use ::tpm2::{PcrSelection, Tpm, TpmError};

/// What the PCRs of this selection hold now.
///
/// # Errors
/// [`PinError::NoTpm`], [`PinError::Tpm`], [`PinError::Cancelled`].
pub fn held(selection: &PcrSelection, ports: &Ports<'_>) -> Result<PcrDigests, PinError> {
    let values = ask(ports, |tpm| tpm.pcr_read(selection, None))?;
    Ok(values.iter().map(|(pcr, value)| (pcr, value.to_vec())).collect())
}

/// What keeps a part from opening, whatever the PCRs hold. No secret is unsealed, and no try of a PIN is used up.
///
/// # Errors
/// As [`held`].
pub fn hindrance(part: &Part, ports: &Ports<'_>) -> Result<Option<Hindrance>, PinError> {
    let Some(under) = &part.under else { return Ok(None) };
    ask(ports, |tpm| under.load(tpm, part.pin, part.signed))
}

/// Asks the TPM of these ports something that needs no key.
///
/// # Errors
/// As [`held`].
pub fn ask<T>(ports: &Ports<'_>, question: impl FnOnce(&Tpm<'_>) -> Result<T, TpmError>) -> Result<T, PinError> {
    let cancelled = || ports.cancel.is_cancelled();
    question(&tpm2::begin(ports, &cancelled)?).map_err(tpm2::failed)
}
