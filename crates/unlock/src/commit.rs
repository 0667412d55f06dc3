//! Changes onto the disk: bindings and passphrases, put there, proved, and taken away.
//!
//! After writing, the header is read back and the new keyslot is opened with the new passphrase; if that fails, or the person gives
//! up, what was on the disk before is put back.

use crate::bind::Prepared;
use crate::binding::{Binding, bindings};
use crate::change::{NewPassphrase, add_edit, bind_edit, change_edit, kill_edit, spare, stale_edit, unbind_edit};
use crate::commit_error::CommitError;
use crate::human::LastHumanSlot;
use crate::volume::Volume;
use clevis::PinError;
use crypto::{Passphrase, VolumeKey};
use jose::Jwe;
use luks::{Accepted, Header, Slot, TokenId, open_keyslot};

/// A binding that is on the disk.
#[derive(Debug)]
pub struct Bound {
    /// The keyslot.
    pub slot: Slot,
    /// The token, of LUKS2.
    pub token: Option<TokenId>,
    /// What it is bound by.
    pub jwe: Jwe,
    /// Why the policy could not be tried, if it could not.
    pub unproved: Option<PinError>,
    /// The keyslot of the recovery key that came with it.
    pub recovery: Option<Slot>,
}

/// Binds, or binds anew: writes the keyslot and what says to what it is bound, and proves that the keyslot opens.
///
/// # Errors
/// [`CommitError`]. The disk is then byte for byte as it was, unless it is [`CommitError::NotReverted`], or
/// [`CommitError::Apply`] with [`luks::ApplyError::HalfDone`].
pub fn bind(volume: &Volume<'_>, key: &VolumeKey, prepared: Prepared) -> Result<Bound, CommitError> {
    let (binding, recovery) = match write_binding(volume, key, &prepared) {
        // The room of a binding that goes is free only when it is gone.
        Err(CommitError::NoRoomInMeta { .. }) if clear_stale(volume)? => write_binding(volume, key, &prepared),
        result => result,
    }?;
    Ok(Bound { slot: binding.slot, token: binding.token, jwe: binding.jwe, unproved: prepared.unproved, recovery })
}

fn write_binding(
    volume: &Volume<'_>,
    key: &VolumeKey,
    prepared: &Prepared,
) -> Result<(Binding, Option<Slot>), CommitError> {
    volume.write_proved(
        |header, random| {
            bind_edit(header, key, prepared, random).map(|plan| (plan.edit, (plan.binding, plan.recovery)))
        },
        |header, (binding, recovery)| {
            if !bindings(header.header()).iter().any(|found| found.is_same(binding)) {
                return Err(CommitError::NotReadBack);
            }
            opens(volume, header, binding.slot, &prepared.passphrase)?;
            let shown = recovery.zip(prepared.recovery.as_ref());
            shown.map_or(Ok(()), |(slot, key)| opens(volume, header, slot, key))
        },
    )
}

/// Clears away bindings whose keyslots are gone; says whether there were any.
fn clear_stale(volume: &Volume<'_>) -> Result<bool, CommitError> {
    let (_, any) = volume.write(|header, random| {
        let edit = stale_edit(header, random)?;
        let any = !edit.steps().is_empty();
        Ok((edit, any))
    })?;
    Ok(any)
}

/// Binds, and when that has been proved removes the keyslot `old`: the preset passphrase of an image, for example.
///
/// # Errors
/// [`CommitError`]; [`CommitError::Unproved`] if the policy could not be tried, [`CommitError::LastHumanSlot`] if no person could open the
/// volume afterwards and `last` does not allow for that: then nothing was written. [`CommitError::OldStays`] if the binding is there and
/// the old keyslot is too.
pub fn bind_instead(
    volume: &Volume<'_>,
    key: &VolumeKey,
    prepared: Prepared,
    old: Slot,
    last: LastHumanSlot,
) -> Result<Bound, CommitError> {
    if prepared.unproved.is_some() {
        return Err(CommitError::Unproved);
    }
    // A recovery key is one more for people.
    if prepared.recovery.is_none() {
        spare(&volume.accepted()?, old, last)?;
    }
    let bound = bind(volume, key, prepared)?;
    let killed = volume.write(|header, random| {
        let mut edit = kill_edit(header, old, last, random)?;
        edit.hold_key(key).map_err(CommitError::Edit)?;
        Ok((edit, ()))
    });
    match killed.map(|_| ()) {
        Ok(()) => Ok(bound),
        Err(source) => Err(CommitError::OldStays { slot: old, bound: bound.slot, source: Box::new(source) }),
    }
}

/// Unbinds: overwrites the keyslot and forgets to what it was bound. A seal tells of it until the header is sealed anew, for no key is
/// needed here. Returns the header as it is then.
///
/// # Errors
/// [`CommitError`].
pub fn unbind(volume: &Volume<'_>, binding: &Binding, last: LastHumanSlot) -> Result<Header, CommitError> {
    let unbound = volume.write(|header, random| Ok((unbind_edit(header, binding, last, random)?, ())));
    unbound.map(|(applied, ())| applied.header)
}

/// Removes a keyslot: its key material is overwritten. A seal tells of it until the header is sealed anew, for no key is needed here.
///
/// # Errors
/// [`CommitError`].
pub fn kill(volume: &Volume<'_>, slot: Slot, last: LastHumanSlot) -> Result<(), CommitError> {
    volume.write(|header, random| Ok((kill_edit(header, slot, last, random)?, ()))).map(|_| ())
}

/// Adds a passphrase, and proves that it opens its keyslot.
///
/// # Errors
/// [`CommitError`]; as with [`bind`], the disk is as it was.
pub fn add(
    volume: &Volume<'_>,
    key: &VolumeKey,
    new: &NewPassphrase<'_>,
    slot: Option<Slot>,
) -> Result<Slot, CommitError> {
    volume.write_proved(
        |header, random| add_edit(header, key, new, slot, random),
        |header, slot| opens(volume, header, *slot, new.passphrase),
    )
}

/// Gives a keyslot another passphrase, and proves that it opens it.
///
/// # Errors
/// [`CommitError`]; as with [`bind`], the disk is as it was.
pub fn change(volume: &Volume<'_>, key: &VolumeKey, new: &NewPassphrase<'_>, slot: Slot) -> Result<(), CommitError> {
    volume.write_proved(
        |header, random| Ok((change_edit(header, key, new, slot, random)?, ())),
        |header, ()| opens(volume, header, slot, new.passphrase),
    )
}

/// Whether the keyslot on the disk opens with this passphrase.
fn opens(volume: &Volume<'_>, header: &Accepted, slot: Slot, passphrase: &Passphrase) -> Result<(), CommitError> {
    open_keyslot(&volume.disk, header, slot, passphrase).map(|_| ()).map_err(CommitError::NotOpened)
}
