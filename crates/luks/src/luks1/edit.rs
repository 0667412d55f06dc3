//! Changes to a LUKS1 header and to its LUKSMeta, as a value first. What is written, and when, is in `luks1::writes`.
//!
//! The place of each slot's key material is fixed, and one hash serves the whole header. So a slot's passphrase can only be
//! replaced where the old one lies, and a free slot carries the new one meanwhile.

use crate::accept::Accepted;
use crate::allowed::{AcceptedSlot, check_cost};
use crate::area::Area;
use crate::edit_error::EditError;
use crate::header::Version;
use crate::kdf::{Kdf, KdfCost};
use crate::luks1::change::{Bridge, Change, MetaChange, Noise, Sealed, SlotChange};
use crate::luks1::header::{Luks1, Luks1Slot, SALT_LEN};
use crate::luks1::meta::{META_MOST, MetaSlot, MetaState, Table};
use crate::luks1::writes;
use crate::material::{self, NewKeyslot, random_bytes};
use crate::slot::{Priority, Slot};
use crate::step::Step;
use crate::undo::Ready;
use block::Bytes;
use crypto::{Hash, Random};
use std::collections::BTreeMap;
use std::fmt;
use uuid::Uuid;
use zeroize::Zeroizing;

/// What is overwritten is kept in memory. More than this is no gap that anybody made for LUKSMeta.
const MOST_NUKED: Bytes = Bytes(256 << 20);

/// A header as it would be after some changes, and what must be written for that.
///
/// It is bound to the header it was made from: `apply` refuses a disk that has changed since.
pub struct Luks1Edit<'a> {
    before: &'a Accepted,
    random: &'a dyn Random,
    change: Change<'a>,
    steps: Vec<Step>,
}

/// What a replacement may do where there is no room for the new key beside the old one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReplaceMode {
    /// Refuse.
    Safe,
    /// Overwrite the old one: a power failure meanwhile loses the slot.
    InPlace,
}

impl<'a> Luks1Edit<'a> {
    /// Begins with no change. `header` is that of `before`.
    pub(crate) fn new(before: &'a Accepted, header: &'a Luks1, random: &'a dyn Random) -> Luks1Edit<'a> {
        let change = Change { header, slots: BTreeMap::new(), meta: MetaChange::default() };
        Luks1Edit { before, random, change, steps: Vec::new() }
    }

    /// The header it was made from.
    pub(crate) fn before(&self) -> &'a Accepted {
        self.before
    }

    /// What changes.
    pub(crate) fn change(&self) -> &Change<'a> {
        &self.change
    }

    /// What has been asked for, in that order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Adds a keyslot: stretches the passphrase, which may take seconds, and splits and encrypts the key. The cost must be
    /// PBKDF2 with the hash of the header, and so must the splitter's hash be.
    ///
    /// # Errors
    /// [`EditError`]; nothing has been changed then. A slot that this edit removes is in use until it is applied.
    pub fn add_keyslot(&mut self, new: &NewKeyslot<'_>) -> Result<Slot, EditError> {
        let slot = self.choose_slot(new.slot)?;
        let (sealed, area) = self.seal(slot, new)?;
        self.change.slots.insert(slot, SlotChange::Add(sealed));
        self.steps.push(Step::AddKeyslot { slot, kdf: new.kdf.name(), area });
        Ok(slot)
    }

    /// Puts another passphrase in the place of a slot's; `new.slot` does not count. The slot keeps its number.
    ///
    /// A slot that is free, and stays so, holds the new key until the slot itself does: at each moment the old or the new
    /// passphrase opens.
    ///
    /// # Errors
    /// [`EditError`]; nothing has been changed then. [`EditError::NoSlotToSpare`] if none is free, unless `mode` allows for
    /// it.
    pub(crate) fn replace_keyslot(
        &mut self,
        slot: Slot,
        new: &NewKeyslot<'_>,
        mode: ReplaceMode,
    ) -> Result<(), EditError> {
        if !self.is_active(slot) {
            return Err(EditError::NoSuchSlot { slot });
        }
        let was_there = self.entry(slot).is_some_and(|entry| entry.active);
        let bridge = if was_there { self.bridge(slot, mode)? } else { None };
        let (new_slot, area) = self.seal(slot, new)?;
        if was_there {
            // A slot that this very edit adds has no copy on the disk that could be lost, and its step is there.
            let via = bridge.as_ref().map(|bridge| bridge.slot);
            self.steps.push(Step::RewriteKeyslot { slot, kdf: new.kdf.name(), area, via });
        }
        let change = if was_there { SlotChange::Replace { new: new_slot, bridge } } else { SlotChange::Add(new_slot) };
        self.change.slots.insert(slot, change);
        Ok(())
    }

    /// Removes a keyslot: its area is overwritten. Its LUKSMeta stays.
    ///
    /// # Errors
    /// [`EditError`]; nothing has been changed then.
    pub fn remove_keyslot(&mut self, slot: Slot) -> Result<(), EditError> {
        let entry = self.entry(slot).filter(|_| self.is_active(slot)).ok_or(EditError::NoSuchSlot { slot })?;
        let area = entry.area(self.change.header.key_bytes).ok_or(EditError::NoSuchSlot { slot })?;
        if entry.active {
            let noise = self.noise(area)?;
            self.change.slots.insert(slot, SlotChange::Remove { noise });
        } else {
            // Key material of this very edit has never been on the disk.
            self.change.slots.remove(&slot);
        }
        self.steps.push(Step::RemoveKeyslot { slot, area });
        Ok(())
    }

    /// Makes an empty LUKSMeta. If there is one already, nothing happens.
    ///
    /// # Errors
    /// [`EditError::NoGap`], [`EditError::GapBehindDisk`], [`EditError::Meta`] if there is one that cannot be used.
    pub fn init_meta(&mut self) -> Result<(), EditError> {
        let gap = self.gap_on_disk()?;
        match self.table() {
            Ok(_) => return Ok(()),
            Err(EditError::NoMeta) => {}
            Err(error) => return Err(error),
        }
        self.change.meta.table = Some(Table::default());
        self.steps.push(Step::InitMeta { gap });
        Ok(())
    }

    /// Stores data for a slot; `None`: the first that is neither in use in the header nor here.
    ///
    /// # Errors
    /// [`EditError`]; nothing has been changed then.
    pub fn save_meta(&mut self, slot: Option<Slot>, uuid: Uuid, data: &[u8]) -> Result<Slot, EditError> {
        let gap = self.gap_on_disk()?;
        let mut table = self.table()?;
        let slot = self.choose_meta_slot(&table, slot)?;
        if uuid.is_nil() {
            return Err(EditError::ReservedUuid);
        }
        let no_room = EditError::NoRoomForMeta { slot, size: data.len().into() };
        let Some(length) = u32::try_from(data.len()).ok().filter(|length| *length > 0) else {
            return Err(if data.is_empty() { EditError::NoMetaData { slot } } else { no_room });
        };
        if length > META_MOST {
            return Err(EditError::MetaTooLong { slot, size: Bytes(length.into()) });
        }
        // Data that goes is still needed if this edit is interrupted.
        let before = self.change.header.meta().present().filter(|_| !self.change.meta.nuked).map(|meta| *meta.table());
        let taken = [Some(&table), before.as_ref()];
        let taken: Vec<&Table> = taken.into_iter().flatten().collect();
        let area = Table::first_fit(&taken, gap, length).ok_or_else(|| {
            let in_whole = self.gap().is_ok_and(|whole| Table::first_fit(&taken, whole, length).is_some());
            if in_whole { self.gap_behind_disk() } else { no_room }
        })?;
        table.set(slot, Some(MetaSlot::new(uuid, area, gap, data)));
        self.change.meta.table = Some(table);
        self.change.meta.new.push((slot, data.to_vec()));
        self.steps.push(Step::SaveMeta { slot, uuid, area });
        Ok(slot)
    }

    /// Empties a slot of LUKSMeta, and overwrites its data with zeros. If it is empty, nothing happens.
    ///
    /// # Errors
    /// [`EditError::NoGap`], [`EditError::NoMeta`], [`EditError::Meta`], [`EditError::MetaTooLong`].
    pub fn wipe_meta(&mut self, slot: Slot) -> Result<(), EditError> {
        let mut table = self.table()?;
        let Some(MetaSlot { uuid, length, .. }) = table.slot(slot).copied() else { return Ok(()) };
        if length > META_MOST {
            return Err(EditError::MetaTooLong { slot, size: Bytes(length.into()) });
        }
        table.set(slot, None);
        self.change.meta.table = Some(table);
        self.change.meta.new.retain(|(of, _)| *of != slot);
        self.steps.push(Step::WipeMeta { slot, uuid });
        Ok(())
    }

    /// Overwrites the whole gap with zeros, whatever is in it.
    ///
    /// # Errors
    /// [`EditError::NoGap`], [`EditError::GapBehindDisk`] if any of it is, [`EditError::GapTooLong`].
    pub fn nuke_meta(&mut self) -> Result<(), EditError> {
        let gap = self.gap_on_disk()?;
        if self.gap()? != gap {
            return Err(self.gap_behind_disk());
        }
        if gap.size() > MOST_NUKED {
            return Err(EditError::GapTooLong { size: gap.size() });
        }
        self.change.meta = MetaChange { nuked: true, ..MetaChange::default() };
        self.steps.push(Step::NukeMeta { gap });
        Ok(())
    }

    /// All that will be written, in its order.
    pub(crate) fn ready(self) -> Ready {
        writes::ready(&self.change)
    }

    fn entry(&self, slot: Slot) -> Option<&'a Luks1Slot> {
        self.change.header.slots.get(usize::from(slot.number()))
    }

    /// Whether the slot is in use after this edit.
    fn is_active(&self, slot: Slot) -> bool {
        match self.change.slots.get(&slot) {
            Some(SlotChange::Remove { .. }) => false,
            Some(_) => true,
            None => self.entry(slot).is_some_and(|entry| entry.active),
        }
    }

    /// Whether the slot is not in use before, during nor after this edit.
    fn is_free(&self, slot: Slot) -> bool {
        let is_bridge =
            |change: &SlotChange| matches!(change, SlotChange::Replace { bridge: Some(b), .. } if b.slot == slot);
        let inactive = self.entry(slot).is_some_and(|entry| !entry.active);
        inactive && !self.change.slots.contains_key(&slot) && !self.change.slots.values().any(is_bridge)
    }

    fn choose_slot(&self, wanted: Option<Slot>) -> Result<Slot, EditError> {
        match wanted {
            Some(slot) if self.entry(slot).is_none() => Err(EditError::NoSuchSlot { slot }),
            Some(slot) if !self.is_free(slot) => Err(EditError::SlotInUse { slot }),
            Some(slot) => Ok(slot),
            None => Slot::of_luks1().find(|slot| self.is_free(*slot)).ok_or(EditError::NoFreeSlot),
        }
    }

    /// The last free slot, for others are given out from the first on; if may be one without data of its own.
    fn bridge(&self, slot: Slot, mode: ReplaceMode) -> Result<Option<Bridge>, EditError> {
        let free: Vec<Slot> = Slot::of_luks1().filter(|slot| self.is_free(*slot)).collect();
        let empty = |slot: &&Slot| self.table().is_ok_and(|table| table.slot(**slot).is_none());
        let Some(spare) = free.iter().rev().find(empty).or(free.last()).copied() else {
            return if mode == ReplaceMode::InPlace { Ok(None) } else { Err(EditError::NoSlotToSpare { slot }) };
        };
        let area = self.area(spare)?;
        Ok(Some(Bridge { slot: spare, noise: self.noise(area)? }))
    }

    fn area(&self, slot: Slot) -> Result<Area, EditError> {
        let area = self.entry(slot).and_then(|entry| entry.area(self.change.header.key_bytes));
        area.ok_or(EditError::NoSuchSlot { slot })
    }

    fn noise(&self, area: Area) -> Result<Noise, EditError> {
        let len = usize::try_from(area.size().0).unwrap_or(usize::MAX);
        let mut noise = Zeroizing::new(vec![0; len]);
        self.random.fill(&mut noise).map_err(|source| EditError::Random { source })?;
        Ok(noise)
    }

    /// The entry and the key material of a slot.
    fn seal(&self, slot: Slot, new: &NewKeyslot<'_>) -> Result<(Sealed, Area), EditError> {
        let digest = self.before.digest();
        let iterations = iterations(new, digest.hash)?;
        if !digest.fits(new.key) {
            return Err(EditError::WrongVolumeKey);
        }
        check_cost(slot, &new.kdf, self.before.allowed()).map_err(|source| EditError::Refused { source })?;
        let area = self.area(slot)?;
        let salt = random_bytes::<SALT_LEN>(self.random).map_err(|source| EditError::Random { source })?;
        let key_len = new.key.secret().len();
        let keyslot = AcceptedSlot {
            priority: Priority::Normal,
            key_len,
            area,
            cipher: self.before.data().cipher,
            area_key_len: key_len,
            af_hash: digest.hash,
            kdf: Kdf { cost: new.kdf, salt: salt.to_vec() },
        };
        let material = material::seal(&keyslot, new, self.random)?;
        let stripes = crate::af::STRIPES;
        let entry = Luks1Slot { active: true, iterations, salt, material: area.offset(), stripes };
        Ok((Sealed { entry, material }, area))
    }

    fn gap(&self) -> Result<Area, EditError> {
        self.change.header.gap().ok_or(EditError::NoGap)
    }

    /// What of the gap can be written to; its first block at least.
    fn gap_on_disk(&self) -> Result<Area, EditError> {
        self.gap()?;
        self.change.header.gap_on_disk().ok_or_else(|| self.gap_behind_disk())
    }

    fn gap_behind_disk(&self) -> EditError {
        EditError::GapBehindDisk { payload: self.change.header.payload, disk: self.change.header.disk_len() }
    }

    /// The table as it would be.
    fn table(&self) -> Result<Table, EditError> {
        if let Some(table) = &self.change.meta.table {
            return Ok(*table);
        }
        match self.change.header.meta() {
            MetaState::NoGap => Err(EditError::NoGap),
            MetaState::Absent => Err(EditError::NoMeta),
            _ if self.change.meta.nuked => Err(EditError::NoMeta),
            MetaState::Damaged(source) => Err(EditError::Meta { source: source.clone() }),
            MetaState::Present(meta) => Ok(*meta.table()),
        }
    }

    fn choose_meta_slot(&self, table: &Table, wanted: Option<Slot>) -> Result<Slot, EditError> {
        match wanted {
            Some(slot) if self.entry(slot).is_none() => Err(EditError::NoSuchSlot { slot }),
            Some(slot) if table.slot(slot).is_some() => Err(EditError::MetaInUse { slot }),
            Some(slot) => Ok(slot),
            None => {
                let free = |slot: &Slot| !self.is_active(*slot) && table.slot(*slot).is_none();
                Slot::of_luks1().find(free).ok_or(EditError::NoFreeSlot)
            }
        }
    }
}

/// LUKS1 has one hash for everything.
fn iterations(new: &NewKeyslot<'_>, hash: Hash) -> Result<u32, EditError> {
    let has_not = |what| Err(EditError::NotInThisVersion { what, version: Version::Luks1 });
    match new.kdf {
        KdfCost::Argon2 { .. } => has_not("Argon2"),
        KdfCost::Pbkdf2 { hash: other, .. } if other != hash || new.af_hash != hash => {
            has_not("hash of its own for a slot")
        }
        KdfCost::Pbkdf2 { iterations, .. } => Ok(iterations.get()),
    }
}

impl fmt::Debug for Luks1Edit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Luks1Edit").field("steps", &self.steps).finish_non_exhaustive()
    }
}
