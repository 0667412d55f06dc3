//! The places in the JSON document that an edit changes. All sections are there and are objects: the document has been read
//! as metadata.

use crate::slot::Slot;
use json::{Object, Value};

/// One section of the document.
pub(super) fn member<'v>(document: &'v mut Value, section: &str) -> Option<&'v mut Object> {
    document.as_object_mut()?.get_mut(section)?.as_object_mut()
}

/// Sets an object of a section; a new one comes last, as with cryptsetup.
pub(super) fn set_object(document: &mut Value, section: &str, name: &str, object: Object) {
    if let Some(objects) = member(document, section) {
        objects.insert(name, object);
    }
}

/// Puts a slot into the list of a digest.
pub(super) fn list_slot(document: &mut Value, digest: &str, slot: Slot) {
    let digest = member(document, "digests").and_then(|digests| digests.get_mut(digest)?.as_object_mut());
    if let Some(Value::Array(slots)) = digest.and_then(|digest| digest.get_mut("keyslots")) {
        slots.push(slot.to_string().into());
    }
}

/// Takes a slot out of the lists of all objects of a section.
pub(super) fn forget_slot(document: &mut Value, section: &str, slot: Slot) {
    let Some(objects) = member(document, section) else { return };
    let slot = slot.to_string();
    let names: Vec<String> = objects.iter().map(|(name, _)| name.to_owned()).collect();
    for name in names {
        let object = objects.get_mut(&name).and_then(Value::as_object_mut);
        if let Some(Value::Array(slots)) = object.and_then(|object| object.get_mut("keyslots")) {
            slots.retain(|listed| listed.as_str() != Some(slot.as_str()));
        }
    }
}

/// Removes the digests that are of no slot and of no segment, as cryptsetup does when a slot goes.
pub(super) fn remove_idle_digests(document: &mut Value) {
    let Some(digests) = member(document, "digests") else { return };
    let empty = |digest: &Object, list| matches!(digest.get(list), Some(Value::Array(items)) if items.is_empty());
    let idle = |digest: &Value| digest.as_object().is_some_and(|d| empty(d, "keyslots") && empty(d, "segments"));
    let names: Vec<String> = digests.iter().filter(|(_, digest)| idle(digest)).map(|(n, _)| n.to_owned()).collect();
    names.iter().for_each(|name| drop(digests.remove(name)));
}
