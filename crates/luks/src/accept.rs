//! The header guard: only what is on the list opens anything or is changed.
//!
//! [`Accepted`] holds the same facts as [`Header`], as values that need no further check.

use crate::af;
use crate::allowed::{AcceptedSlot, Allowed, Data, Facts};
use crate::header::Header;
use crate::kdf::KdfCost;
use crate::key_digest::KeyDigest;
use crate::refused::Refused;
use crate::seal::{SealKey, SealState, SealValues};
use crate::slot::Slot;
use crate::{luks1, luks2};
use block::Bytes;
use crypto::{Hash, VolumeKey};
use json::Object;
use std::num::NonZeroU32;

/// A header that may be used.
#[derive(Debug)]
pub struct Accepted {
    header: Header,
    allowed: Allowed,
    facts: Facts,
}

impl Header {
    /// Whether the header would be accepted.
    pub(crate) fn check(&self, allowed: &Allowed) -> Result<(), Refused> {
        self.facts(allowed).map(|_| ())
    }

    fn facts(&self, allowed: &Allowed) -> Result<Facts, Refused> {
        match self {
            Header::Luks1(header) => luks1::accept::accept(header, allowed),
            Header::Luks2(header) => luks2::accept::accept(header.metadata(), allowed),
        }
    }

    /// Accepts the header, or says which one thing about it is not allowed.
    ///
    /// # Errors
    /// [`Refused`], one variant per reason.
    pub fn accept(self, allowed: &Allowed) -> Result<Accepted, Refused> {
        Ok(Accepted { facts: self.facts(allowed)?, allowed: *allowed, header: self })
    }
}

impl Accepted {
    /// The header as it was read.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Where and how the data is encrypted.
    pub fn data(&self) -> &Data {
        &self.facts.data
    }

    /// The slots that hold the key of the data, in ascending order.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        self.facts.slots.keys().copied()
    }

    /// The key derivation of a slot, if it holds the key of the data.
    pub fn kdf(&self, slot: Slot) -> Option<&KdfCost> {
        self.slot(slot).map(|slot| &slot.kdf.cost)
    }

    /// The iterations of PBKDF2 that show whether a volume key is the right one, each time a slot has given one.
    pub fn digest_iterations(&self) -> NonZeroU32 {
        self.facts.digest.iterations
    }

    /// How much memory it takes to open a slot, in KiB: that of the key derivation, and the key material. `None` if the slot
    /// does not hold the key of the data.
    pub fn memory_kib(&self, slot: Slot) -> Option<u64> {
        let slot = self.slot(slot)?;
        let material = Bytes::from(af::split_len(slot.key_len).unwrap_or(usize::MAX));
        Some(slot.kdf.cost.memory_kib().saturating_add(material.0.div_ceil(1024)))
    }

    /// The splitter's hash of the first slot, which Clevis takes for a slot it adds; SHA-256 if there is none. With LUKS1 it is
    /// that of the header.
    pub fn slot_hash(&self) -> Hash {
        match self.header {
            Header::Luks1(_) => self.facts.digest.hash,
            Header::Luks2(_) => self.facts.slots.values().next().map_or(Hash::Sha256, |slot| slot.af_hash),
        }
    }

    /// Length of the volume key, in bytes; without any slot, the most that its cipher takes.
    pub(crate) fn key_len(&self) -> usize {
        let most = || self.facts.data.cipher.key_lengths().last().and_then(|len| usize::try_from(*len).ok());
        self.facts.slots.values().next().map(|slot| slot.key_len).or_else(most).unwrap_or(0)
    }

    /// What the header's own seal tells; with LUKS1 there is none.
    pub fn seal_state(&self, key: &VolumeKey) -> SealState {
        match &self.header {
            Header::Luks1(_) => SealState::Unsealed,
            Header::Luks2(header) => {
                luks2::seal::state(&header.binary, header.metadata(), &SealKey::of(key, header.uuid()))
            }
        }
    }

    /// What a seal tells that was kept outside of the header: what [`crate::Edit::seal_values`] gave.
    pub fn check_seal(&self, key: &VolumeKey, values: &Object) -> SealState {
        let parts = match &self.header {
            Header::Luks1(header) => luks1::seal::parts(header),
            Header::Luks2(header) => luks2::seal::parts(&header.binary, header.metadata()),
        };
        let key = SealKey::of(key, parts.uuid);
        SealValues::read(values, &key).map_or_else(SealState::Broken, |values| values.compare(&parts, &key))
    }

    pub(crate) fn slot(&self, slot: Slot) -> Option<&AcceptedSlot> {
        self.facts.slots.get(&slot)
    }

    pub(crate) fn accepted_slots(&self) -> impl Iterator<Item = (Slot, &AcceptedSlot)> {
        self.facts.slots.iter().map(|(slot, accepted)| (*slot, accepted))
    }

    /// The bounds it was accepted under.
    pub(crate) fn allowed(&self) -> &Allowed {
        &self.allowed
    }

    pub(crate) fn digest(&self) -> &KeyDigest {
        &self.facts.digest
    }

    /// The name of the data's digest in the JSON.
    pub(crate) fn digest_name(&self) -> &str {
        &self.facts.digest_name
    }
}
