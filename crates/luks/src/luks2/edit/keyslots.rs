//! Keyslots that come, change and go.
//!
//! The area of a new one is encrypted like the data, as cryptsetup does it, and lies in the first gap that no slot occupies,
//! nor did before this edit: so an edit that is interrupted still opens with the old header.

use super::Luks2Edit;
use super::document::{forget_slot, list_slot, member, remove_idle_digests, set_object};
use crate::af;
use crate::allowed::{AcceptedSlot, check_cost};
use crate::area::{ALIGNMENT, Area};
use crate::edit_error::EditError;
use crate::kdf::{Kdf, KdfCost};
use crate::luks2::digest::Pbkdf2Digest;
use crate::luks2::keyslot::{KdfMember, Luks2Keyslot};
use crate::material::{self, NewKeyslot};
use crate::seal::Own;
use crate::slot::{Priority, Slot};
use crate::step::Step;
use crate::undo::Write;
use block::Bytes;
use crypto::VolumeKey;
use crypto::kdf::Argon2Variant;
use json::Object;
use zeroize::Zeroizing;

/// A slot's object, and its key material as it lies on the disk.
struct Made {
    object: Object,
    material: Write,
}

impl Luks2Edit<'_> {
    /// Adds a keyslot: stretches the passphrase, which may take seconds, and splits and encrypts the key.
    ///
    /// # Errors
    /// [`EditError`]; nothing has been changed then.
    pub fn add_keyslot(&mut self, new: &NewKeyslot<'_>) -> Result<Slot, EditError> {
        self.hold_key(new.key)?;
        let slot = self.choose_slot(new.slot)?;
        let area = self.choose_area(new.key.secret().len())?;
        let Made { object, material } = self.make(slot, new, area)?;
        let digest = self.before.digest_name().to_owned();
        let own = Own { slots: [slot].into(), ..Own::default() };
        self.change_own(own, |document| {
            set_object(document, "keyslots", &slot.to_string(), object);
            list_slot(document, &digest, slot);
        })?;
        self.material.push(material);
        self.steps.push(Step::AddKeyslot { slot, kdf: new.kdf.name(), area });
        Ok(slot)
    }

    /// Adds a keyslot for a key that is not the volume's and opens no data ("unbound"), with a digest of its own.
    ///
    /// # Errors
    /// [`EditError`]; nothing has been changed then.
    pub fn add_unbound_keyslot(&mut self, new: &NewKeyslot<'_>) -> Result<Slot, EditError> {
        if self.before.digest().fits(new.key) {
            return Err(EditError::VolumeKey);
        }
        let slot = self.choose_slot(new.slot)?;
        let area = self.choose_area(new.key.secret().len())?;
        let Made { object, material } = self.make(slot, new, area)?;
        let digest = Pbkdf2Digest::of(new.key, new.af_hash, self.random);
        let digest = digest.map_err(|source| EditError::Random { source })?.to_json(&[slot], &[]);
        let names = &self.metadata.digests;
        let name = (0..=names.len()).map(|n| n.to_string()).find(|n| !names.contains_key(n)).unwrap_or_default();
        let own = Own { slots: [slot].into(), ..Own::default() };
        self.change_own(own, |document| {
            set_object(document, "keyslots", &slot.to_string(), object);
            set_object(document, "digests", &name, digest);
        })?;
        self.material.push(material);
        self.steps.push(Step::AddUnboundKeyslot { slot, kdf: new.kdf.name(), area });
        Ok(slot)
    }

    /// Puts a new passphrase in the place of that of a slot: the same number, tokens and priority, key material in another
    /// area; the old one is overwritten when the header no longer refers to it. `new.slot` is not looked at.
    ///
    /// # Errors
    /// [`EditError`]; nothing has been changed then. [`EditError::NoRoom`] if there is no other area.
    pub fn replace_keyslot(&mut self, slot: Slot, new: &NewKeyslot<'_>) -> Result<(), EditError> {
        let old = self.replaceable(slot, new.key)?;
        let area = self.choose_area(new.key.secret().len())?;
        self.replace(slot, new, old, area)
    }

    /// The same, but without another area the old key material is overwritten by the new: a power failure meanwhile loses the
    /// slot.
    ///
    /// # Errors
    /// [`EditError`]; nothing has been changed then.
    pub fn replace_keyslot_in_place(&mut self, slot: Slot, new: &NewKeyslot<'_>) -> Result<(), EditError> {
        let old = self.replaceable(slot, new.key)?;
        match self.choose_area(new.key.secret().len()) {
            Err(EditError::NoRoom { .. }) => self.replace(slot, new, old, old),
            area => self.replace(slot, new, old, area?),
        }
    }

    /// The area of a slot that opens the data.
    fn replaceable(&mut self, slot: Slot, key: &VolumeKey) -> Result<Area, EditError> {
        self.hold_key(key)?;
        let of_data = self.metadata.digests.get(self.before.digest_name());
        let old = self.metadata.keyslots.get(&slot).filter(|_| of_data.is_some_and(|d| d.keyslots.contains(&slot)));
        Ok(old.ok_or(EditError::NoSuchSlot { slot })?.area)
    }

    fn replace(&mut self, slot: Slot, new: &NewKeyslot<'_>, old: Area, area: Area) -> Result<(), EditError> {
        let Made { object, material } = self.make(slot, new, area)?;
        let wipe = self.random_write(old)?;
        // Members that are not understood, and the priority, are about the slot and stay with it.
        self.change(|document| {
            let place =
                member(document, "keyslots").and_then(|slots| slots.get_mut(&slot.to_string())?.as_object_mut());
            if let Some(place) = place {
                object.iter().for_each(|(name, value)| place.insert(name, value.clone()));
            }
        })?;
        if area != old {
            self.leave(wipe);
        }
        self.material.push(material);
        self.steps.push(Step::ReplaceKeyslot { slot, kdf: new.kdf.name(), area, old });
        Ok(())
    }

    /// Removes a keyslot: its area is overwritten, and every digest and token forgets it. Tokens that then serve no slot
    /// stay, as with cryptsetup; a digest that then serves nothing goes.
    ///
    /// # Errors
    /// [`EditError`]; nothing has been changed then.
    pub fn remove_keyslot(&mut self, slot: Slot) -> Result<(), EditError> {
        let area = self.metadata.keyslots.get(&slot).ok_or(EditError::NoSuchSlot { slot })?.area;
        let wipe = self.random_write(area)?;
        self.change(|document| {
            member(document, "keyslots").map(|slots| slots.remove(&slot.to_string()));
            forget_slot(document, "tokens", slot);
            forget_slot(document, "digests", slot);
            remove_idle_digests(document);
        })?;
        self.leave(wipe);
        self.steps.push(Step::RemoveKeyslot { slot, area });
        Ok(())
    }

    fn make(&self, slot: Slot, new: &NewKeyslot<'_>, area: Area) -> Result<Made, EditError> {
        let allowed = self.before.allowed();
        check_cost(slot, &new.kdf, allowed).map_err(|source| EditError::Refused { source })?;
        let key_len = new.key.secret().len();
        let keyslot = AcceptedSlot {
            priority: Priority::Normal,
            key_len,
            area,
            cipher: self.before.data().cipher,
            area_key_len: self.before.key_len(),
            af_hash: new.af_hash,
            kdf: Kdf { cost: new.kdf, salt: self.random_bytes::<32>()?.to_vec() },
        };
        let bytes = material::seal(&keyslot, new, self.random)?;
        let object = keyslot.to_member().to_json(u32::try_from(key_len).unwrap_or(u32::MAX), area);
        Ok(Made { object, material: Write { offset: area.offset(), bytes } })
    }

    fn choose_slot(&self, wanted: Option<Slot>) -> Result<Slot, EditError> {
        let used = |slot: &Slot| self.metadata.keyslots.contains_key(slot);
        match wanted {
            Some(slot) if used(&slot) => Err(EditError::SlotInUse { slot }),
            Some(slot) => Ok(slot),
            None => Slot::all().find(|slot| !used(slot)).ok_or(EditError::NoFreeSlot),
        }
    }

    fn choose_area(&self, key_len: usize) -> Result<Area, EditError> {
        let len = Bytes::from(af::split_len(key_len).unwrap_or(usize::MAX)).0;
        let size = Bytes(len.checked_next_multiple_of(ALIGNMENT).unwrap_or(len));
        let before = self.header.metadata().keyslots.values();
        let taken: Vec<Area> = before.chain(self.metadata.keyslots.values()).map(|keyslot| keyslot.area).collect();
        let room = self.metadata.keyslots_area().filter(|room| room.end() <= self.header.disk_len());
        room.and_then(|room| room.first_gap(&taken, size)).ok_or(EditError::NoRoom { size })
    }

    fn random_write(&self, area: Area) -> Result<Write, EditError> {
        let len = usize::try_from(area.size().0).unwrap_or(usize::MAX);
        let mut bytes = Zeroizing::new(vec![0; len]);
        self.random.fill(&mut bytes).map_err(|source| EditError::Random { source })?;
        Ok(Write { offset: area.offset(), bytes })
    }

    /// Overwrites an area that no slot is in any more. Key material of this very edit has never been on the disk.
    fn leave(&mut self, wipe: Write) {
        match self.material.iter().position(|write| write.offset == wipe.offset) {
            Some(i) => drop(self.material.remove(i)),
            None => self.wipes.push(wipe),
        }
    }
}

impl AcceptedSlot {
    fn to_member(&self) -> Luks2Keyslot {
        Luks2Keyslot {
            encryption: self.cipher.name().to_owned(),
            encryption_key_size: u32::try_from(self.area_key_len).unwrap_or(u32::MAX),
            af_hash: self.af_hash.luks_name().to_owned(),
            af_stripes: af::STRIPES,
            kdf: self.kdf.to_member(),
        }
    }
}

impl Kdf {
    fn to_member(&self) -> KdfMember {
        let salt = self.salt.clone();
        match self.cost {
            KdfCost::Pbkdf2 { hash, iterations } => {
                KdfMember::Pbkdf2 { hash: hash.luks_name().to_owned(), iterations: iterations.get(), salt }
            }
            KdfCost::Argon2 { variant, cost } => KdfMember::Argon2 {
                name: match variant {
                    Argon2Variant::Argon2i => "argon2i".to_owned(),
                    Argon2Variant::Argon2id => "argon2id".to_owned(),
                },
                time: cost.passes,
                memory: cost.memory_kib,
                cpus: cost.lanes,
                salt,
            },
        }
    }
}
