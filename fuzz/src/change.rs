//! What is true of every change to a header: it is made or refused, it reads back, it touches what it must and no more, and it
//! can be taken back to the last byte.

use crate::header::{allowed, say};
use crate::replayed::Replayed;
use crate::sparse::SparseDisk;
use block::Bytes;
use crypto::{Hash, Passphrase, Secret, VolumeKey};
use json::Object;
use luks::{Accepted, Area, Edit, EditError, Header, KdfCost, LEAST_ITERATIONS, NewKeyslot, Slot, TokenId};
use std::ops::Range;

/// The key of every volume that the seeds come from.
const KEY: [u8; 64] = [0x42; 64];

/// What a change is about.
enum Touched {
    Slot(Slot),
    Token(TokenId),
}

/// Tries a change that costs nothing; whether it was made.
pub(crate) fn try_one(disk: &SparseDisk, accepted: &Accepted) -> bool {
    change(disk, accepted, |edit| edit.add_token(None, a_token()).map(Touched::Token))
}

/// Tries every kind of change, each on the disk as it was; whether any was made.
pub(crate) fn try_all(disk: &SparseDisk, accepted: &Accepted) -> bool {
    let Some(luks2) = accepted.header().as_luks2() else { return false };
    let slot = luks2.metadata().keyslots.keys().next().copied();
    let token = luks2.metadata().tokens.keys().next().copied();
    let mut made = vec![try_one(disk, accepted), change(disk, accepted, |edit| add_keyslot(edit).map(Touched::Slot))];
    if let Some(token) = token {
        made.push(change(disk, accepted, |edit| edit.replace_token(token, a_token()).map(|()| Touched::Token(token))));
        made.push(change(disk, accepted, |edit| edit.remove_token(token).map(|()| Touched::Token(token))));
    }
    if let Some(slot) = slot {
        made.push(change(disk, accepted, |edit| edit.remove_keyslot(slot).map(|()| Touched::Slot(slot))));
    }
    made.contains(&true)
}

fn a_token() -> Object {
    Object::new().with("type", "fuzz").with("keyslots", Vec::<String>::new()).with("n", 1_u64)
}

fn add_keyslot(edit: &mut Edit<'_>) -> Result<Slot, EditError> {
    let key = VolumeKey::new(Secret::copied_from(&KEY));
    let passphrase = Passphrase::new(Secret::copied_from(b"two"));
    let kdf = KdfCost::Pbkdf2 { hash: Hash::Sha256, iterations: LEAST_ITERATIONS };
    edit.add_keyslot(&NewKeyslot { key: &key, passphrase: &passphrase, slot: None, kdf, af_hash: Hash::Sha256 })
}

/// Makes one change, looks at it, and takes it back. Whether it was made.
fn change(
    disk: &SparseDisk,
    before: &Accepted,
    what: impl FnOnce(&mut Edit<'_>) -> Result<Touched, EditError>,
) -> bool {
    let random = Replayed::default();
    let edit = Edit::new(before, &random).and_then(|mut edit| what(&mut edit).map(|touched| (edit, touched)));
    let (edit, touched) = match edit {
        Ok(ready) => ready,
        Err(refused) => {
            say(&refused);
            return false;
        }
    };
    assert!(!edit.to_string().is_empty());
    let content = disk.content();
    let applied = match edit.apply(disk) {
        Ok(applied) => applied,
        Err(refused) => {
            say(&refused);
            assert!(disk.content() == content, "a change was refused and made");
            return false;
        }
    };
    let found = Header::read(disk).expect("what was written is not read");
    assert!(found.is_same(&applied.header), "what was written reads back as something else");
    let after = found.accept(&allowed()).expect("what was written is not accepted");
    check_places(&disk.take_written(), before, &after, &touched);
    check_members(before, &after, &touched);
    applied.undo.revert(disk).expect("a change cannot be taken back");
    assert!(disk.content() == content, "a change was taken back, and something is left of it");
    disk.take_written();
    true
}

/// Written was to the headers and to the area of the slot that the change is about.
fn check_places(written: &[Range<u64>], before: &Accepted, after: &Accepted, touched: &Touched) {
    let headers = header_end(before).0;
    let own: Vec<Range<u64>> = match touched {
        Touched::Slot(slot) => [before, after].iter().filter_map(|header| area(header, *slot)).collect(),
        Touched::Token(_) => Vec::new(),
    };
    for place in written {
        let inside = |area: &Range<u64>| area.start <= place.start && place.end <= area.end;
        assert!(place.end <= headers || own.iter().any(inside), "written to {place:?}");
    }
}

fn header_end(accepted: &Accepted) -> Bytes {
    let luks2 = accepted.header().as_luks2().expect("changes are of LUKS2");
    Bytes(2 * luks2.size().bytes().0)
}

fn area(accepted: &Accepted, slot: Slot) -> Option<Range<u64>> {
    let range = |area: &Area| area.offset().0..area.end().0;
    accepted.header().as_luks2()?.metadata().keyslots.get(&slot).map(|keyslot| range(&keyslot.area))
}

/// Members that the change is not about say what they said, understood or not.
fn check_members(before: &Accepted, after: &Accepted, touched: &Touched) {
    let (before, after) = (document(before), document(after));
    let (section, name, others): (_, _, &[&str]) = match touched {
        Touched::Slot(slot) => ("keyslots", slot.to_string(), &["tokens", "digests"]),
        Touched::Token(token) => ("tokens", token.to_string(), &[]),
    };
    assert_same(before, after, |member| member == section || others.contains(&member));
    let inside = |document: &Object| document.get(section).and_then(|value| value.as_object()).cloned();
    assert_same(&inside(before).unwrap(), &inside(after).unwrap(), |member| member == name);
}

fn document(accepted: &Accepted) -> &Object {
    let luks2 = accepted.header().as_luks2().expect("changes are of LUKS2");
    luks2.metadata().document().as_object().expect("metadata is an object")
}

fn assert_same(before: &Object, after: &Object, may_differ: impl Fn(&str) -> bool) {
    let texts = |object: &Object| -> Vec<(String, String)> {
        let kept = object.iter().filter(|(name, _)| !may_differ(name));
        kept.map(|(name, value)| (name.to_owned(), value.to_compact().as_str().to_owned())).collect()
    };
    assert_eq!(texts(before), texts(after), "a change touched what it is not about");
}
