//! What is mended, compared with what cryptsetup mends when it reads a header, and what is never touched.

use crate::support::*;
use block::{BlockWrite, Bytes, MemoryDisk};
use crypto::{Hash, SystemRandom};
use json::{Limits, Object};
use luks::*;

const PRIMARY: usize = 0;
const SECONDARY: usize = 16384;

fn repair(disk: &MemoryDisk, areas: UnusedAreas) -> Result<RepairPlan, RepairError> {
    RepairPlan::new(disk, areas, &SystemRandom)
}

fn edit(disk: &MemoryDisk, make: impl FnOnce(&mut Edit<'_>)) {
    let header = accepted(disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    make(&mut edit);
    edit.apply(disk).unwrap();
}

fn any_token() -> Object {
    let text = br#"{"type":"x","keyslots":["0"]}"#;
    json::parse(text, &Limits::SMALL).unwrap().as_object().unwrap().clone()
}

fn assert_both_good(disk: &MemoryDisk) {
    let header = Luks2::read(disk).unwrap();
    assert!(header.copies().iter().all(|copy| matches!(copy, CopyState::Good)), "{:?}", header.copies());
}

/// Both copies but for salt and checksum.
fn unsalted(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes[..2 * SECONDARY].to_vec();
    for start in [PRIMARY, SECONDARY] {
        bytes[start + 104..start + 168].fill(0);
        bytes[start + 448..start + 512].fill(0);
    }
    bytes
}

/// Two good copies of sequence number 3, and 2 as it was before.
fn states() -> (MemoryDisk, Vec<u8>, Vec<u8>) {
    let Volume { disk, .. } = volume(small_options());
    let old = disk.to_vec();
    edit(&disk, |edit| {
        edit.add_token(None, any_token()).unwrap();
    });
    let good = disk.to_vec();
    (disk, old, good)
}

/// Every way in which one copy can be bad: what comes out is what cryptsetup makes of it by reading.
#[test]
fn a_bad_copy_is_mended_as_they_mend_it() {
    let (_, old, good) = states();
    let check = |name: &str, copy: HeaderCopy, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        let file = TestFile::new(&bytes);
        let said = cryptsetup(&["luksDump", "--debug", file.name()], "").unwrap();
        assert!(said.contains("recovery"), "{name}: they see nothing wrong");
        let theirs = file.bytes();
        let disk = MemoryDisk::from(bytes.clone());
        let plan = repair(&disk, UnusedAreas::LeftOver).unwrap();
        let [RepairStep::Mend { copy: found, .. }, rest @ ..] = plan.steps() else { panic!("{name}: {plan}") };
        assert_eq!(*found, copy, "{name}");
        assert!(rest.is_empty() && plan.finds_fault() && plan.beside().is_none(), "{name}: {plan}");
        let applied = plan.apply(&disk, Force::No).unwrap();
        assert!(unsalted(&disk.to_vec()) == unsalted(&theirs), "{name}: not as after theirs");
        assert!(disk.to_vec()[2 * SECONDARY..] == bytes[2 * SECONDARY..], "{name}: key material is touched");
        assert_both_good(&disk);
        assert!(applied.header.is_same(&Header::read(&disk).unwrap()));
        let salts = [PRIMARY, SECONDARY].map(|start| disk.to_vec()[start + 104..start + 168].to_vec());
        assert_ne!(salts[0], salts[1], "{name}");
        assert!(!repair(&disk, UnusedAreas::LeftOver).unwrap().finds_fault(), "{name}");
        applied.undo.revert(&disk).unwrap();
        assert!(disk.to_vec() == bytes, "{name}: not taken back");
    };
    check("version damaged", HeaderCopy::Secondary, &|bytes| bytes[SECONDARY + 7] ^= 1);
    for (copy, start) in [(HeaderCopy::Primary, PRIMARY), (HeaderCopy::Secondary, SECONDARY)] {
        check("JSON damaged", copy, &|bytes| bytes[start + 5000] ^= 1);
        check("checksum damaged", copy, &|bytes| bytes[start + 450] ^= 1);
        check("size damaged", copy, &|bytes| bytes[start + 14] ^= 1);
        check("offset damaged", copy, &|bytes| bytes[start + 263] ^= 1);
        check("hash damaged", copy, &|bytes| bytes[start + 72] ^= 1);
        check("magic damaged", copy, &|bytes| bytes[start] ^= 1);
        check("zeros", copy, &|bytes| bytes[start..start + SECONDARY].fill(0));
        check("older", copy, &|bytes| bytes[start..start + SECONDARY].copy_from_slice(&old[start..start + SECONDARY]));
        check("no JSON", copy, &|bytes| {
            bytes[start + 4096] = b'[';
            seal(bytes, start, SECONDARY);
        });
    }
}

#[test]
fn a_plan_says_what_is_wrong() {
    let (disk, ..) = states();
    disk.write_at(Bytes(4500), b"\xff").unwrap();
    let plan = repair(&disk, UnusedAreas::LeftOver).unwrap();
    let text = "write the primary header anew: it is damaged: its checksum is wrong";
    assert_eq!(plan.to_string(), text);
    plan.apply(&disk, Force::No).unwrap();
    assert_eq!(repair(&disk, UnusedAreas::LeftOver).unwrap().to_string(), "nothing to repair");
    disk.write_at(Bytes(16384 + 168), b"xxxxxxxx").unwrap();
    let plan = repair(&disk, UnusedAreas::All).unwrap();
    assert_eq!(
        plan.to_string(),
        "write the secondary header anew: it is damaged: it is not a LUKS2 header: uuid is not a UUID\n\
         overwrite a place for key material that no slot uses: 740 KiB at byte 290816"
    );
}

#[test]
fn nothing_is_guessed_where_both_copies_are_bad() {
    let (disk, _, good) = states();
    disk.write_at(Bytes(4500), b"\xff").unwrap();
    disk.write_at(Bytes(16384 + 4500), b"\xff").unwrap();
    let before = disk.to_vec();
    let error = repair(&disk, UnusedAreas::All).unwrap_err();
    assert!(matches!(error, RepairError::Header { source: HeaderError::Damaged { .. } }), "{error}");
    let file = TestFile::new(&before);
    assert!(cryptsetup(&["repair", "-q", file.name()], "").is_err(), "they can mend it");
    assert!(file.bytes() == before && disk.to_vec() == before);
    assert!(repair(&MemoryDisk::zeroed(good.len()), UnusedAreas::All).is_err());
    let mut newer = good;
    newer[7] = 3;
    newer[16384] = 0;
    let error = repair(&MemoryDisk::from(newer), UnusedAreas::All).unwrap_err();
    assert!(matches!(error, RepairError::Header { source: HeaderError::UnknownVersion { version: 3 } }), "{error}");
}

/// A second copy under a file system: cryptsetup refuses to mend it by reading, and so do we until told.
#[test]
fn something_else_on_the_disk_needs_a_word() {
    let (_, _, good) = states();
    for gone in [16384, 4096] {
        let mut bytes = good.clone();
        bytes[..gone].fill(0);
        bytes[1080..1082].copy_from_slice(b"\x53\xef");
        let file = TestFile::new(&bytes);
        assert!(cryptsetup(&["luksDump", file.name()], "").is_err());
        let disk = MemoryDisk::from(bytes.clone());
        let plan = repair(&disk, UnusedAreas::All).unwrap();
        assert_eq!(plan.beside(), Some("ext file system"));
        assert!(
            plan.to_string().ends_with("something else on the disk, which would be lost: ext file system"),
            "{plan}"
        );
        assert!(matches!(plan.apply(&disk, Force::No), Err(ApplyError::NotForced)));
        assert!(disk.to_vec() == bytes);
        repair(&disk, UnusedAreas::All).unwrap().apply(&disk, Force::Yes).unwrap();
        assert_both_good(&disk);
        file.set(&disk);
        assert!(they_open(&file, 0, "one"));
        assert!(unsalted(&disk.to_vec()) == unsalted(&good));
    }
    // Where the first copy is of a version to come, or has one wrong bit there.
    let mut newer = good.clone();
    newer[7] = 3;
    let file = TestFile::new(&newer);
    assert!(cryptsetup(&["luksDump", file.name()], "").unwrap_err().contains("Unsupported LUKS version 3"));
    let disk = MemoryDisk::from(newer);
    assert!(matches!(Header::read(&disk), Err(HeaderError::UnknownVersion { version: 3 })));
    let plan = repair(&disk, UnusedAreas::LeftOver).unwrap();
    assert_eq!(plan.beside(), Some("a LUKS header of an unknown version"));
    plan.apply(&disk, Force::Yes).unwrap();
    assert!(unsalted(&disk.to_vec()) == unsalted(&good));
    // With nothing else there, no word is needed: also where an edit refuses.
    let mut bytes = good.clone();
    bytes[..16384].fill(0);
    let disk = MemoryDisk::from(bytes);
    assert!(matches!(Edit::new(&accepted(&disk), &SystemRandom), Err(EditError::PrimaryGone)));
    repair(&disk, UnusedAreas::LeftOver).unwrap().apply(&disk, Force::No).unwrap();
    assert!(unsalted(&disk.to_vec()) == unsalted(&good));
}

/// Two different headers under one number: cryptsetup takes the first, sees nothing wrong, and leaves key material alone. Which
/// of the two is right only a person can know.
#[test]
fn copies_that_contradict_each_other_are_seen() {
    let Volume { disk, key } = volume(small_options());
    let one_slot = disk.to_vec();
    let two = passphrase("two");
    edit(&disk, |edit| {
        let new = NewKeyslot { key: &key, passphrase: &two, slot: None, kdf: pbkdf2(), af_hash: Hash::Sha256 };
        assert_eq!(edit.add_keyslot(&new).unwrap(), slot(1));
    });
    // The first copy knows one slot, the second one two.
    let mut bytes = disk.to_vec();
    bytes[..SECONDARY].copy_from_slice(&one_slot[..SECONDARY]);
    bytes[PRIMARY + 23] = bytes[SECONDARY + 23];
    seal(&mut bytes, PRIMARY, SECONDARY);
    let material = bytes[2 * SECONDARY..].to_vec();
    let disk = MemoryDisk::from(bytes.clone());
    let header = Luks2::read(&disk).unwrap();
    assert!(matches!(header.copies(), [CopyState::Good, CopyState::Different { sequence: 3 }]));
    assert!(matches!(header.contradiction(), Some(CopyState::Different { .. })));
    let error = Edit::new(&accepted(&disk), &SystemRandom).unwrap_err();
    assert!(matches!(error, EditError::Contradiction { other: None }), "{error}");

    let file = TestFile::new(&bytes);
    cryptsetup(&["repair", "-q", file.name()], "").unwrap();
    assert!(file.bytes()[2 * SECONDARY..] == material, "they touch key material");
    for areas in [UnusedAreas::LeftOver, UnusedAreas::All] {
        let disk = MemoryDisk::from(bytes.clone());
        let plan = repair(&disk, areas).unwrap();
        assert_eq!(plan.contradiction(), Some("different (sequence number 3 like the other one)"));
        let text = "write the secondary header anew: it is different (sequence number 3 like the other one)\n\
                    refuse that unless told: the copies contradict each other, and that one may be right";
        assert_eq!(plan.to_string(), text);
        assert!(matches!(plan.apply(&disk, Force::No), Err(ApplyError::NotForced)));
        assert!(disk.to_vec() == bytes);
        repair(&disk, areas).unwrap().apply(&disk, Force::Yes).unwrap();
        assert_both_good(&disk);
        assert!(disk.to_vec()[2 * SECONDARY..] == material, "key material is touched");
    }
}

/// The first copy of another volume, with a higher number, was written over that of this one by mistake.
#[test]
fn a_copy_of_another_volume_does_not_replace_the_only_one_of_this() {
    let Volume { disk, key } = volume(small_options());
    let two = passphrase("two");
    edit(&disk, |edit| {
        let new = NewKeyslot { key: &key, passphrase: &two, slot: None, kdf: pbkdf2(), af_hash: Hash::Sha256 };
        edit.add_keyslot(&new).unwrap();
    });
    let own = disk.to_vec();
    let uuid = Luks2::read(&disk).unwrap().uuid();
    let Volume { disk: other, .. } = volume(small_options());
    (0..3).for_each(|n| edit(&other, |edit| edit.set_label(&n.to_string()).unwrap()));
    for (copy, range) in [(1, 0..SECONDARY), (0, SECONDARY..2 * SECONDARY)] {
        let mut bytes = own.clone();
        bytes[range.clone()].copy_from_slice(&other.to_vec()[range]);
        let disk = MemoryDisk::from(bytes.clone());
        let header = Luks2::read(&disk).unwrap();
        let CopyState::Foreign { uuid: found, sequence: 3 } = &header.copies()[copy] else {
            panic!("{:?}", header.copies())
        };
        assert_eq!(*found, uuid);
        let error = Edit::new(&accepted(&disk), &SystemRandom).unwrap_err();
        assert!(matches!(error, EditError::Contradiction { other: Some(other) } if other == uuid), "{error}");
        for areas in [UnusedAreas::LeftOver, UnusedAreas::All] {
            let plan = repair(&disk, areas).unwrap();
            assert!(matches!(plan.steps(), [RepairStep::Mend { .. }]), "{plan}");
            assert!(plan.contradiction().unwrap().contains(&uuid.to_string()));
            assert!(matches!(plan.apply(&disk, Force::No), Err(ApplyError::NotForced)));
            assert!(disk.to_vec() == bytes);
        }
        repair(&disk, UnusedAreas::All).unwrap().apply(&disk, Force::Yes).unwrap();
        assert_both_good(&disk);
        assert!(disk.to_vec()[2 * SECONDARY..] == own[2 * SECONDARY..], "key material is touched");
    }
}

/// An older copy with another key of the data is no trace of an interrupted change.
#[test]
fn an_older_copy_proves_something_only_with_the_same_key() {
    let Volume { disk, key } = volume(small_options());
    let before = disk.to_vec();
    let two = passphrase("two");
    let new = NewKeyslot { key: &key, passphrase: &two, slot: None, kdf: pbkdf2(), af_hash: Hash::Sha256 };
    edit(&disk, |edit| edit.replace_keyslot(slot(0), &new).unwrap());
    let mut bytes = disk.to_vec();
    bytes[SECONDARY..2 * SECONDARY].copy_from_slice(&before[SECONDARY..2 * SECONDARY]);
    let wipes = |bytes: &[u8]| {
        let plan = repair(&MemoryDisk::from(bytes.to_vec()), UnusedAreas::LeftOver).unwrap();
        plan.steps().iter().filter(|step| matches!(step, RepairStep::WipeLeftOver { .. })).count()
    };
    assert_eq!(wipes(&bytes), 1);
    let area = &mut bytes[SECONDARY + 4096..2 * SECONDARY];
    let name = b"\"digest\":\"";
    let at = area.windows(name.len()).position(|found| found == name).unwrap() + name.len();
    area[at] = if area[at] == b'A' { b'B' } else { b'A' };
    seal(&mut bytes, SECONDARY, SECONDARY);
    assert!(matches!(Luks2::read(&MemoryDisk::from(bytes.clone())).unwrap().copies()[1], CopyState::Older { .. }));
    assert_eq!(wipes(&bytes), 0);
}

fn slots(disk: &MemoryDisk) -> Vec<(std::ops::Range<usize>, Vec<u8>)> {
    let bytes = disk.to_vec();
    let header = Luks2::read(disk).unwrap();
    let ranges = header.metadata().keyslots.values().map(|k| k.area.offset().0 as usize..k.area.end().0 as usize);
    ranges.map(|range| (range.clone(), bytes[range].to_vec())).collect()
}

/// A change of a passphrase was interrupted after the first copy: the second one tells of the old key material.
#[test]
fn what_an_interrupted_change_left_is_overwritten() {
    let Volume { disk, key } = volume(small_options());
    let before = disk.to_vec();
    let two = passphrase("two");
    let new = NewKeyslot { key: &key, passphrase: &two, slot: None, kdf: pbkdf2(), af_hash: Hash::Sha256 };
    edit(&disk, |edit| edit.replace_keyslot(slot(0), &new).unwrap());
    let old_area = 32768..32768 + 258_048;
    let interrupted = MemoryDisk::from(disk.to_vec());
    interrupted.write_at(Bytes(16384), &before[16384..32768]).unwrap();
    interrupted.write_at(Bytes(32768), &before[old_area.clone()]).unwrap();
    let kept = slots(&interrupted);
    let plan = repair(&interrupted, UnusedAreas::LeftOver).unwrap();
    let area = Area::new(Bytes(32768), Bytes(258_048)).unwrap();
    assert_eq!(plan.steps()[1..], [RepairStep::WipeLeftOver { area }], "{plan}");
    plan.apply(&interrupted, Force::No).unwrap();
    let after = interrupted.to_vec();
    let same = old_area.clone().filter(|at| after[*at] == before[*at]).count();
    assert!(same < 258_048 / 128, "{same} bytes are as they were");
    assert!(kept.iter().all(|(range, bytes)| after[range.clone()] == **bytes));
    assert!(open_any(&interrupted, &accepted(&interrupted), &two).is_ok());

    // Interrupted one write later, both copies are good and nothing tells of it: every place without a slot is overwritten.
    let later = MemoryDisk::from(disk.to_vec());
    later.write_at(Bytes(32768), &before[old_area.clone()]).unwrap();
    assert!(repair(&later, UnusedAreas::LeftOver).unwrap().steps().is_empty());
    let plan = repair(&later, UnusedAreas::All).unwrap();
    assert!(!plan.finds_fault() && plan.steps().len() == 2, "{plan}");
    plan.apply(&later, Force::No).unwrap();
    let after = later.to_vec();
    let same = old_area.filter(|at| after[*at] == before[*at]).count();
    assert!(same < 258_048 / 128, "{same} bytes are as they were");
    assert!(kept.iter().all(|(range, bytes)| after[range.clone()] == **bytes));
    assert!(after[1 << 20..] == before[1 << 20..], "the data is touched");
    assert!(after[..32768] == disk.to_vec()[..32768], "the header is touched");
}

/// Whoever requires something unknown may keep it in the keyslots area.
#[test]
fn nothing_is_overwritten_under_a_header_that_is_not_understood() {
    let (disk, ..) = states();
    let config = "\"config\":{\"requirements\":{\"mandatory\":[\"inline-hw-tags\"]},";
    let mut bytes = with_json(&disk.to_vec(), "\"config\":{", config);
    bytes[5000] ^= 1;
    let disk = MemoryDisk::from(bytes.clone());
    let plan = repair(&disk, UnusedAreas::All).unwrap();
    assert!(matches!(plan.steps(), [RepairStep::Mend { copy: HeaderCopy::Primary, .. }]), "{plan}");
    plan.apply(&disk, Force::No).unwrap();
    assert!(disk.to_vec()[2 * SECONDARY..] == bytes[2 * SECONDARY..]);
    assert_both_good(&disk);
}

/// What it costs to open a slot says nothing about where its key material lies.
#[test]
fn a_costly_slot_keeps_nothing_from_being_overwritten() {
    let Volume { disk, .. } = volume(small_options());
    let disk = MemoryDisk::from(with_json(&disk.to_vec(), "\"iterations\":1000,", "\"iterations\":300000000,"));
    let header = Header::read(&disk).unwrap();
    assert!(matches!(header.accept(&Allowed::default()), Err(Refused::TooManyIterations { .. })));
    let plan = repair(&disk, UnusedAreas::All).unwrap();
    assert!(matches!(plan.steps(), [RepairStep::WipeUnused { .. }, ..]), "{plan}");
}

#[test]
fn a_plan_is_for_the_header_that_was_there() {
    let (disk, ..) = states();
    disk.write_at(Bytes(4500), b"\xff").unwrap();
    let plan = repair(&disk, UnusedAreas::LeftOver).unwrap();
    edit(&disk, |edit| edit.set_label("x").unwrap());
    let before = disk.to_vec();
    assert!(matches!(plan.apply(&disk, Force::Yes), Err(ApplyError::Changed { .. })));
    assert!(disk.to_vec() == before);
}

/// LUKS1 has one copy of its header; what can be done is to overwrite the places of slots that are not in use.
#[test]
fn luks1_key_material_without_a_slot_is_overwritten() {
    let file = TestFile::zeroed(4 << 20);
    let mut args = vec!["luksFormat", "-q", "--type", "luks1", "--key-file=-"];
    args.extend(TINY_PBKDF2);
    args.push(file.name());
    cryptsetup(&args, "one").unwrap();
    let disk = file.disk();
    assert!(repair(&disk, UnusedAreas::LeftOver).unwrap().steps().is_empty());
    let before = disk.to_vec();
    let plan = repair(&disk, UnusedAreas::All).unwrap();
    assert_eq!((plan.steps().len(), plan.finds_fault()), (7, false));
    plan.apply(&disk, Force::No).unwrap();
    let after = disk.to_vec();
    let second = 4096 + 256_000usize.next_multiple_of(4096);
    assert!(after[..second] == before[..second], "the header and slot 0 stay");
    assert!(after[2 << 20..] == before[2 << 20..]);
    assert!(after[second..second + 256_000].iter().filter(|b| **b == 0).count() < 256_000 / 128);
    file.set(&disk);
    assert!(they_open(&file, 0, "one"));
}

#[test]
fn a_repair_that_fails_says_so() {
    let (disk, _, good) = states();
    let mut bad = good.clone();
    bad[4500] ^= 1;
    let little = LittleRandom(std::sync::atomic::AtomicUsize::new(63));
    let error = RepairPlan::new(&MemoryDisk::from(bad.clone()), UnusedAreas::LeftOver, &little).unwrap_err();
    assert!(matches!(error, RepairError::Random { .. }), "{error}");
    let little = LittleRandom(std::sync::atomic::AtomicUsize::new(1000));
    let error = RepairPlan::new(&disk, UnusedAreas::All, &little).unwrap_err();
    assert!(matches!(error, RepairError::Random { .. }), "{error}");
    // A second copy that cannot be read is mended where it can be written.
    let unreadable = FailingDisk::new(disk, Failing::ReadFrom(16384));
    let plan = RepairPlan::new(&unreadable, UnusedAreas::LeftOver, &SystemRandom).unwrap();
    assert_eq!(plan.to_string().lines().next().unwrap().split(": ").take(2).last(), Some("it is damaged"), "{plan}");
    assert!(matches!(plan.apply(&unreadable, Force::No), Err(ApplyError::NotKept { .. })));

    // Somebody repairs it, or changes it, while we look: the plan is for what was there, or there is none.
    let (mut changed, all) = (0, ChangingDisk::new(&bad, &good, usize::MAX));
    RepairPlan::new(&all, UnusedAreas::LeftOver, &SystemRandom).unwrap();
    let newer = MemoryDisk::from(good);
    edit(&newer, |edit| {
        edit.add_token(None, any_token()).unwrap();
    });
    let newer = newer.to_vec();
    for until in 0..all.reads() {
        let disk = ChangingDisk::new(&bad, &newer, until);
        match RepairPlan::new(&disk, UnusedAreas::LeftOver, &SystemRandom) {
            Ok(plan) => {
                let target = MemoryDisk::from(newer.clone());
                let applied = plan.apply(&target, Force::No);
                assert!(applied.is_err() || target.to_vec() == newer, "after {until} reads");
                assert!(target.to_vec() == newer, "after {until} reads");
            }
            Err(RepairError::Changed) => changed += 1,
            // It changed between the two halves of a copy.
            Err(RepairError::Header { .. }) => {}
            Err(error) => panic!("after {until} reads: {error}"),
        }
    }
    assert!(changed > 0);
}
