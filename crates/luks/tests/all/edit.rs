//! Changes to a header: what they write, what they refuse, and that a failed one leaves no trace.

use crate::support::*;
use block::{BlockRead, BlockWrite, Bytes, MemoryDisk};
use crypto::kdf::Argon2Variant;
use crypto::{Hash, Secret, SystemRandom, VolumeKey};
use json::{Limits, Object, Value};
use luks::*;

fn object(text: &str) -> Object {
    json::parse(text.as_bytes(), &Limits::SMALL).unwrap().as_object().unwrap().clone()
}

fn clevis_token(slot: u64) -> Object {
    object(&format!(r#"{{"type":"clevis","keyslots":["{slot}"],"jwe":{{"protected":"e30"}}}}"#))
}

struct New {
    passphrase: crypto::Passphrase,
    slot: Option<Slot>,
    kdf: KdfCost,
}

fn new(text: &str) -> New {
    New { passphrase: passphrase(text), slot: None, kdf: pbkdf2() }
}

impl New {
    fn with<'a>(&'a self, key: &'a VolumeKey) -> NewKeyslot<'a> {
        NewKeyslot { key, passphrase: &self.passphrase, slot: self.slot, kdf: self.kdf, af_hash: Hash::Sha256 }
    }
}

fn opens(disk: &dyn BlockRead, text: &str) -> Option<Slot> {
    open_any(disk, &accepted(disk), &passphrase(text)).ok().map(|(slot, _)| slot)
}

/// Applies one change, and gives what `Undo` would put back.
fn change(disk: &MemoryDisk, make: impl FnOnce(&mut Edit<'_>)) -> Applied {
    let header = accepted(disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    make(&mut edit);
    edit.apply(disk).unwrap()
}

#[test]
fn slots_and_tokens_come_and_go_and_cryptsetup_agrees() {
    let Volume { disk, key } = volume(small_options());
    let key = &key;
    change(&disk, |edit| {
        assert_eq!(edit.add_keyslot(&new("two").with(key)).unwrap(), slot(1));
        assert_eq!(edit.add_token(None, clevis_token(1)).unwrap(), token(0));
    });
    let person = New { kdf: argon2(Argon2Variant::Argon2id), slot: Some(slot(7)), ..new("three") };
    change(&disk, |edit| assert_eq!(edit.add_keyslot(&person.with(key)).unwrap(), slot(7)));
    assert_eq!(accepted(&disk).header().as_luks2().unwrap().sequence(), 4);
    let file = TestFile::new(&disk.to_vec());
    assert!(they_open(&file, 0, "one") && they_open(&file, 1, "two") && they_open(&file, 7, "three"));
    let exported = cryptsetup(&["token", "export", "--token-id", "0", file.name()], "").unwrap();
    assert_eq!(exported, r#"{"type":"clevis","keyslots":["1"],"jwe":{"protected":"e30"}}"#);

    change(&disk, |edit| edit.remove_keyslot(slot(1)).unwrap());
    let json = json_of(&disk.to_vec(), 0);
    assert!(json.contains(r#""tokens":{"0":{"type":"clevis","keyslots":[],"#), "{json}");
    assert!(json.contains(r#""digests":{"0":{"type":"pbkdf2","keyslots":["0","7"],"#), "{json}");
    change(&disk, |edit| edit.remove_token(token(0)).unwrap());
    file.set(&disk);
    assert!(they_open(&file, 0, "one") && they_open(&file, 7, "three"));
    assert_eq!(opens(&disk, "two"), None);
    assert!(cryptsetup(&["token", "export", "--token-id", "0", file.name()], "").is_err());
}

/// The same steps by both, from the same volume: the same JSON, but for salts.
#[test]
fn we_place_and_list_as_cryptsetup_does() {
    let unsalted = |json: &str| {
        let mut parts = json.split("\"salt\":\"");
        let first = parts.next().unwrap().to_owned();
        parts.fold(first, |all, part| all + part.split_once('"').unwrap().1)
    };
    let theirs = they_format(&TINY_PBKDF2, 32 << 20);
    let ours = theirs.disk();
    let (_, key) = open_any(&ours, &accepted(&ours), &passphrase("one")).unwrap();
    let same = |step: &str| {
        assert_eq!(unsalted(&json_of(&ours.to_vec(), 0)), unsalted(&json_of(&theirs.bytes(), 0)), "{step}");
        assert_eq!(
            accepted(&ours).header().as_luks2().unwrap().sequence(),
            accepted(&theirs.disk()).header().as_luks2().unwrap().sequence(),
            "{step}"
        );
    };
    let keyfile = TestFile::new(b"one");
    let add = |slot_number: &str, hash: &str| {
        let mut args = vec!["luksAddKey", "-q", "--key-file", keyfile.name(), "--new-keyfile=-"];
        args.extend(["--key-slot", slot_number, "--hash", hash]);
        args.extend(TINY_PBKDF2);
        args.push(theirs.name());
        // 2.6.1 takes the new passphrase's file as an argument.
        args.retain(|a| *a != "--new-keyfile=-");
        let two = TestFile::new(b"two");
        args.push(two.name());
        cryptsetup(&args, "").unwrap();
        let hash = Hash::from_luks_name(hash).unwrap();
        let new = New {
            slot: slot_number.parse().ok().and_then(Slot::new),
            kdf: KdfCost::random_passphrase(hash),
            ..new("two")
        };
        change(&ours, |edit| {
            edit.add_keyslot(&NewKeyslot { af_hash: hash, ..new.with(&key) }).unwrap();
        });
        same(&format!("add {slot_number} {hash:?}"));
    };
    let kill = |number: u64| {
        let text = number.to_string();
        cryptsetup(&["luksKillSlot", "-q", "--key-file", keyfile.name(), theirs.name(), &text], "").unwrap();
        change(&ours, |edit| edit.remove_keyslot(slot(number)).unwrap());
        same(&format!("kill {number}"));
    };
    for (number, hash) in [("1", "sha256"), ("5", "sha512"), ("3", "sha1")] {
        add(number, hash);
    }
    let json = r#"{"type":"clevis","keyslots":["3","5"],"jwe":{}}"#;
    cryptsetup(&["token", "import", theirs.name()], json).unwrap();
    change(&ours, |edit| {
        edit.add_token(None, object(json)).unwrap();
    });
    same("token");
    kill(3);
    add("2", "sha256");
    kill(1);
    kill(5);
    add("31", "sha256");
    add("4", "sha256");
}

#[test]
fn what_is_not_understood_is_left_alone() {
    let Volume { disk, key } = volume(small_options());
    let foreign = r#""tokens":{"9":{"type":"x","keyslots":["0"],"deep":{"a":[1,-2.50,1e2,-0,0.1000000000000000055511151231257827,18446744073709551616,null,true,"é\u0001"]}}}"#;
    let bytes = with_json(&disk.to_vec(), "\"tokens\":{}", foreign);
    let bytes = with_json(
        &bytes,
        "\"config\":{",
        "\"future\":[{}],\"config\":{\"flags\":[\"allow-discards\"],\"more\":{\"x\":1},",
    );
    let bytes = with_json(&bytes, "\"kdf\":{", "\"note\":\"mine\",\"kdf\":{");
    let disk = MemoryDisk::from(bytes);
    change(&disk, |edit| {
        edit.add_keyslot(&new("two").with(&key)).unwrap();
        edit.add_token(None, clevis_token(1)).unwrap();
    });
    let json = json_of(&disk.to_vec(), 0);
    for kept in [
        r#""9":{"type":"x","keyslots":["0"],"deep":{"a":[1,-2.50,1e2,-0,0.1000000000000000055511151231257827,18446744073709551616,null,true,"é\u0001"]}}"#,
        r#""future":[{}]"#,
        r#""flags":["allow-discards"],"more":{"x":1}"#,
        r#""note":"mine""#,
    ] {
        assert!(json.contains(kept), "{kept} is not in {json}");
    }
    let file = TestFile::new(&disk.to_vec());
    assert!(they_open(&file, 1, "two"));
}

#[test]
fn each_impossible_change_is_refused() {
    let Volume { disk, key } = volume(small_options());
    let header = accepted(&disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    let other = VolumeKey::new(Secret::copied_from(&[7; 64]));
    let two = new("two");
    assert!(matches!(edit.add_keyslot(&two.with(&other)), Err(EditError::WrongVolumeKey)));
    let taken = New { slot: Some(slot(0)), ..new("two") };
    assert!(matches!(edit.add_keyslot(&taken.with(&key)), Err(EditError::SlotInUse { .. })));
    assert!(matches!(edit.remove_keyslot(slot(1)), Err(EditError::NoSuchSlot { .. })));
    assert!(matches!(edit.remove_token(token(0)), Err(EditError::NoSuchToken { .. })));
    assert!(matches!(edit.replace_token(token(0), clevis_token(0)), Err(EditError::NoSuchToken { .. })));
    let weak = KdfCost::Pbkdf2 { hash: Hash::Sha256, iterations: 999.try_into().unwrap() };
    let weak = New { kdf: weak, ..new("two") };
    assert!(matches!(edit.add_keyslot(&weak.with(&key)), Err(EditError::Refused { .. })));
    for bad in [r#"{"type":"clevis"}"#, r#"{"type":"clevis","keyslots":["5"]}"#, r#"{"keyslots":[]}"#] {
        assert!(matches!(edit.add_token(None, object(bad)), Err(EditError::Metadata { .. })), "{bad}");
    }
    let big = Object::new().with("type", "x").with("keyslots", Vec::<Value>::new()).with("y", "z".repeat(12288));
    assert!(matches!(edit.add_token(None, big), Err(EditError::MetadataFull { .. })));
    assert!(edit.steps().is_empty());
    assert_eq!(edit.metadata().unwrap().document().to_compact().as_str(), json_of(&disk.to_vec(), 0));

    edit.add_token(Some(token(3)), clevis_token(0)).unwrap();
    assert!(matches!(edit.add_token(Some(token(3)), clevis_token(0)), Err(EditError::TokenInUse { .. })));
    // There is room for three key areas.
    edit.add_keyslot(&two.with(&key)).unwrap();
    edit.add_keyslot(&two.with(&key)).unwrap();
    let error = edit.add_keyslot(&two.with(&key)).unwrap_err();
    assert!(chain(&error).contains("no gap of 252 KiB"), "{}", chain(&error));
    for _ in 0..31 {
        edit.add_token(None, object(r#"{"type":"x","keyslots":[]}"#)).unwrap();
    }
    assert!(matches!(edit.add_token(None, clevis_token(0)), Err(EditError::NoFreeToken)));
}

#[test]
fn all_32_slots_can_be_used_and_no_more() {
    let options = FormatOptions { cipher: Cipher::AesCbcEssivSha256, key_len: 16, ..FormatOptions::new(pbkdf2()) };
    let header_size = HeaderSize::new(Bytes(65536)).unwrap();
    let Volume { disk, key } = volume(FormatOptions { header_size, ..options });
    let header = accepted(&disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    for n in 1..32 {
        assert_eq!(edit.add_keyslot(&new(&format!("pass {n}")).with(&key)).unwrap(), slot(n));
    }
    assert!(matches!(edit.add_keyslot(&new("x").with(&key)), Err(EditError::NoFreeSlot)));
    edit.apply(&disk).unwrap();
    let file = TestFile::new(&disk.to_vec());
    assert!(they_open(&file, 31, "pass 31") && they_open(&file, 17, "pass 17"));
    assert_eq!(opens(&disk, "pass 30"), Some(slot(30)));
}

#[test]
fn an_edit_can_be_printed() {
    let Volume { disk, key } = volume(small_options());
    let header = accepted(&disk);
    let before = disk.to_vec();
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    assert_eq!(edit.to_string(), "nothing to change");
    edit.add_keyslot(&new("two").with(&key)).unwrap();
    edit.add_token(None, clevis_token(1)).unwrap();
    edit.replace_token(token(0), clevis_token(0)).unwrap();
    edit.remove_token(token(0)).unwrap();
    edit.remove_keyslot(slot(0)).unwrap();
    assert_eq!(
        edit.to_string().lines().collect::<Vec<_>>(),
        [
            "add keyslot 1 (pbkdf2), key material at byte 290816 (252 KiB)",
            "add token 0 (\"clevis\") for keyslot 1",
            "replace token 0 (\"clevis\") for keyslot 0",
            "remove token 0 (\"clevis\")",
            "remove keyslot 0, overwrite its key material at byte 32768 (252 KiB)",
        ]
    );
    assert!(!format!("{edit:?}").contains("two"));
    assert_eq!(disk.to_vec(), before, "nothing is written before apply");
}

#[test]
fn a_slot_that_comes_and_goes_in_one_edit_leaves_nothing() {
    let Volume { disk, key } = volume(small_options());
    let before = disk.to_vec();
    change(&disk, |edit| {
        let slot = edit.add_keyslot(&new("two").with(&key)).unwrap();
        edit.remove_keyslot(slot).unwrap();
    });
    assert_eq!(disk.to_vec()[32768..], before[32768..]);
}

#[test]
fn a_removed_slot_is_overwritten() {
    let Volume { disk, .. } = volume(small_options());
    let before = disk.to_vec();
    change(&disk, |edit| edit.remove_keyslot(slot(0)).unwrap());
    let after = disk.to_vec();
    let same = (32768..32768 + 258_048).filter(|i| before[*i] == after[*i]).count();
    assert!(same < 258_048 / 128, "{same} bytes are as they were");
    assert_eq!(after[32768 + 258_048..], before[32768 + 258_048..]);
    assert_eq!(opens(&disk, "one"), None);
}

#[test]
fn what_is_undone_is_as_it_was_to_the_last_byte() {
    let Volume { disk, key } = volume(small_options());
    let before = disk.to_vec();
    let applied = change(&disk, |edit| {
        edit.add_keyslot(&new("two").with(&key)).unwrap();
        edit.add_token(None, clevis_token(1)).unwrap();
        edit.remove_keyslot(slot(0)).unwrap();
    });
    assert_eq!((opens(&disk, "one"), opens(&disk, "two")), (None, Some(slot(1))));
    applied.undo.revert(&disk).unwrap();
    assert_eq!(disk.to_vec(), before);
    assert_eq!(opens(&disk, "one"), Some(slot(0)));
}

#[test]
fn undoing_never_undoes_what_others_did() {
    let Volume { disk, key } = volume(small_options());
    let applied = change(&disk, |edit| {
        edit.add_keyslot(&new("two").with(&key)).unwrap();
    });
    change(&disk, |edit| {
        edit.add_token(None, clevis_token(1)).unwrap();
    });
    let before = disk.to_vec();
    assert!(matches!(applied.undo.revert(&disk), Err(RevertError::Changed)));
    assert_eq!(disk.to_vec(), before);
}

#[test]
fn a_header_changed_meanwhile_is_not_overwritten() {
    let Volume { disk, .. } = volume(small_options());
    let header = accepted(&disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    edit.add_token(None, clevis_token(0)).unwrap();
    let file = TestFile::new(&disk.to_vec());
    cryptsetup(&["config", "--label", "theirs", file.name()], "").unwrap();
    let theirs = file.disk();
    let error = edit.apply(&theirs).unwrap_err();
    assert!(matches!(error, ApplyError::Changed { before: 2, found: 3.. }), "{error}");
    assert_eq!(theirs.to_vec(), file.bytes());
}

/// Adds a slot and a token and removes slot 0, on a disk that fails at some point.
fn failing_change(before: &[u8], key: &VolumeKey, fail: Failing) -> (Result<Applied, ApplyError>, FailingDisk) {
    let disk = FailingDisk::new(MemoryDisk::from(before.to_vec()), fail);
    let header = accepted(&disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    edit.add_keyslot(&new("two").with(key)).unwrap();
    edit.add_token(None, clevis_token(1)).unwrap();
    edit.remove_keyslot(slot(0)).unwrap();
    (edit.apply(&disk), disk)
}

#[test]
fn a_failed_edit_leaves_the_disk_as_it_was() {
    let Volume { disk, key } = volume(small_options());
    let before = disk.to_vec();
    for from in 0..4 {
        let (result, after) = failing_change(&before, &key, Failing::Write { from, times: 1 });
        assert!(matches!(result, Err(ApplyError::Failed { .. })), "write {from}: {result:?}");
        assert!(after.disk.to_vec() == before, "write {from}");
        let (result, after) = failing_change(&before, &key, Failing::Flush(from));
        assert!(matches!(result, Err(ApplyError::Failed { .. })), "flush {from}: {result:?}");
        assert!(after.disk.to_vec() == before, "flush {from}");
        let (result, after) = failing_change(&before, &key, Failing::Forget(from));
        let lied = matches!(result, Err(ApplyError::Failed { source: WriteFailure::NotReadBack { .. } }));
        assert!(lied, "forgotten {from}: {result:?}");
        assert!(after.disk.to_vec() == before, "forgotten {from}");
    }
    let (result, after) = failing_change(&before, &key, Failing::Write { from: 4, times: 1 });
    assert!(result.is_ok());
    assert_eq!(after.count(), 4, "key material, two headers, the old key material");
}

/// The states in which an edit may find the two copies.
fn states_of_copies() -> (VolumeKey, Vec<(&'static str, Vec<u8>)>) {
    let Volume { disk, key } = volume(small_options());
    let old = disk.to_vec();
    change(&disk, |edit| {
        edit.add_token(None, clevis_token(0)).unwrap();
    });
    let good = disk.to_vec();
    let with = |place: std::ops::Range<usize>, from: &[u8]| {
        let mut bytes = good.clone();
        bytes[place.clone()].copy_from_slice(&from[place]);
        bytes
    };
    let flipped: Vec<u8> = good.iter().map(|b| b ^ 1).collect();
    let states = vec![
        ("both good", good.clone()),
        ("first damaged", with(5000..5001, &flipped)),
        ("second damaged", with(21384..21385, &flipped)),
        ("second without magic", with(16384..20480, &flipped)),
        ("first older", with(0..16384, &old)),
        ("second older", with(16384..32768, &old)),
    ];
    (key, states)
}

/// How many bytes of a torn write reach the disk: none, some of the binary header, some of the JSON, all.
const TORN: [usize; 5] = [0, 512, 4096, 8192, usize::MAX];

/// The old or the new passphrase opens, with us and with cryptsetup.
fn check_still_opens(disk: &MemoryDisk, what: &str) {
    let header = Header::read(disk).unwrap_or_else(|e| panic!("{what}: {}", chain(&e)));
    let header = header.accept(&Allowed::default()).unwrap();
    let ours = ["one", "two"].iter().any(|text| open_any(disk, &header, &passphrase(text)).is_ok());
    assert!(ours, "{what}: nothing opens");
    let file = TestFile::new(&disk.to_vec());
    assert!(they_open(&file, 0, "one") || they_open(&file, 1, "two"), "{what}: nothing opens with cryptsetup");
}

#[test]
fn an_interrupted_edit_opens_with_the_old_or_the_new_passphrase() {
    let (key, states) = states_of_copies();
    for (state, before) in &states {
        for (at, kept) in (0..4).flat_map(|at| TORN.map(|kept| (at, kept))) {
            let (result, after) = failing_change(before, &key, Failing::Power { at, kept });
            assert!(matches!(result, Err(ApplyError::HalfDone { .. })), "{result:?}");
            check_still_opens(&after.disk, &format!("{state}: write {at} of the edit torn after {kept} bytes"));
        }
    }
}

/// The write fails, and so does putting back, each with half of it done.
#[test]
fn an_edit_that_fails_twice_opens_with_the_old_or_the_new_passphrase() {
    let (key, states) = states_of_copies();
    for (state, before) in &states {
        for from in 0..4 {
            let (result, after) = failing_change(before, &key, Failing::Write { from, times: usize::MAX - 9 });
            assert!(matches!(result, Err(ApplyError::HalfDone { .. })), "{result:?}");
            check_still_opens(&after.disk, &format!("{state}: write {from} and putting back torn"));
        }
    }
}

#[test]
fn an_interrupted_undo_opens_with_the_old_or_the_new_passphrase() {
    let (key, states) = states_of_copies();
    for (state, before) in &states {
        for (at, kept) in (0..4).flat_map(|at| TORN.map(|kept| (at, kept))) {
            let (result, after) = failing_change(before, &key, Failing::Write { from: usize::MAX, times: 0 });
            let disk = FailingDisk::new(after.disk, Failing::Power { at, kept });
            let reverted = result.unwrap().undo.revert(&disk);
            assert!(matches!(reverted, Err(RevertError::Disk { .. })), "{reverted:?}");
            check_still_opens(&disk.disk, &format!("{state}: write {at} of the undo torn after {kept} bytes"));
        }
        let (result, after) = failing_change(before, &key, Failing::Write { from: usize::MAX, times: 0 });
        result.unwrap().undo.revert(&after.disk).unwrap();
        assert!(after.disk.to_vec() == *before, "{state}");
    }
}

/// One flipped bit in the second copy, then a torn first write of a change that adds no key material: the good copy stays.
#[test]
fn the_only_good_copy_is_not_written_first() {
    let (_, states) = states_of_copies();
    for (state, before) in &states {
        let disk = FailingDisk::new(MemoryDisk::from(before.clone()), Failing::Power { at: 0, kept: 100 });
        let header = accepted(&disk);
        let mut edit = Edit::new(&header, &SystemRandom).unwrap();
        edit.remove_token(token(0)).unwrap();
        edit.apply(&disk).unwrap_err();
        assert_eq!(
            accepted(&disk.disk).header().as_luks2().unwrap().sequence(),
            header.header().as_luks2().unwrap().sequence(),
            "{state}"
        );
    }
}

#[test]
fn a_damaged_copy_is_mended_by_the_next_edit() {
    let Volume { disk, .. } = volume(small_options());
    for (copy, at) in [(0, 5000), (1, 16384 + 5000), (1, 16384)] {
        disk.write_at(Bytes(at), b"\xff\xff\xff").unwrap();
        let header = Header::read(&disk).unwrap();
        assert!(matches!(header.as_luks2().unwrap().copies()[copy], CopyState::Damaged { .. }));
        assert!(matches!(header.as_luks2().unwrap().copies()[1 - copy], CopyState::Good));
        let added = change(&disk, |edit| {
            edit.add_token(None, clevis_token(0)).unwrap();
        });
        let header = Header::read(&disk).unwrap();
        assert!(
            header.as_luks2().unwrap().copies().iter().all(|c| matches!(c, CopyState::Good)),
            "{:?}",
            header.as_luks2().unwrap().copies()
        );
        assert_eq!(header.as_luks2().unwrap().sequence(), added.header.as_luks2().unwrap().sequence());
        let bytes = disk.to_vec();
        assert_ne!(bytes[104..168], bytes[16384 + 104..16384 + 168], "each copy has a salt of its own");
    }
    let file = TestFile::new(&disk.to_vec());
    let said = cryptsetup(&["luksDump", "--debug", file.name()], "").unwrap();
    assert!(!said.contains("recovery") && they_open(&file, 0, "one"), "{said}");
}

#[test]
fn something_else_at_the_beginning_of_the_disk_is_not_overwritten() {
    let Volume { disk, .. } = volume(small_options());
    disk.write_at(Bytes(0), &[0; 4096]).unwrap();
    let header = accepted(&disk);
    assert_eq!(header.header().as_luks2().unwrap().metadata().keyslots.len(), 1, "it can be read");
    assert!(matches!(Edit::new(&header, &SystemRandom), Err(EditError::PrimaryGone)));
}

#[test]
fn an_older_copy_gives_way_to_the_newer_one_whichever_it_is() {
    let Volume { disk, .. } = volume(small_options());
    let old = disk.to_vec();
    change(&disk, |edit| {
        edit.add_token(None, clevis_token(0)).unwrap();
    });
    for (copy, at) in [(0, 0), (1, 16384)] {
        let half = MemoryDisk::from(disk.to_vec());
        half.write_at(Bytes(at), &old[usize::try_from(at).unwrap()..][..16384]).unwrap();
        let header = Header::read(&half).unwrap();
        assert_eq!(header.as_luks2().unwrap().sequence(), 3);
        assert!(matches!(header.as_luks2().unwrap().copies()[copy], CopyState::Older { sequence: 2 }));
        assert_eq!(header.as_luks2().unwrap().metadata().tokens.len(), 1);
        change(&half, |edit| edit.remove_token(token(0)).unwrap());
        assert!(Header::read(&half).unwrap().as_luks2().unwrap().copies().iter().all(|c| matches!(c, CopyState::Good)));
    }
}

#[test]
fn the_sequence_number_does_not_wrap() {
    let Volume { disk, .. } = volume(small_options());
    let mut bytes = disk.to_vec();
    for start in [0, 16384] {
        bytes[start + 16..start + 24].fill(0xff);
        seal(&mut bytes, start, 16384);
    }
    let header = accepted(&MemoryDisk::from(bytes));
    assert!(matches!(Edit::new(&header, &SystemRandom), Err(EditError::SequenceExhausted)));
}
