//! Slots that get another passphrase or another key, priorities, labels and flags: what we write is what cryptsetup writes.

use crate::support::*;
use block::{Bytes, MemoryDisk};
use crypto::{Hash, Secret, SystemRandom, VolumeKey};
use luks::*;

const MIB: u64 = 1 << 20;

fn edit(disk: &MemoryDisk, make: impl FnOnce(&mut Edit<'_>)) -> Applied {
    let header = accepted(disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    make(&mut edit);
    edit.apply(disk).unwrap()
}

fn luks2(disk: &MemoryDisk) -> Luks2 {
    Luks2::read(disk).unwrap()
}

fn key_of(disk: &MemoryDisk, text: &str) -> VolumeKey {
    open_any(disk, &accepted(disk), &passphrase(text)).unwrap().1
}

/// Slot 0 is opened by `one`, slot 3 by `two`, and two tokens serve them.
fn theirs() -> TestFile {
    let file = they_format(&with(&["--label", "first", "--subsystem", "fleet"]), 32 * MIB);
    let (one, two) = (TestFile::new(b"one"), TestFile::new(b"two"));
    let mut args = vec!["luksAddKey", "-q", "--key-file", one.name(), "--key-slot", "3"];
    args.extend(TINY_PBKDF2);
    args.extend([file.name(), two.name()]);
    cryptsetup(&args, "").unwrap();
    for json in [r#"{"type":"clevis","keyslots":["3","0"],"jwe":{}}"#, r#"{"type":"x","keyslots":["3"]}"#] {
        cryptsetup(&["token", "import", file.name()], json).unwrap();
    }
    file
}

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    TINY_PBKDF2.iter().chain(more).copied().collect()
}

#[test]
fn a_passphrase_changes_as_with_luks_change_key() {
    let file = theirs();
    let disk = file.disk();
    let key = key_of(&disk, "two");
    let (two, new) = (TestFile::new(b"two"), TestFile::new(b"new"));
    // With --key-slot it would write over the only material there is.
    let mut args = vec!["luksChangeKey", "-q", "--key-file", two.name()];
    args.extend(TINY_PBKDF2);
    args.extend([file.name(), new.name()]);
    cryptsetup(&args, "").unwrap();
    let passphrase = passphrase("new");
    let new = NewKeyslot { key: &key, passphrase: &passphrase, slot: None, kdf: pbkdf2(), af_hash: Hash::Sha256 };
    edit(&disk, |edit| edit.replace_keyslot(slot(3), &new).unwrap());
    assert_eq!(comparable(&disk.to_vec()), comparable(&file.bytes()));
    file.set(&disk);
    assert!(they_open(&file, 3, "new") && they_open(&file, 0, "one") && !they_open(&file, 3, "two"));
}

/// cryptsetup forgets both.
#[test]
fn a_changed_slot_keeps_its_priority_and_what_is_not_understood() {
    let disk = theirs().disk();
    let disk =
        MemoryDisk::from(with_json(&disk.to_vec(), "\"3\":{\"type\"", "\"3\":{\"priority\":2,\"note\":{},\"type\""));
    let (key, new) = (key_of(&disk, "two"), passphrase("new"));
    let old = luks2(&disk).metadata().keyslots[&slot(3)].area;
    let material = |disk: &MemoryDisk| disk.to_vec()[old.offset().0 as usize..old.end().0 as usize].to_vec();
    let before = material(&disk);
    let new = NewKeyslot { key: &key, passphrase: &new, slot: Some(slot(9)), kdf: pbkdf2(), af_hash: Hash::Sha512 };
    let mut lines = String::new();
    let applied = edit(&disk, |edit| {
        edit.replace_keyslot(slot(3), &new).unwrap();
        lines = edit.to_string();
    });
    let after = luks2(&disk);
    let (found, area) = (&after.metadata().keyslots[&slot(3)], after.metadata().keyslots[&slot(3)].area);
    assert_eq!(found.priority, Priority::Prefer);
    assert_eq!(found.as_luks2().unwrap().af_hash, "sha512");
    assert!(json_of(&disk.to_vec(), 0).contains("\"3\":{\"priority\":2,\"note\":{},\"type\""));
    assert!(area.offset() >= old.end(), "in another place: {area:?}, {old:?}");
    let same = material(&disk).iter().zip(&before).filter(|(a, b)| a == b).count();
    assert!(same < before.len() / 128, "the old key material is still there: {same} bytes");
    assert_eq!(
        lines,
        "replace keyslot 3 (pbkdf2), key material at byte 548864 (252 KiB), overwrite that at byte 290816"
    );
    applied.undo.revert(&disk).unwrap();
    assert!(open_keyslot(&disk, &accepted(&disk), slot(3), &passphrase("two")).is_ok());
}

#[test]
fn a_slot_is_replaced_only_where_that_can_be() {
    let disk = theirs().disk();
    let (key, two) = (key_of(&disk, "one"), passphrase("x"));
    let other = VolumeKey::new(Secret::copied_from(&[7; 64]));
    let header = accepted(&disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    let new = |key| NewKeyslot { key, passphrase: &two, slot: None, kdf: pbkdf2(), af_hash: Hash::Sha256 };
    assert!(matches!(edit.replace_keyslot(slot(1), &new(&key)), Err(EditError::NoSuchSlot { .. })));
    assert!(matches!(edit.replace_keyslot(slot(0), &new(&other)), Err(EditError::WrongVolumeKey)));
    // A slot of another key would open the data from then on.
    let unbound = edit.add_unbound_keyslot(&new(&other)).unwrap();
    assert!(matches!(edit.replace_keyslot(unbound, &new(&key)), Err(EditError::NoSuchSlot { .. })));
    assert!(matches!(edit.add_unbound_keyslot(&new(&key)), Err(EditError::VolumeKey)));

    // Room for one slot alone: nothing is ever written over what is in use.
    let options = FormatOptions { data_offset: Bytes(32768 + 258_048 + 4096 * 62), ..FormatOptions::new(pbkdf2()) };
    let Volume { disk, key } = volume(options);
    let header = accepted(&disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    assert!(matches!(edit.replace_keyslot(slot(0), &new(&key)), Err(EditError::NoRoom { .. })));
    assert!(edit.steps().is_empty());
    // Unless a person has been told.
    assert!(matches!(edit.replace_keyslot_in_place(slot(1), &new(&key)), Err(EditError::NoSuchSlot { .. })));
    edit.replace_keyslot_in_place(slot(0), &new(&key)).unwrap();
    let told = "replace keyslot 0 (pbkdf2) in place, key material at byte 32768 (252 KiB): a power failure meanwhile loses the keyslot";
    assert_eq!(edit.to_string(), told);
    edit.apply(&disk).unwrap();
    let file = TestFile::new(&disk.to_vec());
    assert!(they_open(&file, 0, "x") && !they_open(&file, 0, "one"));
}

/// Slots that came in this very edit can be replaced and removed; of their first material nothing reaches the disk.
#[test]
fn a_slot_that_is_added_and_replaced_in_one_edit() {
    let Volume { disk, key } = volume(small_options());
    let before = disk.to_vec();
    let (two, three) = (passphrase("two"), passphrase("three"));
    let new = |passphrase| NewKeyslot { key: &key, passphrase, slot: None, kdf: pbkdf2(), af_hash: Hash::Sha256 };
    edit(&disk, |edit| {
        let slot = edit.add_keyslot(&new(&two)).unwrap();
        edit.replace_keyslot(slot, &new(&three)).unwrap();
    });
    let header = accepted(&disk);
    assert!(open_keyslot(&disk, &header, slot(1), &three).is_ok());
    let second = (32768 + 258_048) as usize;
    assert_eq!(
        disk.to_vec()[second..second + 258_048],
        before[second..second + 258_048],
        "the first area is unwritten"
    );
}

#[test]
fn an_unbound_slot_comes_and_goes_as_theirs() {
    let file = theirs();
    let disk = file.disk();
    let (one, new) = (TestFile::new(b"one"), TestFile::new(b"new"));
    let mut args =
        vec!["luksAddKey", "-q", "--unbound", "--key-size", "128", "--key-slot", "5", "--key-file", one.name()];
    args.extend(TINY_PBKDF2);
    args.extend([file.name(), new.name()]);
    cryptsetup(&args, "").unwrap();
    let (key, passphrase) = (VolumeKey::new(Secret::copied_from(&[9; 16])), passphrase("new"));
    let five = Some(slot(5));
    let new = NewKeyslot { key: &key, passphrase: &passphrase, slot: five, kdf: pbkdf2(), af_hash: Hash::Sha256 };
    let mut line = String::new();
    edit(&disk, |edit| {
        assert_eq!(edit.add_unbound_keyslot(&new).unwrap(), slot(5));
        line = edit.to_string();
    });
    assert_eq!(line, "add keyslot 5 (pbkdf2) for a key of its own, key material at byte 548864 (64 KiB)");
    assert_eq!(comparable(&disk.to_vec()), comparable(&file.bytes()));
    assert_eq!(accepted(&disk).slots().collect::<Vec<_>>(), [slot(0), slot(3)]);
    let ours = TestFile::new(&disk.to_vec());
    let dump = ["luksDump", "-q", "--unbound", "--key-slot", "5", "--key-file=-", ours.name()];
    let said = cryptsetup(&dump, "new").unwrap();
    assert!(said.contains(&"09 ".repeat(16)), "{said}");

    cryptsetup(&["luksKillSlot", "-q", file.name(), "5"], "").unwrap();
    edit(&disk, |edit| edit.remove_keyslot(slot(5)).unwrap());
    assert_eq!(comparable(&disk.to_vec()), comparable(&file.bytes()));
}

#[test]
fn priorities_and_labels_are_written_as_by_config() {
    let file = theirs();
    let disk = file.disk();
    for priority in [Priority::Prefer, Priority::Ignore, Priority::Normal, Priority::Ignore] {
        let name = priority.name();
        cryptsetup(&["config", "--key-slot", "3", "--priority", name, file.name()], "").unwrap();
        edit(&disk, |edit| {
            edit.set_priority(slot(3), priority).unwrap();
            assert_eq!(edit.to_string(), format!("set the priority of keyslot 3 to {name}"));
        });
        assert_eq!(json_of(&disk.to_vec(), 0), json_of(&file.bytes(), 0), "{name}");
        assert_eq!(luks2(&disk).sequence(), luks2(&file.disk()).sequence());
        assert_eq!(luks2(&disk).metadata().keyslots[&slot(3)].priority, priority);
    }
    cryptsetup(&["config", "--label", "disk two", "--subsystem", "rack", file.name()], "").unwrap();
    edit(&disk, |edit| {
        edit.set_label("disk two").unwrap();
        edit.set_subsystem("rack").unwrap();
    });
    for (offset, (a, b)) in disk.to_vec()[..512].iter().zip(&file.bytes()[..512]).enumerate() {
        assert!(a == b || (448..512).contains(&offset), "byte {offset} of the binary header");
    }
}

/// cryptsetup clears the label that is not named, and cuts off what is too long.
#[test]
fn one_label_leaves_the_other_alone() {
    let disk = theirs().disk();
    edit(&disk, |edit| edit.set_label("second").unwrap());
    assert_eq!((luks2(&disk).label().as_str(), luks2(&disk).subsystem().as_str()), ("second", "fleet"));
    edit(&disk, |edit| edit.set_subsystem("").unwrap());
    assert_eq!((luks2(&disk).label().as_str(), luks2(&disk).subsystem().as_str()), ("second", ""));
    let header = accepted(&disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    for bad in ["x".repeat(48), "a\0b".to_owned()] {
        assert!(matches!(edit.set_label(&bad), Err(EditError::Label)));
        assert!(matches!(edit.set_subsystem(&bad), Err(EditError::Label)));
    }
    assert!(edit.steps().is_empty());
    assert!(matches!(edit.set_priority(slot(1), Priority::Ignore), Err(EditError::NoSuchSlot { .. })));
}

/// What libcryptsetup 2.6.1 wrote for `crypt_persistent_flags_set` with all five, and then with none.
#[test]
fn flags_are_written_as_by_open_persistent() {
    let disk = theirs().disk();
    edit(&disk, |edit| edit.set_flags(&Flag::ALL).unwrap());
    let written = r#""flags":["allow-discards","same-cpu-crypt","submit-from-crypt-cpus","no-read-workqueue","no-write-workqueue"]}"#;
    assert!(json_of(&disk.to_vec(), 0).contains(written));
    let file = TestFile::new(&disk.to_vec());
    let said = cryptsetup(&["luksDump", file.name()], "").unwrap();
    let flags = "allow-discards same-cpu-crypt submit-from-crypt-cpus no-read-workqueue no-write-workqueue";
    assert!(said.contains(&format!("Flags:       \t{flags}")), "{said}");
    edit(&disk, |edit| {
        edit.set_flags(&[]).unwrap();
        assert_eq!(edit.to_string(), "clear the flags of the mapping");
    });
    assert!(json_of(&disk.to_vec(), 0).ends_with(r#","flags":[]}}"#));

    let foreign =
        MemoryDisk::from(with_json(&disk.to_vec(), "\"flags\":[]", "\"flags\":[\"no-journal\",\"same-cpu-crypt\"]"));
    edit(&foreign, |edit| {
        edit.set_flags(&[Flag::NoReadWorkqueue, Flag::AllowDiscards]).unwrap();
        let line = "set the flags of the mapping to allow-discards, no-read-workqueue, no-journal";
        assert_eq!(edit.to_string(), line);
    });
    assert!(json_of(&foreign.to_vec(), 0).contains(r#""flags":["allow-discards","no-read-workqueue","no-journal"]"#));
    assert!(Flag::ALL.iter().all(|flag| Flag::from_name(flag.name()) == Some(*flag)));
    assert_eq!(Flag::from_name("no-journal"), None);
}
