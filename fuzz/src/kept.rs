//! What a change is not about is as it was.

use crate::touched::{Touched, key};
use json::Object;
use luks::{Accepted, Header, Luks1, Luks1Slot, Luks2, SealState, Slot};
use std::ops::Range;

/// The header of LUKS1, to the end of its second sector.
const LUKS1_HEADER: Range<u64> = 0..1024;

/// Holds a header after a change, and the places that were written to, against the header before.
pub(crate) fn check(before: &Accepted, after: &Accepted, touched: &Touched, written: &[Range<u64>]) {
    assert_eq!(before.data(), after.data(), "the data is elsewhere");
    let places = match (before.header(), after.header()) {
        (Header::Luks1(before), Header::Luks1(after)) => {
            check_luks1(before, after, touched);
            luks1_places(before, touched)
        }
        (Header::Luks2(before), Header::Luks2(after)) => {
            check_luks2(before, after, touched);
            luks2_places(before, after, touched)
        }
        _ => panic!("a change has made another version of it"),
    };
    if matches!(touched, Touched::Seal) {
        let state = after.seal_state(&key());
        assert!(matches!(&state, SealState::Sealed { differences, .. } if differences.is_empty()), "{state:?}");
    }
    for place in written {
        let inside = |allowed: &Range<u64>| allowed.start <= place.start && place.end <= allowed.end;
        assert!(places.iter().any(inside), "{touched:?} has written to {place:?}");
    }
}

fn luks1_places(before: &Luks1, touched: &Touched) -> Vec<Range<u64>> {
    let area = |slot: Slot| {
        let entry = &before.slots[usize::from(slot.number())];
        let length = u64::from(before.key_bytes) * u64::from(entry.stripes);
        entry.material.0..(entry.material.0 + length).next_multiple_of(512)
    };
    let areas = || Slot::all().take(before.slots.len()).map(area);
    let mut places = vec![LUKS1_HEADER];
    match touched {
        // A slot that is free may hold the new key for a while.
        Touched::Slot(slot) => {
            places.push(area(*slot));
            places.extend(areas().zip(&before.slots).filter(|(_, entry)| !entry.active).map(|(area, _)| area));
        }
        Touched::Meta(_) => places.push(areas().map(|area| area.end).max().unwrap()..before.payload.0),
        _ => panic!("LUKS1 has no {touched:?}"),
    }
    places
}

fn check_luks1(before: &Luks1, after: &Luks1, touched: &Touched) {
    let whole =
        |header: &Luks1| (header.cipher.clone(), header.hash.clone(), header.payload, header.key_bytes, header.uuid());
    assert_eq!((whole(before), before.digest_iterations), (whole(after), after.digest_iterations));
    // What an entry that is not in use says of passphrases means nothing.
    let said =
        |entry: &Luks1Slot| (entry.active.then_some((entry.iterations, entry.salt)), entry.material, entry.stripes);
    for (slot, (before, after)) in Slot::all().zip(before.slots.iter().zip(&after.slots)) {
        let same = said(before) == said(after);
        assert!(same || matches!(touched, Touched::Slot(own) if *own == slot), "{touched:?} changed {slot}");
    }
    let (Some(before), Some(after)) = (before.meta().present(), after.meta().present()) else {
        assert!(matches!(touched, Touched::Meta(_)) || before.meta().present().is_none(), "LUKSMeta is gone");
        return;
    };
    for (slot, entry) in before.slots().filter(|(slot, _)| !matches!(touched, Touched::Meta(Some(own)) if own == slot))
    {
        assert_eq!(Some(entry), after.slot(slot), "{touched:?} changed the LUKSMeta of slot {slot}");
        if let Some(Ok(data)) = before.data(slot) {
            assert_eq!(after.data(slot).and_then(Result::ok), Some(data), "{touched:?} changed the data of {slot}");
        }
    }
}

fn luks2_places(before: &Luks2, after: &Luks2, touched: &Touched) -> Vec<Range<u64>> {
    let headers = 0..2 * before.size().bytes().0;
    let mut places = vec![headers];
    if let Touched::Slot(slot) = touched {
        let keyslots = [before, after].into_iter().filter_map(|header| header.metadata().keyslots.get(slot));
        places.extend(keyslots.map(|keyslot| keyslot.area.offset().0..keyslot.area.end().0));
    }
    places
}

/// Members of the document say what they said, understood or not.
fn check_luks2(before: &Luks2, after: &Luks2, touched: &Touched) {
    let (sections, names): (&[&str], _) = match touched {
        Touched::Slot(slot) => (&["keyslots", "tokens", "digests"], vec![slot.to_string()]),
        Touched::Token(token) => (&["tokens"], vec![token.to_string()]),
        Touched::Seal => (&["tokens"], [before, after].into_iter().flat_map(seals).collect()),
        Touched::Whole => (&["config"], vec!["flags".to_owned()]),
        Touched::Meta(_) => panic!("LUKS2 has no LUKSMeta"),
    };
    let (before, after) = (document(before), document(after));
    assert_same(before, after, |member| sections.contains(&member));
    let first = |document: &Object| document.get(sections[0]).and_then(|value| value.as_object()).cloned();
    assert_same(&first(before).unwrap(), &first(after).unwrap(), |member| names.iter().any(|name| name == member));
}

fn seals(header: &Luks2) -> impl Iterator<Item = String> {
    let seals = header.metadata().tokens.iter().filter(|(_, token)| token.kind == "cotter-seal");
    seals.map(|(token, _)| token.to_string())
}

fn document(header: &Luks2) -> &Object {
    header.metadata().document().as_object().expect("metadata is an object")
}

fn assert_same(before: &Object, after: &Object, may_differ: impl Fn(&str) -> bool) {
    let texts = |object: &Object| -> Vec<(String, String)> {
        let kept = object.iter().filter(|(name, _)| !may_differ(name));
        kept.map(|(name, value)| (name.to_owned(), value.to_compact().as_str().to_owned())).collect()
    };
    assert_eq!(texts(before), texts(after), "a change touched what it is not about");
}
