//! The counter of a signed policy: where it stands, and one further, which ends every approval of before.

use super::ask;
use crate::error::PinError;
use crate::pin::Ports;
use ::tpm2::{NvIndex, ParentKey, ParentTemplate, Protection, Purpose, Tpm, TpmError};
use crypto::Hash;

/// What is done with it.
#[derive(Clone, Copy, PartialEq)]
enum Then {
    Read,
    Raise,
}

/// Where a counter stands.
///
/// # Errors
/// [`PinError::NoTpm`], [`PinError::Tpm`], [`PinError::Cancelled`].
pub fn count(index: NvIndex, ports: &Ports<'_>) -> Result<u64, PinError> {
    ask(ports, |tpm| counted(tpm, index, Then::Read))
}

/// Counts one further, and says where it stands then.
///
/// # Errors
/// As [`count`].
pub fn raise(index: NvIndex, ports: &Ports<'_>) -> Result<u64, PinError> {
    ask(ports, |tpm| counted(tpm, index, Then::Raise))
}

/// In a session, so that what was read is what the TPM said.
fn counted(tpm: &Tpm<'_>, index: NvIndex, then: Then) -> Result<u64, TpmError> {
    let template = ParentTemplate { key: ParentKey::Ecc, hash: Hash::Sha256, protection: Protection::Uncounted };
    let parent = tpm.create_primary(template)?;
    let mut session = tpm.start_session(&parent, Purpose::Authorise, Hash::Sha256)?;
    let public = tpm.nv_read_public(index)?;
    if then == Then::Raise {
        tpm.nv_increment(&public, &mut session)?;
    }
    tpm.nv_read_counter(&public, &mut session)
}
