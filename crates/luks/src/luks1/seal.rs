//! What of a LUKS1 header is sealed. The codes have no place in the header itself.

use crate::edit_error::EditError;
use crate::luks1::change::SlotChange;
use crate::luks1::edit::Luks1Edit;
use crate::luks1::header::{Luks1, Luks1Slot};
use crate::seal::{SealKey, SealParts, SealValues};
use crate::slot::Slot;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto::VolumeKey;
use json::{Object, Value};
use std::collections::BTreeMap;

/// The parts of a header that is sealed. A slot that is not in use is none.
pub(crate) fn parts(header: &Luks1) -> SealParts {
    with_slots(header, Slot::all().zip(&header.slots))
}

fn with_slots<'s>(header: &Luks1, slots: impl Iterator<Item = (Slot, &'s Luks1Slot)>) -> SealParts {
    let digest = Object::new()
        .with("digest", STANDARD.encode(header.digest))
        .with("iterations", header.digest_iterations)
        .with("salt", STANDARD.encode(header.digest_salt));
    let value = Object::new()
        .with("cipher", header.cipher.as_str())
        .with("digest", digest)
        .with("hash", header.hash.as_str())
        .with("key_bytes", header.key_bytes)
        .with("payload", header.payload.0)
        .with("uuid", header.uuid().to_string())
        .with("version", "LUKS1");
    let active = slots.filter(|(_, entry)| entry.active);
    SealParts {
        uuid: header.uuid(),
        header: value.into(),
        flags: Value::Null,
        slots: active.map(|(slot, entry)| (slot, slot_value(entry))).collect(),
        tokens: BTreeMap::new(),
    }
}

fn slot_value(entry: &Luks1Slot) -> Value {
    Object::new()
        .with("iterations", entry.iterations)
        .with("material", entry.material.0)
        .with("salt", STANDARD.encode(entry.salt))
        .with("stripes", entry.stripes)
        .into()
}

impl Luks1Edit<'_> {
    /// Checks the key; there is no seal to be renewed.
    pub(crate) fn hold_key(&self, key: &VolumeKey) -> Result<(), EditError> {
        if self.before().digest().fits(key) { Ok(()) } else { Err(EditError::WrongVolumeKey) }
    }

    /// The codes of the header as it would be.
    pub(crate) fn seal_values(&self, key: &VolumeKey, epoch: u64) -> Result<Object, EditError> {
        self.hold_key(key)?;
        let header = self.change().header;
        let after = Slot::all().zip(&header.slots).filter_map(|(slot, entry)| match self.change().slots.get(&slot) {
            Some(SlotChange::Add(new) | SlotChange::Replace { new, .. }) => Some((slot, &new.entry)),
            Some(SlotChange::Remove { .. }) => None,
            None => Some((slot, entry)),
        });
        let key = SealKey::of(key, header.uuid());
        let values = SealValues::of(&with_slots(header, after), &key, epoch);
        Ok(values.to_object(Object::new(), &key))
    }
}
