//! Changes to a header, as a value first: [`Edit`] says what would be written, and only [`Edit::apply`] writes.
//!
//! What only one of the versions knows is refused by the other: tokens, labels and priorities are of LUKS2.

use crate::accept::Accepted;
use crate::edit_error::EditError;
use crate::header::{Header, Version};
use crate::luks1::edit::{Luks1Edit, ReplaceMode};
use crate::luks2::edit::Luks2Edit;
use crate::luks2::flag::Flag;
use crate::luks2::json::Metadata;
use crate::material::NewKeyslot;
use crate::slot::{Priority, Slot, TokenId};
use crate::step::Step;
use crate::undo::{Applied, ApplyError, Ready};
use block::BlockWrite;
use crypto::{Random, VolumeKey};
use json::{Object, Value};
use std::fmt;
use uuid::Uuid;

const LUKSMETA: &str = "LUKSMeta";

/// A header as it would be after some changes, and what must be written for that.
///
/// It is bound to the header it was made from: `apply` refuses a disk that has changed since.
#[derive(Debug)]
pub enum Edit<'a> {
    /// Of a LUKS1 header, and of LUKSMeta.
    Luks1(Box<Luks1Edit<'a>>),
    /// Of a LUKS2 header.
    Luks2(Box<Luks2Edit<'a>>),
}

impl<'a> Edit<'a> {
    /// Begins with no change.
    ///
    /// # Errors
    /// [`EditError::PrimaryGone`], [`EditError::Contradiction`], [`EditError::SequenceExhausted`].
    pub fn new(before: &'a Accepted, random: &'a dyn Random) -> Result<Edit<'a>, EditError> {
        match before.header() {
            Header::Luks1(header) => Ok(Edit::Luks1(Box::new(Luks1Edit::new(before, header, random)))),
            Header::Luks2(header) => Luks2Edit::new(before, header, random).map(Box::new).map(Edit::Luks2),
        }
    }

    /// What has been asked for, in that order.
    pub fn steps(&self) -> &[Step] {
        match self {
            Edit::Luks1(edit) => edit.steps(),
            Edit::Luks2(edit) => edit.steps(),
        }
    }

    /// Adds a keyslot: stretches the passphrase, which may take seconds, and splits and encrypts the key.
    ///
    /// # Errors
    /// [`EditError`]; nothing has been changed then.
    pub fn add_keyslot(&mut self, new: &NewKeyslot<'_>) -> Result<Slot, EditError> {
        match self {
            Edit::Luks1(edit) => edit.add_keyslot(new),
            Edit::Luks2(edit) => edit.add_keyslot(new),
        }
    }

    /// Adds a keyslot for a key that is not the volume's and opens no data ("unbound"), with a digest of its own.
    ///
    /// # Errors
    /// [`EditError`]; nothing has been changed then.
    pub fn add_unbound_keyslot(&mut self, new: &NewKeyslot<'_>) -> Result<Slot, EditError> {
        self.luks2("unbound keyslots")?.add_unbound_keyslot(new)
    }

    /// Puts a new passphrase in the place of that of a slot: the same number, tokens and priority. `new.slot` is not looked
    /// at. At each moment the old or the new passphrase opens: with LUKS2 the new key material lies in another area, with
    /// LUKS1, where each slot has its place, another slot holds the new key meanwhile.
    ///
    /// # Errors
    /// [`EditError`]; nothing has been changed then. [`EditError::NoRoom`] if there is no other area,
    /// [`EditError::NoSlotToSpare`] if no other slot is free.
    pub fn replace_keyslot(&mut self, slot: Slot, new: &NewKeyslot<'_>) -> Result<(), EditError> {
        match self {
            Edit::Luks1(edit) => edit.replace_keyslot(slot, new, ReplaceMode::Safe),
            Edit::Luks2(edit) => edit.replace_keyslot(slot, new),
        }
    }

    /// The same, but where there is no room for both, the old key material is overwritten by the new: a power failure meanwhile
    /// loses the slot. Only for who has been told so.
    ///
    /// # Errors
    /// [`EditError`]; nothing has been changed then.
    pub fn replace_keyslot_in_place(&mut self, slot: Slot, new: &NewKeyslot<'_>) -> Result<(), EditError> {
        match self {
            Edit::Luks1(edit) => edit.replace_keyslot(slot, new, ReplaceMode::InPlace),
            Edit::Luks2(edit) => edit.replace_keyslot_in_place(slot, new),
        }
    }

    /// Removes a keyslot: its area is overwritten.
    ///
    /// # Errors
    /// [`EditError`]; nothing has been changed then.
    pub fn remove_keyslot(&mut self, slot: Slot) -> Result<(), EditError> {
        match self {
            Edit::Luks1(edit) => edit.remove_keyslot(slot),
            Edit::Luks2(edit) => edit.remove_keyslot(slot),
        }
    }

    /// Adds a token with these members, `type` and `keyslots` among them, under this or the lowest free number.
    ///
    /// # Errors
    /// [`EditError`]; nothing has been changed then.
    pub fn add_token(&mut self, token: Option<TokenId>, members: Object) -> Result<TokenId, EditError> {
        self.luks2("tokens")?.add_token(token, members)
    }

    /// Puts another token in the place of one.
    ///
    /// # Errors
    /// [`EditError`]; nothing has been changed then.
    pub fn replace_token(&mut self, token: TokenId, members: Object) -> Result<(), EditError> {
        self.luks2("tokens")?.replace_token(token, members)
    }

    /// Gives one member of a token this value; the others stay, and a seal vouches for them only if it did before.
    ///
    /// # Errors
    /// [`EditError`]; nothing has been changed then.
    pub fn set_token_member(&mut self, token: TokenId, name: &str, value: Value) -> Result<(), EditError> {
        self.luks2("tokens")?.set_token_member(token, name, value)
    }

    /// Removes a token.
    ///
    /// # Errors
    /// [`EditError`]; nothing has been changed then.
    pub fn remove_token(&mut self, token: TokenId) -> Result<(), EditError> {
        self.luks2("tokens")?.remove_token(token)
    }

    /// Says when a slot is tried.
    ///
    /// # Errors
    /// [`EditError`]; nothing has been changed then.
    pub fn set_priority(&mut self, slot: Slot, priority: Priority) -> Result<(), EditError> {
        self.luks2("priorities")?.set_priority(slot, priority)
    }

    /// Sets the label; empty: none.
    ///
    /// # Errors
    /// [`EditError::Label`] if it is longer than 47 bytes or holds a NUL.
    pub fn set_label(&mut self, label: &str) -> Result<(), EditError> {
        self.luks2("label")?.set_label(label)
    }

    /// Sets the subsystem label; empty: none.
    ///
    /// # Errors
    /// [`EditError::Label`] if it is longer than 47 bytes or holds a NUL.
    pub fn set_subsystem(&mut self, subsystem: &str) -> Result<(), EditError> {
        self.luks2("subsystem label")?.set_subsystem(subsystem)
    }

    /// Sets the flags with which the volume is mapped unless told otherwise. Flags in the header that are not known here stay.
    ///
    /// # Errors
    /// [`EditError`]; nothing has been changed then.
    pub fn set_flags(&mut self, flags: &[Flag]) -> Result<(), EditError> {
        self.luks2("flags")?.set_flags(flags)
    }

    /// Makes an empty LUKSMeta. If there is one already, nothing happens.
    ///
    /// # Errors
    /// [`EditError`]; nothing has been changed then.
    pub fn init_meta(&mut self) -> Result<(), EditError> {
        self.luks1(LUKSMETA)?.init_meta()
    }

    /// Stores data for a slot in LUKSMeta; `None`: the first that is neither in use in the header nor there. Together with
    /// [`Edit::wipe_meta`] of the same slot it replaces what was there at once.
    ///
    /// # Errors
    /// [`EditError`]; nothing has been changed then.
    pub fn save_meta(&mut self, slot: Option<Slot>, uuid: Uuid, data: &[u8]) -> Result<Slot, EditError> {
        self.luks1(LUKSMETA)?.save_meta(slot, uuid, data)
    }

    /// Empties a slot of LUKSMeta, and overwrites its data with zeros. If it is empty, nothing happens.
    ///
    /// # Errors
    /// [`EditError`]; nothing has been changed then.
    pub fn wipe_meta(&mut self, slot: Slot) -> Result<(), EditError> {
        self.luks1(LUKSMETA)?.wipe_meta(slot)
    }

    /// Overwrites the whole gap that LUKSMeta lies in with zeros, whatever is there.
    ///
    /// # Errors
    /// [`EditError`]; nothing has been changed then.
    pub fn nuke_meta(&mut self) -> Result<(), EditError> {
        self.luks1(LUKSMETA)?.nuke_meta()
    }

    /// Holds the volume key for the rest of this edit: if the header is sealed, every change renews the seal, and the epoch grows
    /// by one if the edit takes away or replaces something sealed. Adding and replacing a keyslot do so by themselves.
    ///
    /// # Errors
    /// [`EditError::WrongVolumeKey`]; [`EditError::SealBroken`] if the seal is no good now; [`EditError::EpochExhausted`].
    pub fn hold_key(&mut self, key: &VolumeKey) -> Result<(), EditError> {
        match self {
            Edit::Luks1(edit) => edit.hold_key(key),
            Edit::Luks2(edit) => edit.hold_key(key),
        }
    }

    /// Seals the header as it is after this edit, whatever a seal said before: the epoch grows by one, and is returned.
    ///
    /// # Errors
    /// [`EditError`]; nothing has been changed then.
    pub fn seal(&mut self, key: &VolumeKey) -> Result<u64, EditError> {
        self.luks2("token for a seal")?.seal(key)
    }

    /// As [`Edit::seal`]; the epoch is also greater than `after`, which bindings may have heard of from a seal that is gone.
    ///
    /// # Errors
    /// [`EditError`]; nothing has been changed then.
    pub fn seal_after(&mut self, key: &VolumeKey, after: u64) -> Result<u64, EditError> {
        self.luks2("token for a seal")?.seal_after(key, after)
    }

    /// Whether the header is sealed and this edit changes, without the volume key, what is sealed: then it should be sealed again
    /// (`cotter luks seal`). Until then the seal tells of the change, and the header from before passes for the latest. With
    /// LUKS1, whose seal is in the bindings, it is for who reads them to say: here it is `false`.
    pub fn needs_seal(&self) -> bool {
        match self {
            Edit::Luks1(_) => false,
            Edit::Luks2(edit) => edit.needs_seal(),
        }
    }

    /// The seal of the header as it would be, as members to be kept outside of it: in a binding of LUKS1.
    /// [`Accepted::check_seal`] reads them.
    ///
    /// # Errors
    /// [`EditError::WrongVolumeKey`].
    pub fn seal_values(&self, key: &VolumeKey, epoch: u64) -> Result<Object, EditError> {
        match self {
            Edit::Luks1(edit) => edit.seal_values(key, epoch),
            Edit::Luks2(edit) => edit.seal_values(key, epoch),
        }
    }

    /// The LUKS2 header as it would be.
    pub fn metadata(&self) -> Option<&Metadata> {
        match self {
            Edit::Luks1(_) => None,
            Edit::Luks2(edit) => Some(edit.metadata()),
        }
    }

    /// The edit of LUKS1, for what only that version has.
    fn luks1(&mut self, what: &'static str) -> Result<&mut Luks1Edit<'a>, EditError> {
        match self {
            Edit::Luks1(edit) => Ok(edit),
            Edit::Luks2(_) => Err(EditError::NotInThisVersion { what, version: Version::Luks2 }),
        }
    }

    /// The edit of LUKS2, for what only that version has.
    fn luks2(&mut self, what: &'static str) -> Result<&mut Luks2Edit<'a>, EditError> {
        match self {
            Edit::Luks1(_) => Err(EditError::NotInThisVersion { what, version: Version::Luks1 }),
            Edit::Luks2(edit) => Ok(edit),
        }
    }

    /// All that will be written, in its order.
    pub(crate) fn ready(self) -> Result<Ready, ApplyError> {
        match self {
            Edit::Luks1(edit) => Ok(edit.ready()),
            Edit::Luks2(edit) => edit.ready().ok_or(ApplyError::MetadataFull),
        }
    }

    /// Writes it all. The caller holds the volume's write lock.
    ///
    /// The disk is read again first: if its header is not the one this edit was made from, nothing is written. Then what
    /// will be overwritten is kept, everything is written in order and read back. If any of that fails, what was kept is put
    /// back; afterwards the same can be done with [`Applied::undo`].
    ///
    /// # Errors
    /// [`ApplyError`].
    pub fn apply(self, disk: &dyn BlockWrite) -> Result<Applied, ApplyError> {
        let before = match &self {
            Edit::Luks1(edit) => edit.before().header(),
            Edit::Luks2(edit) => edit.before().header(),
        };
        self.ready()?.apply(disk, before)
    }
}

/// One line for each step.
impl fmt::Display for Edit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.steps().is_empty() {
            return f.write_str("nothing to change");
        }
        let lines: Vec<String> = self.steps().iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}
