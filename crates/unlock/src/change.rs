//! Changes to a header as values: what a bind, a new passphrase, a removal would write. Nothing is written here.

use crate::bind::{Place, Prepared, Room};
use crate::binding::{Binding, bindings};
use crate::commit_error::CommitError;
use crate::human::{Holder, LastHumanSlot, Orphans, holder, human_slots, is_ignored, slots_of};
use crate::identity::volume_of;
use crate::seal::Mark;
use crate::store;
use crypto::{Passphrase, Random, VolumeKey};
use jose::Jwe;
use json::Object;
use luks::{Accepted, Edit, EditError, KdfCost, LEAST_ITERATIONS, NewKeyslot, Priority, Slot, TokenKind, Version};
use std::fmt;
use std::num::NonZeroU32;

/// A bind that has been computed.
#[derive(Debug)]
pub struct BindPlan<'a> {
    /// What it changes.
    pub edit: Edit<'a>,
    /// The binding after it.
    pub binding: Binding,
    /// The keyslot of the recovery key, if one comes with it.
    pub recovery: Option<Slot>,
}

/// A bind in the place of another keyslot that has been computed: first the one change, and the other when the first is proved.
#[derive(Debug)]
pub struct ReplacePlan<'a> {
    /// The new binding.
    pub bind: BindPlan<'a>,
    /// The removal of the old keyslot.
    pub kill: Edit<'a>,
}

/// A passphrase to be given a keyslot.
#[derive(Debug)]
pub struct NewPassphrase<'a> {
    /// The passphrase.
    pub passphrase: &'a Passphrase,
    /// How slow it is made.
    pub kdf: KdfCost,
    /// What it is for.
    pub purpose: Purpose,
}

/// What a person's passphrase is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be remembered.
    Memory,
    /// A recovery key, to be kept on paper. LUKS2 says so in a token of type `systemd-recovery`.
    Recovery,
}

/// The change that a prepared binding makes to this header. Bindings whose keyslot is gone are cleared away, as the original does; a
/// binding that takes another's place keeps the numbers of its keyslot and token.
///
/// # Errors
/// [`CommitError::Edit`] if there is no room for it; [`CommitError::NotBound`] if the binding whose place it takes is gone.
pub fn bind_edit<'a>(
    header: &'a Accepted,
    key: &VolumeKey,
    prepared: &Prepared,
    random: &'a dyn Random,
) -> Result<BindPlan<'a>, CommitError> {
    let version = header.header().version();
    if prepared.signed && version == Version::Luks1 {
        return Err(CommitError::Edit(EditError::NotInThisVersion {
            what: "place for approvals, which a signed policy needs",
            version,
        }));
    }
    let mut edit = Edit::new(header, random).map_err(CommitError::Edit)?;
    let hash = header.slot_hash();
    let kdf = KdfCost::random_passphrase(hash);
    let new = |slot| NewKeyslot { key, passphrase: &prepared.passphrase, slot, kdf, af_hash: hash };
    store::forget_stale(&mut edit, header.header())?;
    let slot = match &prepared.place {
        Place::New { slot, .. } => {
            let slot = store::choose_slot(header.header(), *slot, None);
            let slot = edit.add_keyslot(&new(slot)).map_err(CommitError::Edit)?;
            prefer(&mut edit, version, slot)?;
            slot
        }
        Place::Instead(old) => {
            still_bound(header, old)?;
            let replaced = match edit.replace_keyslot(old.slot, &new(None)) {
                Err(EditError::NoSlotToSpare { .. } | EditError::NoRoom { .. }) if prepared.room == Room::InPlace => {
                    edit.replace_keyslot_in_place(old.slot, &new(None))
                }
                replaced => replaced,
            };
            replaced.map_err(CommitError::Edit)?;
            old.slot
        }
    };
    let recovery = add_recovery(&mut edit, header, key, prepared, slot)?;
    let jwe = marked(prepared, &edit, header, key, random)?;
    let token = match &prepared.place {
        Place::New { token, meta, .. } => store::add(&mut edit, header.header(), slot, (*token, *meta), &jwe)?,
        Place::Instead(old) => store::replace(&mut edit, header.header(), old, &jwe)?,
    };
    recovery.map_or(Ok(()), |slot| say_recovery(&mut edit, header, slot))?;
    Ok(BindPlan { edit, binding: Binding { slot, token, jwe }, recovery })
}

/// Has cryptsetup try a binding's keyslot before those of people: its derivation costs next to nothing, and a secret that is handed to
/// cryptsetup while the machine starts need not wait for an Argon2 that it cannot pass. LUKS1 has no priorities.
fn prefer(edit: &mut Edit<'_>, version: Version, slot: Slot) -> Result<(), CommitError> {
    match version {
        Version::Luks1 => Ok(()),
        Version::Luks2 => edit.set_priority(slot, Priority::Prefer).map_err(CommitError::Edit),
    }
}

/// Of PBKDF2 for a recovery key that comes with a binding: it is random, and needs no slow derivation. LUKS1 has no token that says what it
/// is for, and with as many iterations as bindings have it would be taken for a lost one's.
const RECOVERY_ITERATIONS: NonZeroU32 = LEAST_ITERATIONS.saturating_add(1000);

/// The keyslot of the recovery key that comes with a binding.
fn add_recovery(
    edit: &mut Edit<'_>,
    header: &Accepted,
    key: &VolumeKey,
    prepared: &Prepared,
    beside: Slot,
) -> Result<Option<Slot>, CommitError> {
    let Some(passphrase) = &prepared.recovery else { return Ok(None) };
    let kdf = KdfCost::Pbkdf2 { hash: header.slot_hash(), iterations: RECOVERY_ITERATIONS };
    let new = NewPassphrase { passphrase, kdf, purpose: Purpose::Recovery };
    let slot = store::choose_slot(header.header(), None, Some(beside));
    edit.add_keyslot(&new.keyslot(header, key, slot)).map(Some).map_err(CommitError::Edit)
}

/// Has a token say so; LUKS1 has none.
fn say_recovery(edit: &mut Edit<'_>, header: &Accepted, slot: Slot) -> Result<(), CommitError> {
    if header.header().version() == Version::Luks1 {
        return Ok(());
    }
    edit.add_token(None, recovery_token(slot)).map(|_| ()).map_err(CommitError::Edit)
}

/// The JWE, saying what volume it is for and what a binding of this header has to say of its seal. One that was not opened says nothing.
fn marked(
    prepared: &Prepared,
    edit: &Edit<'_>,
    header: &Accepted,
    key: &VolumeKey,
    random: &dyn Random,
) -> Result<Jwe, CommitError> {
    let Some(content_key) = &prepared.content_key else { return Ok(prepared.jwe.clone()) };
    let mark = Mark::of(edit, header, key)?;
    mark.put(&prepared.jwe, volume_of(header.header(), key), content_key, random).map_err(CommitError::Annotate)
}

/// The change that clears away bindings whose keyslots are gone.
pub(crate) fn stale_edit<'a>(header: &'a Accepted, random: &'a dyn Random) -> Result<Edit<'a>, CommitError> {
    let mut edit = Edit::new(header, random).map_err(CommitError::Edit)?;
    store::forget_stale(&mut edit, header.header())?;
    Ok(edit)
}

/// The change that takes a binding off this header: keyslot, and token or LUKSMeta. A token that serves other keyslots stays.
///
/// # Errors
/// [`CommitError::NotBound`] if the header no longer has this very binding, [`CommitError::LastSlot`] if nothing else would open
/// the volume, [`CommitError::LastBinding`] if nothing else is known to and `last` does not allow for that, [`CommitError::Edit`].
pub fn unbind_edit<'a>(
    header: &'a Accepted,
    binding: &Binding,
    last: LastHumanSlot,
    random: &'a dyn Random,
) -> Result<Edit<'a>, CommitError> {
    still_bound(header, binding)?;
    kill_edit(header, binding.slot, last, random)
}

/// The change that removes a keyslot, and a binding if it has one.
///
/// # Errors
/// [`CommitError::LastSlot`] if nothing else would open the volume; [`CommitError::LastHumanSlot`] if only policies would, and
/// [`CommitError::LastBinding`] if nothing that is left is known to, and `last` does not allow for that; [`CommitError::Edit`].
pub fn kill_edit<'a>(
    header: &'a Accepted,
    slot: Slot,
    last: LastHumanSlot,
    random: &'a dyn Random,
) -> Result<Edit<'a>, CommitError> {
    let opens = header.slots().any(|other| other == slot);
    if opens && header.slots().all(|other| other == slot) {
        return Err(CommitError::LastSlot { slot });
    }
    spare(header, slot, last)?;
    removal(header, slot, random)
}

/// The changes of a binding that takes the place of the keyslot `old`.
///
/// # Errors
/// As [`bind_edit`] and [`kill_edit`]; [`CommitError::Unproved`] if the policy could not be tried.
pub fn replace_edit<'a>(
    header: &'a Accepted,
    key: &VolumeKey,
    prepared: &Prepared,
    (old, last): (Slot, LastHumanSlot),
    random: &'a dyn Random,
) -> Result<ReplacePlan<'a>, CommitError> {
    if prepared.unproved.is_some() {
        return Err(CommitError::Unproved);
    }
    if prepared.recovery.is_none() {
        spare(header, old, last)?;
    }
    let bind = bind_edit(header, key, prepared, random)?;
    // It is not the last of all once the binding is there.
    Ok(ReplacePlan { bind, kill: removal(header, old, random)? })
}

fn removal<'a>(header: &'a Accepted, slot: Slot, random: &'a dyn Random) -> Result<Edit<'a>, CommitError> {
    let mut edit = Edit::new(header, random).map_err(CommitError::Edit)?;
    edit.remove_keyslot(slot).map_err(CommitError::Edit)?;
    store::forget(&mut edit, header.header(), slot)?;
    Ok(edit)
}

/// Refuses to remove the last keyslot that is known to open the volume, for a person or at all, unless that is meant.
///
/// # Errors
/// [`CommitError::LastHumanSlot`], [`CommitError::LastBinding`].
pub(crate) fn spare(header: &Accepted, slot: Slot, last: LastHumanSlot) -> Result<(), CommitError> {
    let is_bound = |slot| holder(header.header(), slot) == Holder::Policy;
    match last {
        LastHumanSlot::Remove => return Ok(()),
        LastHumanSlot::Shown(other)
            if other != slot && header.slots().any(|found| found == other) && !is_bound(other) =>
        {
            return Ok(());
        }
        LastHumanSlot::Shown(_) | LastHumanSlot::Keep => {}
    }
    let lost: Vec<Slot> = slots_of(header, Holder::Unknown).into_iter().filter(|other| *other != slot).collect();
    let people = human_slots(header);
    if is_bound(slot) {
        let others = slots_of(header, Holder::Policy).iter().any(|other| *other != slot) || !people.is_empty();
        return if others || lost.is_empty() { Ok(()) } else { Err(CommitError::LastBinding { slot, lost }) };
    }
    if header.slots().all(|other| other != slot) || people.iter().any(|other| *other != slot) {
        return Ok(());
    }
    let ignored = slots_of(header, Holder::Person).into_iter();
    let ignored = ignored.filter(|other| *other != slot && is_ignored(header.header(), *other)).collect();
    Err(CommitError::LastHumanSlot { slot, ignored, lost })
}

/// Refuses a change that leaves keyslots behind without what brings their passphrases, unless that is meant.
///
/// # Errors
/// [`CommitError::Orphans`].
pub fn spare_orphans(slots: Vec<Slot>, orphans: Orphans) -> Result<(), CommitError> {
    if slots.is_empty() || orphans == Orphans::Leave { Ok(()) } else { Err(CommitError::Orphans { slots }) }
}

/// The change that adds a passphrase. Bindings whose keyslot is gone are cleared away: they would be taken for the new one's.
///
/// # Errors
/// [`CommitError::Edit`].
pub fn add_edit<'a>(
    header: &'a Accepted,
    key: &VolumeKey,
    new: &NewPassphrase<'_>,
    slot: Option<Slot>,
    random: &'a dyn Random,
) -> Result<(Edit<'a>, Slot), CommitError> {
    let mut edit = Edit::new(header, random).map_err(CommitError::Edit)?;
    store::forget_stale(&mut edit, header.header())?;
    let slot = store::choose_slot(header.header(), slot, None);
    let slot = edit.add_keyslot(&new.keyslot(header, key, slot)).map_err(CommitError::Edit)?;
    if new.purpose == Purpose::Recovery {
        say_recovery(&mut edit, header, slot)?;
    }
    Ok((edit, slot))
}

/// The change that gives a keyslot another passphrase.
///
/// # Errors
/// [`CommitError::Bound`] if a policy holds the old one, [`CommitError::Served`] if another program's token does; [`CommitError::Edit`].
pub fn change_edit<'a>(
    header: &'a Accepted,
    key: &VolumeKey,
    new: &NewPassphrase<'_>,
    slot: Slot,
    random: &'a dyn Random,
) -> Result<Edit<'a>, CommitError> {
    if header.slots().any(|found| found == slot) && holder(header.header(), slot) == Holder::Policy {
        let is_bound = bindings(header.header()).iter().any(|binding| binding.slot == slot);
        return Err(if is_bound { CommitError::Bound { slot } } else { CommitError::Served { slot } });
    }
    let mut edit = Edit::new(header, random).map_err(CommitError::Edit)?;
    edit.replace_keyslot(slot, &new.keyslot(header, key, None)).map_err(CommitError::Edit)?;
    say_purpose(&mut edit, header, slot, new.purpose)?;
    Ok(edit)
}

/// Has the tokens of LUKS2 say of this keyslot whether it is for a recovery key.
///
/// # Errors
/// [`CommitError::Edit`].
pub fn say_purpose(edit: &mut Edit<'_>, header: &Accepted, slot: Slot, purpose: Purpose) -> Result<(), CommitError> {
    let Some(luks2) = header.header().as_luks2() else { return Ok(()) };
    let tokens = luks2.metadata().tokens.iter();
    let mut said = tokens
        .filter(|(_, token)| token.recognised() == TokenKind::SystemdRecovery && token.keyslots.contains(&slot))
        .peekable();
    match purpose {
        Purpose::Recovery if said.peek().is_some() => Ok(()),
        Purpose::Recovery => edit.add_token(None, recovery_token(slot)).map(|_| ()),
        Purpose::Memory => said.try_for_each(|(id, token)| {
            let others: Vec<String> =
                token.keyslots.iter().filter(|other| **other != slot).map(Slot::to_string).collect();
            if others.is_empty() {
                return edit.remove_token(*id);
            }
            edit.replace_token(*id, token.members.clone().with("keyslots", others))
        }),
    }
    .map_err(CommitError::Edit)
}

/// How systemd says that a keyslot is for a recovery key.
fn recovery_token(slot: Slot) -> Object {
    Object::new().with("type", "systemd-recovery").with("keyslots", vec![slot.to_string()])
}

/// One line for each step.
impl fmt::Display for ReplacePlan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.bind.edit, self.kill)
    }
}

impl NewPassphrase<'_> {
    fn keyslot<'n>(&'n self, header: &Accepted, key: &'n VolumeKey, slot: Option<Slot>) -> NewKeyslot<'n> {
        NewKeyslot { key, passphrase: self.passphrase, slot, kdf: self.kdf, af_hash: header.slot_hash() }
    }
}

/// Refuses a header that no longer has this very binding.
fn still_bound(header: &Accepted, binding: &Binding) -> Result<(), CommitError> {
    let found = bindings(header.header()).into_iter().any(|found| found.is_same(binding));
    if found { Ok(()) } else { Err(CommitError::NotBound { slot: binding.slot }) }
}
