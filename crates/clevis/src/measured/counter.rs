//! Counters of the TPM: where that of a signed policy stands, and one further, which ends every approval of before; and counters that are
//! not needed after all.

use super::{ask, in_session};
use crate::approval::Counter;
use crate::error::PinError;
use crate::pin::Ports;
use crate::pins::tpm2::failed;
use ::tpm2::{Meaning, NvIndex, ParentKey, Session, Tpm, TpmError};

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

/// Counts up to the number of `counter` if it stands one below, and says where it stands then. It does not pass that number, which what is to
/// stay good was made for: somebody else may have counted meanwhile.
///
/// # Errors
/// As [`count`].
pub fn raise(counter: &Counter, ports: &Ports<'_>) -> Result<u64, PinError> {
    counted(counter, ports, Then::Raise)
}

/// Undefines the counters that were made with these ports. Those that may still be there come back with the first reason.
pub fn take_back(ports: &Ports<'_>) -> Option<(Vec<NvIndex>, PinError)> {
    let indices = ports.made.take();
    if indices.is_empty() || ports.made.is_rehearsed() {
        return None;
    }
    let asked = ask(ports, |tpm| {
        in_session(tpm, ParentKey::Ecc, ports, |session| {
            Ok(indices.iter().filter_map(|index| Some((*index, undefine(*index, tpm, session).err()?))).collect())
        })
    });
    let left: Vec<(NvIndex, TpmError)> = match asked {
        Ok(left) => left,
        Err(error) => return Some((indices, error)),
    };
    let (left, mut errors): (Vec<NvIndex>, Vec<TpmError>) = left.into_iter().unzip();
    errors.truncate(1);
    errors.pop().map(|first| (left, failed(first)))
}

/// One that is gone already needs nothing.
fn undefine(index: NvIndex, tpm: &Tpm<'_>, session: &mut Session<'_, '_>) -> Result<(), TpmError> {
    match tpm.nv_read_public(index) {
        Ok(public) => tpm.nv_undefine(&public, session),
        Err(error) if error.meaning() == Some(Meaning::NoIndex) => Ok(()),
        Err(error) => Err(error),
    }
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
            let now = tpm.nv_read_counter(&public, session)?;
            if then == Then::Read || now.checked_add(1) != Some(counter.value) {
                return Ok(Some(now));
            }
            tpm.nv_increment(&public, session)?;
            tpm.nv_read_counter(&public, session).map(Some)
        })
    })?;
    found.ok_or(PinError::NotACounter { index })
}
