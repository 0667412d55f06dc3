//! Counters of the TPM: where that of a signed policy stands, and one further, which ends every approval of before; and counters that are
//! not needed after all.

use super::{ask, in_session};
use crate::approval::Counter;
use crate::error::PinError;
use crate::pin::Ports;
use ::tpm2::{NvIndex, ParentKey};

/// What is done with it.
#[derive(Clone, Copy, PartialEq)]
enum Then {
    Read,
    Raise,
}

/// Where a counter stands.
///
/// # Errors
/// [`PinError::NotACounter`] if the index is another one than a policy names, or none of ours; [`PinError::NoTpm`], [`PinError::Tpm`],
/// [`PinError::Cancelled`].
pub fn count(counter: &Counter, ports: &Ports<'_>) -> Result<u64, PinError> {
    counted(counter, ports, Then::Read)
}

/// Counts one further, and says where it stands then.
///
/// # Errors
/// As [`count`].
pub fn raise(counter: &Counter, ports: &Ports<'_>) -> Result<u64, PinError> {
    counted(counter, ports, Then::Raise)
}

/// Undefines the counters that were made with these ports. Those that are still there come back with the reason.
pub fn take_back(ports: &Ports<'_>) -> Option<(Vec<NvIndex>, PinError)> {
    let indices = ports.made.take();
    if indices.is_empty() || ports.made.is_rehearsed() {
        return None;
    }
    ask(ports, |tpm| {
        in_session(tpm, ParentKey::Ecc, ports, |session| {
            indices.iter().try_for_each(|index| tpm.nv_undefine(&tpm.nv_read_public(*index)?, session))
        })
    })
    .err()
    .map(|error| (indices, error))
}

/// In a session, so that what was read is what the TPM said.
fn counted(counter: &Counter, ports: &Ports<'_>, then: Then) -> Result<u64, PinError> {
    let key = ports.parents.first().map_or(ParentKey::Ecc, |known| known.key);
    let index = counter.index;
    let found = ask(ports, |tpm| {
        in_session(tpm, key, ports, |session| {
            let public = tpm.nv_read_public(index)?;
            // Which index it is a header says that nobody has authenticated.
            if !public.is_counter() || public.name() != counter.name {
                return Ok(None);
            }
            if then == Then::Raise {
                tpm.nv_increment(&public, session)?;
            }
            tpm.nv_read_counter(&public, session).map(Some)
        })
    })?;
    found.ok_or(PinError::NotACounter { index })
}
