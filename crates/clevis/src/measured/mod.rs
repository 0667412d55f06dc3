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

pub use counter::{count, raise, take_back};
pub use digests::{PcrDigests, digests_to_json, from_hex, read_digests, to_hex};
pub use explain::{Because, Explanation, MovedPcr, State, explain};
pub use part::{Form, Part, parts};
pub use predict::{Predicted, predict, replayed};
pub use trace::{BOOT_LOG, record};
pub use under::{Hindrance, Standing};
pub(crate) use under::{Parent, Under};

use crate::error::PinError;
use crate::pin::Ports;
use crate::pins::tpm2;
use ::tpm2::{NvIndex, ParentKey, ParentTemplate, PcrSelection, Protection, Purpose, Session, Tpm, TpmError};
use crypto::Hash;

/// What the PCRs of this selection hold now. Where the ports name the parent key of a binding, it is the TPM with that key that says so, and
/// nobody in between.
///
/// # Errors
/// [`PinError::NoTpm`], [`PinError::Tpm`], [`PinError::Cancelled`].
pub fn held(selection: &PcrSelection, ports: &Ports<'_>) -> Result<PcrDigests, PinError> {
    let values = ask(ports, |tpm| match ports.parents.first() {
        None => tpm.pcr_read(selection, None),
        Some(known) => in_session(tpm, known.key, ports, |session| tpm.pcr_read(selection, Some(session))),
    })?;
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

/// What has become of the counter of a part; `None` if it has none.
///
/// # Errors
/// As [`held`].
pub fn standing(part: &Part, ports: &Ports<'_>) -> Result<Option<(NvIndex, Standing)>, PinError> {
    let Some((under, index)) = part.under.as_ref().zip(part.counter_index()) else { return Ok(None) };
    ask(ports, |tpm| under.standing(tpm)).map(|standing| Some((index, standing)))
}

/// Asks in a session that only the TPM with the parent key that the ports name can answer in.
fn in_session<T>(
    tpm: &Tpm<'_>,
    key: ParentKey,
    ports: &Ports<'_>,
    question: impl FnOnce(&mut Session<'_, '_>) -> Result<T, TpmError>,
) -> Result<T, TpmError> {
    let template = ParentTemplate { key, hash: Hash::Sha256, protection: Protection::Uncounted };
    let parent = tpm.create_primary(template)?;
    let mut known = ports.parents.iter().filter(|known| known.key == key).map(|known| parent.expect_name(&known.name));
    if let Some(Err(error)) = known.next() {
        // The parts of a threshold may be of several machines.
        known.find(Result::is_ok).ok_or(error)??;
    }
    question(&mut tpm.start_session(&parent, Purpose::Authorise, Hash::Sha256)?)
}

/// Asks the TPM of these ports something that needs no key.
///
/// # Errors
/// As [`held`].
pub fn ask<T>(ports: &Ports<'_>, question: impl FnOnce(&Tpm<'_>) -> Result<T, TpmError>) -> Result<T, PinError> {
    let cancelled = || ports.cancel.is_cancelled();
    question(&tpm2::begin(ports, &cancelled)?).map_err(tpm2::failed)
}
