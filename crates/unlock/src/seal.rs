//! The seal of a header, and what the bindings say about it.
//!
//! A header's own seal (`luks::SealState`) cannot tell that it was taken away, nor that a whole older header was put back. So each binding
//! of a sealed header says `sealed` in the protected header of its JWE, which nobody changes who cannot open it: on LUKS2 the epoch of the
//! seal, `"sealed": "3"`; on LUKS1, whose header has no place for a seal, the seal itself. Who puts back the header and its bindings
//! together is found out only by an epoch that is held outside of the disk.

use crate::binding::{Binding, bindings};
use crate::commit_error::CommitError;
use crate::seal_fault::SealFault;
use clevis::PinError;
use crypto::{Random, Secret, VolumeKey};
use jose::Jwe;
use json::{Object, Value};
use luks::{Accepted, Edit, EditError, Header, SealBroken, SealState, Slot, TokenKind, Version};

/// The name of what a binding says, among its annotations.
const SEALED: &str = "sealed";

/// What the bindings of a header say of a seal.
struct Said {
    /// The epochs that they name, on LUKS2.
    epochs: Vec<(u64, Slot)>,
    /// The seals that they hold, on LUKS1.
    values: Vec<Object>,
    /// Those that say what makes no sense.
    nonsense: Vec<Slot>,
}

/// What the seal of a volume tells, once its key is known, and whether that agrees with what its bindings say.
///
/// What a binding says is beyond doubt only if it was opened; but who changes it without that makes no more of it than a binding that does
/// not open, and a volume that stays closed.
///
/// # Errors
/// [`SealFault`]: the volume is not to be used. `luks seal` makes a new seal, for who knows that the header is right.
pub fn check_seal(header: &Accepted, key: &VolumeKey) -> Result<SealState, SealFault> {
    let said = Said::by(&bindings(header.header()), header.header().version());
    if let Some(slot) = said.nonsense.first() {
        return Err(SealFault::Malformed { slot: *slot });
    }
    let state = match header.header().version() {
        Version::Luks2 => header.seal_state(key),
        Version::Luks1 => said.latest(header, key),
    };
    match (state, said.epochs.iter().max()) {
        (SealState::Broken(broken), _) => Err(SealFault::Broken(broken)),
        (SealState::Unsealed, Some((epoch, slot))) => Err(SealFault::Stripped { slot: *slot, epoch: *epoch }),
        (SealState::Sealed { epoch: found, .. }, Some((epoch, slot))) if found < *epoch => {
            Err(SealFault::RolledBack { slot: *slot, epoch: *epoch, found })
        }
        (state, _) => Ok(state),
    }
}

/// Whether this header is sealed, or was when one of its bindings was made: then who changes it should seal it again.
pub fn is_sealed(header: &Header) -> bool {
    let tokens = header.as_luks2().map(|luks2| &luks2.metadata().tokens);
    tokens.into_iter().flatten().any(|(_, token)| token.recognised() == TokenKind::CotterSeal)
        || bindings(header).iter().any(|binding| said_by(binding).is_some())
}

/// What a binding says of a seal, whether it makes sense or not.
fn said_by(binding: &Binding) -> Option<&Value> {
    clevis::annotation(&binding.jwe)?.get(SEALED)
}

impl Said {
    fn by(bindings: &[Binding], version: Version) -> Said {
        let mut said = Said { epochs: Vec::new(), values: Vec::new(), nonsense: Vec::new() };
        for binding in bindings {
            let (slot, value) = (&binding.slot, said_by(binding));
            match (version, value, value.and_then(|value| value.as_str()?.parse().ok())) {
                (_, None, _) => {}
                (Version::Luks1, Some(Value::Object(values)), _) => said.values.push(values.clone()),
                (Version::Luks2, _, Some(epoch)) => said.epochs.push((epoch, *slot)),
                _ => said.nonsense.push(*slot),
            }
        }
        said
    }

    /// What the latest seal tells that the volume key made; if there are only others, that they are none.
    fn latest(&self, header: &Accepted, key: &VolumeKey) -> SealState {
        let latest = self.latest_values(header, key);
        latest.map_or(SealState::Unsealed, |values| header.check_seal(key, values))
    }

    fn latest_values(&self, header: &Accepted, key: &VolumeKey) -> Option<&Object> {
        let made = |values: &&Object| is_made_by_key(&header.check_seal(key, values));
        self.values.iter().max_by_key(|values| (made(values), claimed_epoch(values)))
    }

    /// The last epoch that they know of; a seal that the volume key did not make says nothing.
    fn last_epoch(&self, header: &Accepted, key: &VolumeKey) -> u64 {
        let values = self.values.iter().filter(|values| is_made_by_key(&header.check_seal(key, values)));
        values.map(claimed_epoch).chain(self.epochs.iter().map(|(epoch, _)| *epoch)).max().unwrap_or(0)
    }
}

fn is_made_by_key(state: &SealState) -> bool {
    !matches!(state, SealState::Broken(broken) if *broken != SealBroken::Header)
}

fn claimed_epoch(values: &Object) -> u64 {
    values.get("epoch").and_then(Value::as_str).and_then(|epoch| epoch.parse().ok()).unwrap_or(0)
}

/// What bindings say after this edit.
pub(crate) enum Mark {
    Nothing,
    Sealed(Value),
}

impl Mark {
    /// Seals the header as it is after `edit`. The epoch comes after all that `others` know of, which will not be told of it.
    pub(crate) fn seal(
        edit: &mut Edit<'_>,
        header: &Accepted,
        key: &VolumeKey,
        others: &[Binding],
    ) -> Result<(Mark, u64), CommitError> {
        let version = header.header().version();
        let said = Said::by(others, version);
        if let Some(slot) = said.nonsense.first() {
            return Err(CommitError::SealFault(SealFault::Malformed { slot: *slot }));
        }
        match version {
            Version::Luks2 => {
                let epoch = edit.seal_after(key, said.last_epoch(header, key)).map_err(CommitError::Edit)?;
                Ok((Mark::Sealed(epoch.to_string().into()), epoch))
            }
            Version::Luks1 => {
                let last = Said::by(&bindings(header.header()), version).last_epoch(header, key);
                let epoch = last.checked_add(1).ok_or(CommitError::Edit(EditError::EpochExhausted))?;
                let values = edit.seal_values(key, epoch).map_err(CommitError::Edit)?;
                Ok((Mark::Sealed(values.into()), epoch))
            }
        }
    }

    /// What a new binding says of the seal that is there. On LUKS1 a seal tells of all slots at once: where it tells of differences it is
    /// carried over as it is, for a new one would hide them.
    ///
    /// # Errors
    /// [`CommitError::SealFault`]: a header whose seal is not right gets no new binding.
    pub(crate) fn of(edit: &Edit<'_>, header: &Accepted, key: &VolumeKey) -> Result<Mark, CommitError> {
        let state = check_seal(header, key).map_err(CommitError::SealFault)?;
        match (state, header.header().version()) {
            (SealState::Sealed { epoch, .. }, Version::Luks2) => Ok(Mark::Sealed(epoch.to_string().into())),
            (SealState::Sealed { epoch, differences }, Version::Luks1) if differences.is_empty() => {
                Ok(Mark::Sealed(edit.seal_values(key, epoch).map_err(CommitError::Edit)?.into()))
            }
            // What the seal tells of has been told, and is told again until somebody seals anew.
            (SealState::Sealed { .. }, Version::Luks1) => {
                let said = Said::by(&bindings(header.header()), Version::Luks1);
                Ok(said.latest_values(header, key).map_or(Mark::Nothing, |values| Mark::Sealed(values.clone().into())))
            }
            _ => Ok(Mark::Nothing),
        }
    }

    /// `jwe` with what it has to say, and with `others` beside it.
    pub(crate) fn put(
        &self,
        jwe: &Jwe,
        others: Object,
        content_key: &Secret,
        random: &dyn Random,
    ) -> Result<Jwe, PinError> {
        let members = match self {
            Mark::Nothing => others,
            Mark::Sealed(value) => others.with(SEALED, value.clone()),
        };
        if members.is_empty() { Ok(jwe.clone()) } else { clevis::annotate(jwe, &members, content_key, random) }
    }
}
