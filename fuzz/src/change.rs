//! What is true of every change to a header: it is made or refused, it reads back, it touches what it must and no more, and it
//! can be taken back to the last byte.

use crate::header::{allowed, say};
use crate::kept;
use crate::replayed::Replayed;
use crate::rescue;
use crate::sparse::SparseDisk;
use crate::touched::{Touched, key};
use crypto::{Hash, Passphrase, Secret};
use json::Object;
use luks::{
    Accepted, Edit, EditError, Flag, Header, KdfCost, LEAST_ITERATIONS, Luks2, NewKeyslot, Priority, UnusedAreas,
};
use uuid::Uuid;

/// What marks data of ours in LUKSMeta.
const MARK: Uuid = Uuid::from_u128(7);

/// Tries the change that costs least; whether it was made.
pub(crate) fn try_one(disk: &SparseDisk, accepted: &Accepted) -> bool {
    Trial { disk, accepted }.change(add_token)
}

/// Tries every kind of change to LUKSMeta, each on the disk as it was; whether any was made.
pub(crate) fn try_luksmeta(disk: &SparseDisk, accepted: &Accepted) -> bool {
    let header = accepted.header().as_luks1().expect("LUKSMeta is of LUKS1");
    let stored = header.meta().present().and_then(|meta| meta.slots().next().map(|(slot, _)| slot));
    let trial = Trial { disk, accepted };
    let mut made = trial.change(nuke_meta);
    made |= trial.change(init_meta);
    made |= trial.change(save_meta);
    if let Some(stored) = stored {
        made |= trial.change(|edit| edit.wipe_meta(stored).map(|()| Touched::Meta(Some(stored))));
        made |= trial.change(|edit| {
            edit.wipe_meta(stored)?;
            edit.save_meta(Some(stored), MARK, b"another").map(|slot| Touched::Meta(Some(slot)))
        });
    }
    made
}

/// Tries the kinds of change that the header knows, each on the disk as it was; whether any was made. Of those that write much
/// or derive keys one is tried, and the input decides which.
pub(crate) fn try_all(disk: &SparseDisk, accepted: &Accepted, input: &[u8]) -> bool {
    let trial = Trial { disk, accepted };
    let choice = input.iter().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add((*byte).into()));
    let made = match accepted.header() {
        Header::Luks1(_) => trial.luks1(choice),
        Header::Luks2(header) => trial.luks2(header) | trial.of_slots(choice),
    };
    match choice / 24 % 6 {
        0 => rescue::try_repair(disk, UnusedAreas::All, Some(accepted.data().offset.0)),
        1 => rescue::try_erase(disk, Some(accepted.data().offset.0)),
        _ => {}
    }
    made
}

/// A disk on which changes are tried.
struct Trial<'a> {
    disk: &'a SparseDisk,
    accepted: &'a Accepted,
}

impl Trial<'_> {
    fn luks1(&self, choice: u32) -> bool {
        match choice % 4 {
            0 => self.change(nuke_meta),
            1 => self.change(init_meta),
            2 => self.change(save_meta),
            _ => self.of_slots(choice / 4),
        }
    }

    fn luks2(&self, header: &Luks2) -> bool {
        let token = header.metadata().tokens.keys().next().copied();
        let slot = header.metadata().keyslots.keys().next_back().copied();
        let mut made = self.change(add_token);
        made |= self.change(|edit| edit.set_label("fuzz").map(|()| Touched::Whole));
        made |= self.change(|edit| edit.set_flags(&Flag::ALL).map(|()| Touched::Whole));
        if let Some(token) = token {
            made |= self.change(|edit| edit.replace_token(token, a_token()).map(|()| Touched::Token(token)));
            made |= self.change(|edit| edit.remove_token(token).map(|()| Touched::Token(token)));
        }
        if let Some(slot) = slot {
            made |= self.change(|edit| edit.set_priority(slot, Priority::Ignore).map(|()| Touched::Slot(slot)));
        }
        made
    }

    fn of_slots(&self, choice: u32) -> bool {
        let key = key();
        let passphrase = Passphrase::new(Secret::copied_from(b"two"));
        let af_hash = match self.accepted.slot_hash() {
            // The others take too long.
            hash @ (Hash::Sha1 | Hash::Sha256 | Hash::Sha512) => hash,
            _ => return false,
        };
        let kdf = KdfCost::Pbkdf2 { hash: af_hash, iterations: LEAST_ITERATIONS };
        let new = NewKeyslot { key: &key, passphrase: &passphrase, slot: None, kdf, af_hash };
        match (choice % 6, self.accepted.slots().next()) {
            (0 | 1, Some(slot)) => self.change(|edit| edit.remove_keyslot(slot).map(|()| Touched::Slot(slot))),
            (2, Some(slot)) => self.change(|edit| edit.replace_keyslot(slot, &new).map(|()| Touched::Slot(slot))),
            (5, _) => self.change(|edit| edit.seal(&key).map(|_| Touched::Seal)),
            (3, _) => self.change(|edit| edit.add_unbound_keyslot(&new).map(Touched::Slot)),
            _ => self.change(|edit| edit.add_keyslot(&new).map(Touched::Slot)),
        }
    }

    /// Makes one change, looks at it, and takes it back. Whether it was made.
    fn change(&self, what: impl FnOnce(&mut Edit<'_>) -> Result<Touched, EditError>) -> bool {
        let random = Replayed::default();
        let edit = Edit::new(self.accepted, &random);
        match edit.and_then(|mut edit| what(&mut edit).map(|touched| (edit, touched))) {
            Ok((edit, touched)) => self.apply(edit, &touched),
            Err(refused) => {
                say(&refused);
                false
            }
        }
    }

    fn apply(&self, edit: Edit<'_>, touched: &Touched) -> bool {
        assert!(!edit.to_string().is_empty());
        let content = self.disk.content();
        let applied = match edit.apply(self.disk) {
            Ok(applied) => applied,
            Err(refused) => {
                say(&refused);
                assert!(self.disk.content() == content, "a change was refused and made");
                return false;
            }
        };
        let found = Header::read(self.disk).expect("what was written is not read");
        assert!(found.is_same(&applied.header), "what was written reads back as something else");
        let after = found.accept(&allowed()).expect("what was written is not accepted");
        kept::check(self.accepted, &after, touched, &self.disk.take_written());
        applied.undo.revert(self.disk).expect("a change cannot be taken back");
        assert!(self.disk.content() == content, "a change was taken back, and something is left of it");
        self.disk.take_written();
        true
    }
}

fn add_token(edit: &mut Edit<'_>) -> Result<Touched, EditError> {
    edit.add_token(None, a_token()).map(Touched::Token)
}

fn a_token() -> Object {
    Object::new().with("type", "fuzz").with("keyslots", Vec::<String>::new()).with("n", 1_u64)
}

fn nuke_meta(edit: &mut Edit<'_>) -> Result<Touched, EditError> {
    edit.nuke_meta().map(|()| Touched::Meta(None))
}

fn init_meta(edit: &mut Edit<'_>) -> Result<Touched, EditError> {
    edit.init_meta().map(|()| Touched::Meta(None))
}

/// More than one block.
fn save_meta(edit: &mut Edit<'_>) -> Result<Touched, EditError> {
    edit.init_meta()?;
    edit.save_meta(None, MARK, &[9; 5000]).map(|slot| Touched::Meta(Some(slot)))
}
