//! The seal of a header, and what the bindings say about it.
//!
//! A header's own seal (`luks::SealState`) cannot tell that it was taken away, nor that a whole older header was put back. So each binding
//! of a sealed header says `sealed` in the protected header of its JWE, which nobody changes who cannot open it: on LUKS2 the epoch of the
//! seal, `"sealed": "3"`; on LUKS1, whose header has no place for a seal, the seal itself. Who puts back the header and its bindings
//! together is found out only by an epoch that is held outside of the disk.

use crate::binding::bindings;
use clevis::PinError;
use crypto::{Random, Secret, VolumeKey};
use jose::Jwe;
use json::{Object, Value};
use luks::{Accepted, Edit, EditError, SealBroken, SealState, Version};
use std::fmt;

/// The name of what a binding says, among its annotations.
const SEALED: &str = "sealed";

/// Why an opened volume is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SealFault {
    /// The seal is not right, or what it covers has been changed.
    Broken(SealBroken),
    /// The binding was made under a seal, and there is none: it was taken away.
    Stripped {
        /// The epoch that the binding was sealed in.
        epoch: u64,
    },
    /// The binding was made under a later seal: an older header was put back.
    RolledBack {
        /// The epoch that the binding was sealed in.
        epoch: u64,
        /// The epoch of the seal that is there.
        found: u64,
    },
    /// What the binding says of a seal makes no sense.
    Malformed,
}

/// What a binding says of a seal.
enum Said<'a> {
    Nothing,
    Epoch(u64),
    Values(&'a Object),
    Nonsense,
}

/// What the seal of a volume tells, once its key is known, and whether that agrees with what its bindings say.
///
/// What a binding says is beyond doubt only if it was opened; but who changes it without that makes no more of it than a binding that does
/// not open, and a volume that stays closed.
///
/// # Errors
/// [`SealFault`]: the volume is not to be used. `luks seal` makes a new seal, for who knows that the header is right.
pub fn check_seal(header: &Accepted, key: &VolumeKey) -> Result<SealState, SealFault> {
    let found = bindings(header.header());
    let said: Vec<Said<'_>> = found.iter().map(|binding| said(&binding.jwe)).collect();
    let version = header.header().version();
    let nonsense = said.iter().any(|said| match said {
        Said::Nothing => false,
        Said::Epoch(_) => version != Version::Luks2,
        Said::Values(_) => version != Version::Luks1,
        Said::Nonsense => true,
    });
    if nonsense {
        return Err(SealFault::Malformed);
    }
    let state = match version {
        Version::Luks2 => header.seal_state(key),
        Version::Luks1 => latest(header, key, &said),
    };
    let epoch = said.iter().filter_map(|said| if let Said::Epoch(epoch) = said { Some(*epoch) } else { None }).max();
    match (state, epoch) {
        (SealState::Broken(broken), _) => Err(SealFault::Broken(broken)),
        (SealState::Unsealed, Some(epoch)) => Err(SealFault::Stripped { epoch }),
        (SealState::Sealed { epoch: found, .. }, Some(epoch)) if found < epoch => {
            Err(SealFault::RolledBack { epoch, found })
        }
        (state, _) => Ok(state),
    }
}

/// What the latest seal tells that the volume key made; if there are only others, that they are none.
fn latest(header: &Accepted, key: &VolumeKey, said: &[Said<'_>]) -> SealState {
    let values = said.iter().filter_map(|said| if let Said::Values(values) = said { Some(*values) } else { None });
    let states = values.map(|values| (claimed_epoch(values), header.check_seal(key, values)));
    let made_by_key = |state: &SealState| !matches!(state, SealState::Broken(broken) if *broken != SealBroken::Header);
    let latest = states.max_by_key(|(epoch, state)| (made_by_key(state), *epoch));
    latest.map_or(SealState::Unsealed, |(_, state)| state)
}

fn said(jwe: &Jwe) -> Said<'_> {
    match clevis::annotation(jwe).and_then(|annotation| annotation.get(SEALED)) {
        None => Said::Nothing,
        Some(Value::Object(values)) => Said::Values(values),
        Some(Value::Text(text)) => text.as_str().parse().map_or(Said::Nonsense, Said::Epoch),
        Some(_) => Said::Nonsense,
    }
}

fn claimed_epoch(values: &Object) -> u64 {
    values.get("epoch").and_then(Value::as_str).and_then(|epoch| epoch.parse().ok()).unwrap_or(0)
}

/// The epoch that comes after all that bindings of LUKS1 claim.
fn next_epoch(header: &Accepted) -> Result<u64, EditError> {
    let found = bindings(header.header());
    let claimed = found.iter().map(|binding| match said(&binding.jwe) {
        Said::Values(values) => claimed_epoch(values),
        Said::Nothing | Said::Epoch(_) | Said::Nonsense => 0,
    });
    claimed.max().unwrap_or(0).checked_add(1).ok_or(EditError::EpochExhausted)
}

/// What bindings say after this edit.
pub(crate) enum Mark {
    Nothing,
    Sealed(Value),
}

impl Mark {
    /// Seals the header as it is after `edit`.
    pub(crate) fn seal(edit: &mut Edit<'_>, header: &Accepted, key: &VolumeKey) -> Result<(Mark, u64), EditError> {
        match header.header().version() {
            Version::Luks2 => edit.seal(key).map(|epoch| (Mark::Sealed(epoch.to_string().into()), epoch)),
            Version::Luks1 => {
                let epoch = next_epoch(header)?;
                Ok((Mark::Sealed(edit.seal_values(key, epoch)?.into()), epoch))
            }
        }
    }

    /// What a new binding says of the seal that is there. On LUKS1 a seal tells of all slots at once: it is not made anew where it tells
    /// of differences, which it would hide.
    pub(crate) fn of(edit: &Edit<'_>, header: &Accepted, key: &VolumeKey) -> Result<Mark, EditError> {
        let (state, version) = (check_seal(header, key), header.header().version());
        match (state, version) {
            (Ok(SealState::Sealed { epoch, .. }), Version::Luks2) => Ok(Mark::Sealed(epoch.to_string().into())),
            (Ok(SealState::Sealed { epoch, differences }), Version::Luks1) if differences.is_empty() => {
                Ok(Mark::Sealed(edit.seal_values(key, epoch)?.into()))
            }
            _ => Ok(Mark::Nothing),
        }
    }

    /// `jwe` with what it has to say.
    pub(crate) fn put(&self, jwe: &Jwe, content_key: &Secret, random: &dyn Random) -> Result<Jwe, PinError> {
        match self {
            Mark::Nothing => Ok(jwe.clone()),
            Mark::Sealed(value) => {
                clevis::annotate(jwe, &Object::new().with(SEALED, value.clone()), content_key, random)
            }
        }
    }
}

impl SealFault {
    /// One thing to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            SealFault::Broken(broken) => broken.hint(),
            SealFault::Stripped { .. } | SealFault::RolledBack { .. } | SealFault::Malformed => {
                "somebody may have changed this header: compare it with a backup (`cotter luks dump`); if it is right as it is, \
                 `cotter luks seal`"
            }
        }
    }
}

impl fmt::Display for SealFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SealFault::Broken(broken) => broken.fmt(f),
            SealFault::Stripped { epoch } => {
                write!(f, "the seal of the header was taken away: the binding was sealed in epoch {epoch}")
            }
            SealFault::RolledBack { epoch, found } => {
                write!(f, "the header is an older one: its seal is of epoch {found}, the binding's of epoch {epoch}")
            }
            SealFault::Malformed => f.write_str("what the binding says of a seal makes no sense"),
        }
    }
}

impl std::error::Error for SealFault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if let SealFault::Broken(broken) = self { std::error::Error::source(broken) } else { None }
    }
}
