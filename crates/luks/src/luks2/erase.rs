//! A LUKS2 header without its keyslots.

use crate::area::Area;
use crate::header::Header;
use crate::luks2::header::Luks2;
use crate::luks2::json::Metadata;
use crate::luks2::pair::{self, SealedHeader};
use crate::slot::Slot;
use crate::undo::{Ready, Write};
use block::Bytes;
use crypto::{Random, RandomFailed};
use json::{Object, Value};

/// The slots, and where their key material lies.
pub(crate) fn slots(header: &Luks2) -> Vec<(Slot, Option<Area>)> {
    header.metadata().keyslots.iter().map(|(slot, keyslot)| (*slot, Some(keyslot.area))).collect()
}

/// The whole keyslots area.
pub(crate) fn areas(header: &Luks2) -> Vec<Area> {
    header.metadata().keyslots_area().into_iter().collect()
}

/// The header with the next sequence number and no slots; `None` if there is no such header.
pub(crate) fn ready(header: &Luks2, random: &dyn Random) -> Result<Option<Ready>, RandomFailed> {
    let Some((primary, secondary)) = pair::next_pair(header, random)? else { return Ok(None) };
    let metadata = Metadata::from_document(without_slots(header.metadata().document()), header.size()).ok();
    let Some(after) = metadata.and_then(|metadata| SealedHeader::new(primary, secondary, metadata)) else {
        return Ok(None);
    };
    let write = |offset, bytes: Vec<u8>| vec![Write { offset, bytes: bytes.into() }];
    let phases = vec![write(Bytes(0), after.primary_bytes), write(after.secondary.offset, after.secondary_bytes)];
    let after = Luks2::of_both(after.primary, after.secondary, after.metadata, header.disk_len());
    Ok(Some(Ready { after: Header::Luks2(Box::new(after)), phases }))
}

fn without_slots(document: &Value) -> Value {
    let mut document = document.clone();
    let Some(root) = document.as_object_mut() else { return document };
    root.insert("keyslots", Object::new());
    for section in ["tokens", "digests"] {
        let Some(objects) = root.get_mut(section).and_then(Value::as_object_mut) else { continue };
        let names: Vec<String> = objects.iter().map(|(name, _)| name.to_owned()).collect();
        for name in names {
            if let Some(object) = objects.get_mut(&name).and_then(Value::as_object_mut) {
                object.insert("keyslots", Value::Array(Vec::new()));
            }
            let idle =
                |digest: &Value| digest.as_object().and_then(|d| d.get("segments")) == Some(&Value::Array(Vec::new()));
            if section == "digests" && objects.get(&name).is_some_and(idle) {
                objects.remove(&name);
            }
        }
    }
    document
}
