//! Faults of one member of the JSON of LUKS2, in both copies; the checksums are made right again.

use crate::case::Fault;
use crate::image::BOTH;
use serde_json::Value;

/// Puts a value at a place of the JSON, a new member if need be.
pub fn set(pointer: &'static str, value: Value) -> Fault {
    Box::new(move |image| {
        image.edit(&BOTH, |json| {
            let (parent, member) = pointer.rsplit_once('/').unwrap();
            json.pointer_mut(parent).unwrap()[member] = value.clone();
        });
    })
}

/// Takes a member away.
pub fn without(pointer: &'static str) -> Fault {
    Box::new(move |image| {
        image.edit(&BOTH, |json| {
            let (parent, member) = pointer.rsplit_once('/').unwrap();
            json.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(member).unwrap();
        });
    })
}

/// Changes the JSON in another way.
pub fn edit(change: impl Fn(&mut Value) + 'static) -> Fault {
    Box::new(move |image| image.edit(&BOTH, &change))
}

/// Gives a member another name, with the same value.
pub fn renamed(pointer: &'static str, name: &'static str) -> Fault {
    edit(move |json| {
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        let parent = json.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        let value = parent.remove(member).unwrap();
        parent.insert(name.to_owned(), value);
    })
}
