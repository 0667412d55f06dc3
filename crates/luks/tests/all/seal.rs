//! The seal: what it shows, what it lets pass, and who renews it.

use crate::support::*;
use block::{BlockWrite, Bytes, MemoryDisk};
use crypto::{Hash, Secret, SystemRandom, VolumeKey};
use json::{Limits, Object, Value};
use luks::*;

const MIB: u64 = 1 << 20;

fn object(text: &str) -> Object {
    json::parse(text.as_bytes(), &Limits::SMALL).unwrap().as_object().unwrap().clone()
}

fn edit(disk: &MemoryDisk, make: impl FnOnce(&mut Edit<'_>)) {
    let header = accepted(disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    make(&mut edit);
    edit.apply(disk).unwrap();
}

fn state(disk: &MemoryDisk, key: &VolumeKey) -> SealState {
    accepted(disk).seal_state(key)
}

fn clean(epoch: u64) -> SealState {
    SealState::Sealed { epoch, differences: Vec::new() }
}

fn differences(disk: &MemoryDisk, key: &VolumeKey) -> Vec<Difference> {
    match state(disk, key) {
        SealState::Sealed { differences, .. } => differences,
        other => panic!("{other:?}"),
    }
}

fn add<'a>(key: &'a VolumeKey, passphrase: &'a crypto::Passphrase) -> NewKeyslot<'a> {
    NewKeyslot { key, passphrase, slot: None, kdf: pbkdf2(), af_hash: Hash::Sha256 }
}

/// Two slots, one of another key, two tokens, flags, unknown members, sealed.
fn sealed() -> Volume {
    let options = FormatOptions { label: "x".into(), ..small_options() };
    let Volume { disk, key } = volume(options);
    let bytes = with_json(&disk.to_vec(), "\"config\":{", "\"later\":{\"a\":[1]},\"config\":{\"more\":[\"x\"],");
    let disk = MemoryDisk::from(bytes);
    let (two, other) = (passphrase("two"), VolumeKey::new(Secret::copied_from(&[7; 16])));
    edit(&disk, |edit| {
        edit.add_keyslot(&add(&key, &two)).unwrap();
        edit.add_unbound_keyslot(&add(&other, &two)).unwrap();
        edit.add_token(None, object(r#"{"type":"clevis","keyslots":["1","0"],"jwe":{"protected":"e30"}}"#)).unwrap();
        edit.add_token(None, object(r#"{"type":"x","keyslots":[],"n":5,"b":true,"r":1.5,"z":null}"#)).unwrap();
        edit.set_flags(&[Flag::AllowDiscards, Flag::SameCpuCrypt]).unwrap();
        assert_eq!(edit.seal(&key).unwrap(), 1);
        assert!(edit.to_string().ends_with("seal the header with token 2 (epoch 1)"));
    });
    Volume { disk, key }
}

#[test]
fn a_sealed_header_is_one_like_others() {
    let Volume { disk, key } = volume(small_options());
    assert_eq!(state(&disk, &key), SealState::Unsealed);
    let Volume { disk, key } = sealed();
    assert_eq!(state(&disk, &key), clean(1));
    assert!(state(&disk, &key).is_clean());
    assert_eq!(state(&disk, &key).to_string(), "the header is as it was sealed (epoch 1)");
    let file = TestFile::new(&disk.to_vec());
    assert!(they_open(&file, 0, "one") && they_open(&file, 1, "two"));
    let exported = cryptsetup(&["token", "export", "--token-id", "2", file.name()], "").unwrap();
    let expected = r#"{"type":"cotter-seal","keyslots":[],"version":1,"epoch":"1","header":""#;
    assert!(exported.starts_with(expected), "{exported}");
    let token = Luks2::read(&disk).unwrap().metadata().tokens[&token(2)].recognised();
    assert_eq!(token, TokenKind::CotterSeal);
    edit(&disk, |edit| assert_eq!(edit.seal(&key).unwrap(), 2));
    assert_eq!(state(&disk, &key), clean(2));
}

/// Ways to spoil one value.
fn spoilt(value: &Value) -> Vec<Value> {
    match value {
        Value::Text(text) => vec![format!("{}1", text.as_str()).into(), Value::Null],
        Value::Number(_) => vec![77_777u64.into(), "x".into()],
        Value::Bool(b) => vec![Value::Bool(!b)],
        Value::Null => vec![Value::Bool(false)],
        Value::Array(items) => {
            let mut more = items.clone();
            more.push("77".into());
            let fewer = items.split_first().map(|(_, rest)| Value::Array(rest.to_vec()));
            fewer.into_iter().chain([Value::Array(more)]).collect()
        }
        Value::Object(object) => vec![object.clone().with("77", "x").into()],
    }
}

/// Every document that differs from this one in one place, with the path of the place.
fn mutations(value: &Value, path: &[String]) -> Vec<(Vec<String>, Value)> {
    let mut all: Vec<(Vec<String>, Value)> = spoilt(value).into_iter().map(|v| (path.to_vec(), v)).collect();
    if let Value::Object(object) = value {
        for (name, member) in object.iter() {
            let mut path = path.to_vec();
            path.push(name.to_owned());
            let mut without = object.clone();
            without.remove(name);
            all.push((path.clone(), without.into()));
            for (path, changed) in mutations(member, &path) {
                all.push((path, object.clone().with(name, changed).into()));
            }
        }
    }
    all
}

#[test]
fn every_member_that_is_changed_shows() {
    let Volume { disk, key } = sealed();
    let bytes = disk.to_vec();
    let document = json::parse(json_of(&bytes, 0).as_bytes(), &Limits::LUKS2).unwrap();
    let (mut judged, mut refused) = (0, 0);
    for (path, document) in mutations(&document, &[]) {
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        let changed = MemoryDisk::from(with_json_area(&bytes, document.to_compact().as_bytes()));
        let header = Header::read(&changed).ok().and_then(|header| header.accept(&Allowed::default()).ok());
        let Some(header) = header else {
            refused += 1;
            continue;
        };
        judged += 1;
        let found = header.seal_state(&key);
        let listed =
            |difference| matches!(&found, SealState::Sealed { differences, .. } if differences.contains(&difference));
        let number = || names[1].parse().unwrap();
        let right = match names.as_slice() {
            ["tokens", "2", ..] if is_stripped(&document) => found == SealState::Unsealed,
            ["tokens", "2", ..] => matches!(
                found,
                SealState::Broken(SealBroken::Forged | SealBroken::Malformed { .. } | SealBroken::Version { .. })
            ),
            ["keyslots"] | ["tokens"] => !found.is_clean(),
            ["keyslots", _] => {
                listed(Difference::SlotChanged(slot(number()))) || listed(Difference::SlotRemoved(slot(number())))
            }
            ["keyslots", _, ..] => listed(Difference::SlotChanged(slot(number()))),
            ["tokens", "0", "keyslots"] => listed(Difference::TokenChanged(token(0))),
            ["tokens", _] => {
                listed(Difference::TokenChanged(token(number()))) || listed(Difference::TokenRemoved(token(number())))
            }
            ["tokens", _, ..] => listed(Difference::TokenChanged(token(number()))),
            ["config", "flags"] => found == SealState::Sealed { epoch: 1, differences: vec![Difference::FlagsChanged] },
            // The digest of a slot that opens no data belongs to that slot.
            ["digests", "1", ..] => listed(Difference::SlotChanged(slot(2))),
            ["digests", _, "keyslots"] => {
                listed(Difference::SlotChanged(slot(0))) || listed(Difference::SlotChanged(slot(2)))
            }
            _ => found == SealState::Broken(SealBroken::Header),
        };
        assert!(right, "{}: {found:?}", names.join("."));
    }
    assert!(judged > 80 && refused > 150, "{judged} judged, {refused} refused");
}

/// The seal is gone, or has become another token: that shows only in the bindings.
fn is_stripped(document: &Value) -> bool {
    let tokens = document.as_object().unwrap().get("tokens").unwrap().as_object().unwrap();
    let seal = tokens.get("2").and_then(|seal| seal.as_object()?.get("type")?.as_str());
    seal != Some("cotter-seal")
}

/// A second digest over nothing, unknown members and the size of the header are of the header too.
#[test]
fn what_is_added_shows() {
    let Volume { disk, key } = sealed();
    let check = |from: &str, to: &str, expected: SealState| {
        let changed = MemoryDisk::from(with_json(&disk.to_vec(), from, to));
        assert_eq!(state(&changed, &key), expected, "{to}");
    };
    let broken = || SealState::Broken(SealBroken::Header);
    check("\"segments\":{\"0\":{", "\"segments\":{\"0\":{\"flags\":[],", broken());
    check("\"later\":", "\"latest\":{},\"later\":", broken());
    check("\"config\":{", "\"config\":{\"requirements\":{\"mandatory\":[]},", broken());
    let seal = json_of(&disk.to_vec(), 0);
    let seal = &seal[seal.find("{\"type\":\"cotter-seal\"").unwrap()..];
    let seal = &seal[..=seal.find("\"mac\"").map(|at| at + seal[at..].find('}').unwrap()).unwrap()];
    check("\"tokens\":{", &format!("\"tokens\":{{\"9\":{seal},"), SealState::Broken(SealBroken::Several));
}

#[test]
fn what_names_nothing_does_not_show() {
    let Volume { disk, key } = sealed();
    let mut bytes = disk.to_vec();
    for start in [0, 16384] {
        bytes[start + 23] += 9; // sequence number
        bytes[start + 24..start + 30].copy_from_slice(b"label\0");
        bytes[start + 104..start + 110].copy_from_slice(b"salted");
        bytes[start + 208..start + 211].copy_from_slice(b"sub");
        seal(&mut bytes, start, 16384);
    }
    assert_eq!(state(&MemoryDisk::from(bytes), &key), clean(1));
    // Whoever writes the JSON anew may order it anew, and lists of slots too.
    let json = json_of(&disk.to_vec(), 0);
    let mut document = json::parse(json.as_bytes(), &Limits::LUKS2).unwrap();
    reversed(&mut document);
    let bytes = with_json_area(&disk.to_vec(), document.to_compact().as_bytes());
    assert_eq!(state(&MemoryDisk::from(bytes), &key), clean(1));
    let bytes = with_json(&disk.to_vec(), "\"keyslots\":[\"1\",\"0\"]", "\"keyslots\":[\"0\",\"1\"]");
    assert_eq!(state(&MemoryDisk::from(bytes), &key), clean(1));
}

fn reversed(value: &mut Value) {
    let Some(object) = value.as_object_mut() else { return };
    let names: Vec<String> = object.iter().map(|(name, _)| name.to_owned()).collect();
    for name in names.iter().rev() {
        let mut member = object.remove(name).unwrap();
        reversed(&mut member);
        object.insert(name, member);
    }
}

#[test]
fn the_seal_is_of_this_volume_and_this_key() {
    let Volume { disk, key } = sealed();
    let mut bytes = disk.to_vec();
    for start in [0, 16384] {
        bytes[start + 168] = if bytes[start + 168] == b'a' { b'b' } else { b'a' };
        seal(&mut bytes, start, 16384);
    }
    assert_eq!(state(&MemoryDisk::from(bytes), &key), SealState::Broken(SealBroken::Forged));
    let other = VolumeKey::new(Secret::copied_from(&[7; 64]));
    assert_eq!(accepted(&disk).seal_state(&other), SealState::Broken(SealBroken::Forged));
    let header = accepted(&disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    assert!(matches!(edit.seal(&other), Err(EditError::WrongVolumeKey)));
    assert!(matches!(edit.hold_key(&other), Err(EditError::WrongVolumeKey)));
    assert!(matches!(edit.seal_values(&other, 1), Err(EditError::WrongVolumeKey)));
}

#[test]
fn what_cryptsetup_changes_is_named() {
    let file = they_format(&TINY_PBKDF2, 20 * MIB);
    let disk = file.disk();
    let (_, key) = open_any(&disk, &accepted(&disk), &passphrase("one")).unwrap();
    edit(&disk, |edit| {
        edit.add_token(None, object(r#"{"type":"x","keyslots":["0"]}"#)).unwrap();
        edit.seal(&key).unwrap();
    });
    file.set(&disk);
    let mut expected: Vec<Difference> = Vec::new();
    let mut check = |args: &[&str], input: &str, more: &[Difference]| {
        let mut all = args.to_vec();
        all.push(file.name());
        cryptsetup(&all, input).unwrap();
        expected.extend(more);
        expected.sort();
        let mut found = differences(&file.disk(), &key);
        found.sort();
        assert_eq!(found, expected, "{args:?}");
    };
    let (one, two) = (TestFile::new(b"one"), TestFile::new(b"two"));
    check(&["config", "--label", "other", "--subsystem", "x"], "", &[]);
    check(
        &["token", "import", "--token-id", "7"],
        r#"{"type":"y","keyslots":[]}"#,
        &[Difference::TokenAdded(token(7))],
    );
    let mut args = vec!["luksAddKey", "-q", "--key-file", one.name(), "--key-slot", "4", "--new-key-slot", "4"];
    args.truncate(6);
    args.extend(TINY_PBKDF2);
    let mut full = args.clone();
    full.extend([file.name(), two.name()]);
    cryptsetup(&full, "").unwrap();
    check(&["config", "--key-slot", "4", "--priority", "prefer"], "", &[Difference::SlotAdded(slot(4))]);
    check(&["config", "--key-slot", "0", "--priority", "ignore"], "", &[Difference::SlotChanged(slot(0))]);
    check(&["token", "remove", "--token-id", "0"], "", &[Difference::TokenRemoved(token(0))]);

    let disk = file.disk();
    edit(&disk, |edit| assert_eq!(edit.seal(&key).unwrap(), 2));
    assert_eq!(state(&disk, &key), clean(2));
    // Killing a slot that a token serves changes the token too.
    edit(&disk, |edit| {
        edit.hold_key(&key).unwrap();
        edit.add_token(Some(token(9)), object(r#"{"type":"x","keyslots":["4","0"]}"#)).unwrap();
    });
    assert_eq!(state(&disk, &key), clean(2));
    file.set(&disk);
    cryptsetup(&["luksKillSlot", "-q", "--key-file", one.name(), file.name(), "4"], "").unwrap();
    assert_eq!(differences(&file.disk(), &key), [Difference::SlotRemoved(slot(4)), Difference::TokenChanged(token(9))]);
    let said = state(&file.disk(), &key).to_string();
    assert!(said.ends_with("(epoch 2): keyslot 4 was removed, token 9 was changed"), "{said}");
    cryptsetup(&["config", "--key-slot", "0", "--priority", "normal", file.name()], "").unwrap();
    cryptsetup(
        &[
            "luksChangeKey",
            "-q",
            "--key-file",
            one.name(),
            "--pbkdf",
            "pbkdf2",
            "--pbkdf-force-iterations",
            "1000",
            file.name(),
            two.name(),
        ],
        "",
    )
    .unwrap();
    let found = differences(&file.disk(), &key);
    assert!(found.contains(&Difference::SlotChanged(slot(0))), "{found:?}");
}

#[test]
fn an_edit_that_holds_the_key_renews_the_seal() {
    let Volume { disk, key } = sealed();
    let (three, four) = (passphrase("three"), passphrase("four"));
    edit(&disk, |edit| {
        // What came before the key does too.
        edit.remove_token(token(0)).unwrap();
        edit.set_flags(&[]).unwrap();
        edit.replace_keyslot(slot(1), &add(&key, &three)).unwrap();
        edit.remove_keyslot(slot(2)).unwrap();
        edit.set_priority(slot(0), Priority::Prefer).unwrap();
        edit.add_token(Some(token(5)), object(r#"{"type":"y","keyslots":["1"]}"#)).unwrap();
        edit.replace_token(token(1), object(r#"{"type":"z","keyslots":["1"]}"#)).unwrap();
        assert!(edit.to_string().contains("renew the seal, token 2"), "{edit}");
        assert!(!edit.needs_seal());
    });
    assert_eq!(state(&disk, &key), clean(2));
    edit(&disk, |edit| {
        edit.add_keyslot(&add(&key, &four)).unwrap();
    });
    assert_eq!(state(&disk, &key), clean(2));
    // Without the key it shows.
    edit(&disk, |edit| {
        assert!(!edit.needs_seal());
        edit.set_priority(slot(0), Priority::Normal).unwrap();
        assert!(edit.needs_seal());
    });
    assert_eq!(differences(&disk, &key), [Difference::SlotChanged(slot(0))]);
    edit(&disk, |edit| {
        edit.hold_key(&key).unwrap();
        edit.set_priority(slot(0), Priority::Normal).unwrap();
    });
    assert_eq!(differences(&disk, &key), [Difference::SlotChanged(slot(0))], "it says so until it is sealed anew");
    edit(&disk, |edit| {
        // It is not made twice in one change.
        assert_eq!(edit.seal(&key).unwrap(), 3);
        edit.set_priority(slot(0), Priority::Prefer).unwrap();
    });
    assert_eq!(state(&disk, &key), clean(3));
    edit(&disk, |edit| {
        edit.remove_token(token(2)).unwrap();
        assert!(!edit.needs_seal(), "there is none any more");
    });
    assert_eq!(state(&disk, &key), SealState::Unsealed);
}

/// Who keeps the epoch outside of the disk sees an older header in which a passphrase opens that was taken away since.
#[test]
fn a_header_from_before_something_was_taken_away_is_of_an_older_epoch() {
    let Volume { disk, key } = sealed();
    let three = passphrase("three");
    type Change<'c> = &'c dyn Fn(&mut Edit<'_>);
    let taken: [(&str, Change<'_>); 6] = [
        ("a passphrase", &|edit| edit.remove_keyslot(slot(1)).unwrap()),
        ("the place of a passphrase", &|edit| edit.replace_keyslot(slot(0), &add(&key, &three)).unwrap()),
        ("a token", &|edit| edit.remove_token(token(0)).unwrap()),
        ("what a token says", &|edit| {
            edit.replace_token(token(1), object(r#"{"type":"z","keyslots":["1"]}"#)).unwrap();
        }),
        ("a priority", &|edit| edit.set_priority(slot(0), Priority::Ignore).unwrap()),
        ("flags", &|edit| edit.set_flags(&[]).unwrap()),
    ];
    for (what, change) in taken {
        let disk = MemoryDisk::from(disk.to_vec());
        let older = MemoryDisk::from(disk.to_vec());
        edit(&disk, |edit| {
            edit.hold_key(&key).unwrap();
            change(edit);
        });
        assert_eq!(state(&disk, &key), clean(2), "{what}");
        assert_eq!(state(&older, &key), clean(1), "{what}");
    }
    // What only comes takes nothing away.
    edit(&disk, |edit| {
        edit.add_keyslot(&add(&key, &three)).unwrap();
        edit.add_token(None, object(r#"{"type":"y","keyslots":["0"]}"#)).unwrap();
        edit.set_label("another").unwrap();
    });
    assert_eq!(state(&disk, &key), clean(1));
    // Where the epoch cannot grow, nothing can be taken away under the seal.
    let header = accepted(&disk);
    let mut last = Edit::new(&header, &SystemRandom).unwrap();
    last.remove_token(token(2)).unwrap();
    assert_eq!(last.seal_after(&key, u64::MAX - 1).unwrap(), u64::MAX);
    last.apply(&disk).unwrap();
    let header = accepted(&disk);
    let mut full = Edit::new(&header, &SystemRandom).unwrap();
    full.hold_key(&key).unwrap();
    assert!(matches!(full.remove_keyslot(slot(1)), Err(EditError::EpochExhausted)));
    assert!(full.add_token(None, object(r#"{"type":"y","keyslots":["0"]}"#)).is_ok());
}

/// What somebody else has done to a sealed header is not sealed along by the next change of ours.
#[test]
fn renewing_hides_nothing() {
    let Volume { disk, key } = sealed();
    edit(&disk, |edit| {
        edit.remove_token(token(0)).unwrap();
        edit.add_token(Some(token(8)), object(r#"{"type":"evil","keyslots":["1"]}"#)).unwrap();
        edit.set_priority(slot(1), Priority::Prefer).unwrap();
        edit.remove_keyslot(slot(2)).unwrap();
        edit.set_flags(&[Flag::NoReadWorkqueue]).unwrap();
    });
    let expected = [
        Difference::SlotChanged(slot(1)),
        Difference::SlotRemoved(slot(2)),
        Difference::TokenRemoved(token(0)),
        Difference::TokenAdded(token(8)),
        Difference::FlagsChanged,
    ];
    assert_eq!(differences(&disk, &key), expected);
    let three = passphrase("three");
    edit(&disk, |edit| {
        // Slot 2 was sealed and is gone; the next one takes its number and is sealed.
        assert_eq!(edit.add_keyslot(&add(&key, &three)).unwrap(), slot(2));
        edit.add_token(Some(token(9)), object(r#"{"type":"ours","keyslots":["2"]}"#)).unwrap();
    });
    let left = [expected[0], expected[2], expected[3], expected[4]];
    assert_eq!(differences(&disk, &key), left);
    // What is changed with the key is vouched for.
    edit(&disk, |edit| {
        edit.hold_key(&key).unwrap();
        edit.replace_token(token(8), object(r#"{"type":"good","keyslots":["1"]}"#)).unwrap();
        edit.set_flags(&[]).unwrap();
    });
    assert_eq!(differences(&disk, &key), left[..2]);
}

/// Nor by one to the same slot, token or list of flags, of which it replaces only a part.
#[test]
fn renewing_hides_nothing_in_what_is_changed() {
    let Volume { disk, key } = sealed();
    edit(&disk, |edit| {
        edit.set_priority(slot(0), Priority::Prefer).unwrap();
        edit.set_priority(slot(1), Priority::Ignore).unwrap();
        edit.add_token(Some(token(8)), object(r#"{"type":"evil","keyslots":["1","0"]}"#)).unwrap();
        edit.replace_token(token(0), object(r#"{"type":"clevis","keyslots":["1","0"],"jwe":{}}"#)).unwrap();
    });
    let bytes = with_json(&disk.to_vec(), "\"flags\":[", "\"flags\":[\"evil\",");
    let disk = MemoryDisk::from(bytes);
    let three = passphrase("three");
    edit(&disk, |edit| {
        edit.hold_key(&key).unwrap();
        edit.remove_keyslot(slot(1)).unwrap();
        edit.replace_keyslot(slot(0), &add(&key, &three)).unwrap();
        edit.set_flags(&[]).unwrap();
    });
    let left = [
        Difference::SlotChanged(slot(0)),
        Difference::TokenChanged(token(0)),
        Difference::TokenAdded(token(8)),
        Difference::FlagsChanged,
    ];
    assert_eq!(differences(&disk, &key), left);
    // What is put there as a whole is ours, and what is no more needs no seal.
    edit(&disk, |edit| {
        edit.hold_key(&key).unwrap();
        edit.replace_token(token(0), object(r#"{"type":"clevis","keyslots":["0"],"jwe":{}}"#)).unwrap();
        edit.remove_token(token(8)).unwrap();
    });
    assert_eq!(differences(&disk, &key), [left[0], left[3]]);
}

/// A member that is set does not stand for the members beside it.
#[test]
fn a_token_of_which_one_member_is_set_keeps_what_was_said_of_it() {
    let Volume { disk, key } = sealed();
    let set = |disk: &MemoryDisk| {
        edit(disk, |edit| {
            edit.hold_key(&key).unwrap();
            edit.set_token_member(token(0), "keyslots", vec!["0"].into()).unwrap();
        });
        let header = accepted(disk);
        let token = &header.header().as_luks2().unwrap().metadata().tokens[&token(0)];
        assert_eq!((token.keyslots.as_slice(), token.kind.as_str()), ([slot(0)].as_slice(), "clevis"));
        assert!(token.members.get("jwe").is_some());
    };
    let untouched = MemoryDisk::from(disk.to_vec());
    set(&untouched);
    assert_eq!(state(&untouched, &key), clean(2));
    let evil = object(r#"{"type":"clevis","keyslots":["1","0"],"jwe":{"protected":"e30"},"evil":1}"#);
    edit(&disk, |edit| edit.replace_token(token(0), evil).unwrap());
    set(&disk);
    assert_eq!(differences(&disk, &key), [Difference::TokenChanged(token(0))]);
    let header = accepted(&disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    let missing = edit.set_token_member(token(7), "keyslots", vec!["0"].into());
    assert!(matches!(missing, Err(EditError::NoSuchToken { .. })));
    let a_seal = edit.set_token_member(token(0), "type", "cotter-seal".into());
    assert!(matches!(a_seal, Err(EditError::SealToken { .. })));
    assert!(matches!(edit.set_token_member(token(2), "mac", "x".into()), Err(EditError::SealToken { .. })));
}

#[test]
fn a_broken_seal_is_not_renewed_but_sealed_anew() {
    let Volume { disk, key } = sealed();
    let bytes = with_json(&disk.to_vec(), "\"more\":[\"x\"]", "\"more\":[\"y\"]");
    let broken = MemoryDisk::from(bytes);
    let header = accepted(&broken);
    let mut try_edit = Edit::new(&header, &SystemRandom).unwrap();
    let three = passphrase("three");
    let refused = try_edit.add_keyslot(&add(&key, &three));
    assert!(matches!(refused, Err(EditError::SealBroken { source: SealBroken::Header })), "{refused:?}");
    assert!(SealBroken::Header.hint().contains("cotter luks seal"));
    assert_eq!(try_edit.seal(&key).unwrap(), 2);
    try_edit.add_keyslot(&add(&key, &three)).unwrap();
    try_edit.apply(&broken).unwrap();
    assert_eq!(state(&broken, &key), clean(2));

    // An epoch that somebody has made up cannot be undercut, and can be got rid of.
    let most = format!("\"epoch\":\"{}\"", u64::MAX);
    let forged = MemoryDisk::from(with_json(&disk.to_vec(), "\"epoch\":\"1\"", &most));
    assert_eq!(state(&forged, &key), SealState::Broken(SealBroken::Forged));
    let header = accepted(&forged);
    let mut try_edit = Edit::new(&header, &SystemRandom).unwrap();
    assert!(matches!(try_edit.seal(&key), Err(EditError::EpochExhausted)));
    try_edit.remove_token(token(2)).unwrap();
    assert_eq!(try_edit.seal(&key).unwrap(), 1);

    // A seal is no token like others.
    let fake = object(r#"{"type":"cotter-seal","keyslots":[]}"#);
    assert!(matches!(try_edit.add_token(None, fake.clone()), Err(EditError::SealToken { .. })));
    assert!(matches!(try_edit.replace_token(token(0), fake), Err(EditError::SealToken { .. })));
    let seal = object(r#"{"type":"x","keyslots":[]}"#);
    assert!(matches!(try_edit.replace_token(token(2), seal), Err(EditError::SealToken { .. })));
}

#[test]
fn a_seal_that_does_not_fit_leaves_the_edit_as_it_was() {
    let Volume { disk, key } = volume(small_options());
    let header = accepted(&disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    let room = 12288 - json_of(&disk.to_vec(), 0).len() - 200;
    edit.add_token(
        None,
        Object::new().with("type", "x").with("keyslots", Vec::<&str>::new()).with("y", "z".repeat(room)),
    )
    .unwrap();
    let before = edit.metadata().unwrap().document().to_compact();
    assert!(matches!(edit.seal(&key), Err(EditError::MetadataFull { .. })));
    edit.set_priority(slot(0), Priority::Prefer).unwrap();
    edit.set_priority(slot(0), Priority::Normal).unwrap();
    assert_eq!(edit.metadata().unwrap().document().to_compact(), before);
}

#[test]
fn the_values_can_be_kept_outside_of_the_header() {
    let Volume { disk, key } = sealed();
    let header = accepted(&disk);
    let three = passphrase("three");
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    edit.add_keyslot(&add(&key, &three)).unwrap();
    let values = edit.seal_values(&key, 6).unwrap();
    edit.apply(&disk).unwrap();
    assert_eq!(accepted(&disk).check_seal(&key, &values), clean(6), "they are of the header as it became");
    let before = header.check_seal(&key, &values);
    assert_eq!(before, SealState::Sealed { epoch: 6, differences: vec![Difference::SlotRemoved(slot(3))] });
    let mut forged = values.clone();
    forged.insert("epoch", "7");
    assert_eq!(accepted(&disk).check_seal(&key, &forged), SealState::Broken(SealBroken::Forged));
    forged.insert("version", 2u32);
    assert_eq!(accepted(&disk).check_seal(&key, &forged), SealState::Broken(SealBroken::Version { found: 2 }));
    let malformed = accepted(&disk).check_seal(&key, &Object::new());
    assert!(matches!(malformed, SealState::Broken(SealBroken::Malformed { .. })));
    disk.write_at(Bytes(0), &disk.to_vec()).unwrap();
}

#[test]
fn clones_have_one_fingerprint() {
    let Volume { disk, key } = volume(small_options());
    let clone = TestFile::new(&disk.to_vec());
    cryptsetup(&["luksUUID", "-q", "--uuid", "11111111-2222-4333-8444-555555555555", clone.name()], "").unwrap();
    cryptsetup(&["config", "--label", "clone", clone.name()], "").unwrap();
    let theirs = accepted(&clone.disk());
    assert_eq!(theirs.header().uuid().to_string(), "11111111-2222-4333-8444-555555555555");
    let one = HeaderFingerprint::of(&accepted(&disk));
    assert_eq!(HeaderFingerprint::of(&theirs), one);
    let other = volume(small_options());
    assert_ne!(HeaderFingerprint::of(&accepted(&other.disk)), one);
    assert_ne!(KeyFingerprint::of(&other.key), KeyFingerprint::of(&key));
    assert_eq!(one.to_string().len(), 64);

    // HMAC-SHA256 of the text under 64 bytes of 7, by Python's hmac module.
    let known = KeyFingerprint::of(&VolumeKey::new(Secret::copied_from(&[7; 64])));
    assert_eq!(known.to_string(), "a6d8bf4d379e428ceaeba1da2f8a512490a6cafb171f3b30dc1a3b6500d86050");

    // Conversion keeps the digest, and so the fingerprint.
    let file = TestFile::zeroed(20 * MIB);
    let mut args = vec!["luksFormat", "-q", "--type", "luks1", "--key-file=-"];
    args.extend(TINY_PBKDF2);
    args.push(file.name());
    cryptsetup(&args, "one").unwrap();
    let before = HeaderFingerprint::of(&accepted(&file.disk()));
    cryptsetup(&["convert", "-q", "--type", "luks2", file.name()], "").unwrap();
    assert_eq!(HeaderFingerprint::of(&accepted(&file.disk())), before);
}

/// LUKS1 has no tokens: its values are kept by the bindings.
#[test]
fn a_luks1_header_is_sealed_from_outside() {
    let file = TestFile::zeroed(4 * MIB);
    let mut args = vec!["luksFormat", "-q", "--type", "luks1", "--key-file=-"];
    args.extend(TINY_PBKDF2);
    args.push(file.name());
    cryptsetup(&args, "one").unwrap();
    let disk = file.disk();
    let header = accepted(&disk);
    let (_, key) = open_any(&disk, &header, &passphrase("one")).unwrap();
    assert_eq!(header.seal_state(&key), SealState::Unsealed);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    assert!(matches!(edit.seal(&key), Err(EditError::NotInThisVersion { .. })));
    edit.hold_key(&key).unwrap();
    let two = passphrase("two");
    let new = NewKeyslot { slot: Some(slot(3)), ..add(&key, &two) };
    edit.add_keyslot(&new).unwrap();
    let values = edit.seal_values(&key, 4).unwrap();
    edit.apply(&disk).unwrap();
    assert_eq!(accepted(&disk).check_seal(&key, &values), clean(4));
    let removed = SealState::Sealed { epoch: 4, differences: vec![Difference::SlotRemoved(slot(3))] };
    assert_eq!(header.check_seal(&key, &values), removed);
    let header = accepted(&disk);
    let mut remove = Edit::new(&header, &SystemRandom).unwrap();
    remove.remove_keyslot(slot(0)).unwrap();
    let without = remove.seal_values(&key, 4).unwrap();
    let added = SealState::Sealed { epoch: 4, differences: vec![Difference::SlotAdded(slot(0))] };
    assert_eq!(accepted(&disk).check_seal(&key, &without), added);

    // Every byte of the header: what a slot has shows as the slot's, the rest as the header's; a slot that is not in use
    // and what stands behind a text mean nothing.
    let bytes = disk.to_vec();
    let mut seen = [0; 4];
    for at in 8..592 {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let Ok(header) = Header::read(&MemoryDisk::from(changed)) else { continue };
        let Ok(header) = header.accept(&Allowed::default()) else { continue };
        let entry = (at >= 208).then(|| slot(((at - 208) / 48) as u64));
        match (header.check_seal(&key, &values), entry) {
            (SealState::Broken(SealBroken::Header), None) => seen[0] += 1,
            (SealState::Broken(SealBroken::Forged), None) if (168..204).contains(&at) => seen[1] += 1,
            (SealState::Sealed { differences, .. }, Some(slot)) if differences == [Difference::SlotChanged(slot)] => {
                assert!(slot.number() == 0 || slot.number() == 3, "byte {at}");
                seen[2] += 1;
            }
            (state, entry) => {
                assert!(state == clean(4), "byte {at}: {state:?}");
                let unused = entry.is_none_or(|slot| slot.number() != 0 && slot.number() != 3);
                assert!(unused, "byte {at} of {entry:?}");
                seen[3] += 1;
            }
        }
    }
    assert!(seen.iter().all(|n| *n > 10), "{seen:?}");
}
