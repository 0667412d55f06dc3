//! What can be mended of a LUKS1 header, beside what `cryptsetup repair` does about it.

use crate::luks1_support::*;
use crate::support::*;
use block::{BlockRead, BlockWrite, Bytes, MemoryDisk};
use crypto::SystemRandom;
use luks::*;
use uuid::Uuid;

fn plan(disk: &MemoryDisk, areas: UnusedAreas) -> Result<RepairPlan, RepairError> {
    RepairPlan::new(disk, areas, &SystemRandom)
}

/// The entry of a slot.
fn entry(number: usize) -> usize {
    208 + 48 * number
}

/// Volumes with slots 0 and 5 in use, and these bytes put over the header.
fn broken(disk: &MemoryDisk, pieces: &[(usize, &[u8])]) -> MemoryDisk {
    let mut bytes = disk.to_vec();
    pieces.iter().for_each(|(at, piece)| bytes[*at..][..piece.len()].copy_from_slice(piece));
    MemoryDisk::from(bytes)
}

fn volume_of_two() -> MemoryDisk {
    let Volume { disk, key } = luks1_volume();
    edit(&disk, |edit| {
        edit.add_keyslot(&adding(&key, &passphrase("two"), Some(slot(5)))).unwrap();
    });
    disk
}

/// What a repair says and does; the disk after it is the good one again.
#[test]
fn each_fault_that_can_be_put_right() {
    let good = volume_of_two();
    // What is wrong, what is said, and whether cryptsetup mends it too.
    type Case = (&'static str, Vec<(usize, &'static [u8])>, &'static str, bool);
    let magic = "write magic and version of the LUKS1 header anew: the rest is right";
    let place = "put slot 4, which is not in use, where it belongs";
    let cases: Vec<Case> = vec![
        ("magic", vec![(0, b"XUKS")], magic, false),
        ("magic wiped", vec![(0, &[0; 6])], magic, false),
        ("version", vec![(6, b"\0\x05")], magic, false),
        (
            "state of a slot in use",
            vec![(entry(5), b"\0\0\0\x01")],
            "mark slot 5 as in use: it is marked as neither",
            false,
        ),
        (
            "state of another",
            vec![(entry(7), b"\xff\xff\xff\xff")],
            "mark slot 7 as not in use: it is marked as neither",
            false,
        ),
        ("place", vec![(entry(4) + 40, b"\0\0\0\x01")], place, true),
        ("place over another", vec![(entry(4) + 40, b"\0\0\0\x09")], place, true),
        ("place behind the data", vec![(entry(4) + 40, b"\xff\xff\xff\xff")], place, true),
        ("stripes", vec![(entry(4) + 44, b"\0\0\0\x01")], place, true),
        ("salt of one misplaced", vec![(entry(4) + 40, b"\0\0\0\x01"), (entry(4) + 8, b"junk")], place, true),
    ];
    for (name, pieces, said, theirs_too) in cases {
        let disk = broken(&good, &pieces);
        let file = TestFile::new(&disk.to_vec());
        assert!(
            Header::read(&disk).is_err() || Header::read(&disk).unwrap().accept(&Allowed::default()).is_err(),
            "{name}"
        );
        let repair = plan(&disk, UnusedAreas::All).unwrap_or_else(|e| panic!("{name}: {}", chain(&e)));
        assert_eq!(repair.to_string(), said, "{name}");
        assert!(repair.finds_fault() && repair.beside().is_none(), "{name}");
        assert!(disk.to_vec() == file.bytes(), "{name}: a plan writes nothing");
        let applied = repair.apply(&disk, Force::No).unwrap();
        assert!(disk.to_vec() == good.to_vec(), "{name}");
        assert!(applied.header.is_same(&Header::read(&disk).unwrap()), "{name}");
        assert_eq!((opens(&disk, "one"), opens(&disk, "two")), (Some(0), Some(5)), "{name}");
        assert_eq!(
            cryptsetup(&["repair", "-q", file.name()], "").is_ok() && file.bytes() == good.to_vec(),
            theirs_too,
            "{name}"
        );
        let mended = TestFile::new(&disk.to_vec());
        assert!(they_open(&mended, 0, "one") && they_open(&mended, 5, "two"), "{name}");
        applied.undo.revert(&disk).unwrap();
        assert!(disk.to_vec() == broken(&good, &pieces).to_vec(), "{name}");
    }
    // Several at once.
    let disk = broken(&good, &[(0, &[0; 8]), (entry(5), b"junk"), (entry(4) + 40, b"junk"), (entry(6) + 44, b"junk")]);
    let repair = plan(&disk, UnusedAreas::LeftOver).unwrap();
    assert_eq!(repair.steps().len(), 4, "{repair}");
    repair.apply(&disk, Force::No).unwrap();
    assert!(disk.to_vec() == good.to_vec());
    assert!(plan(&disk, UnusedAreas::LeftOver).unwrap().steps().is_empty());
}

/// The rest of the header must vouch for it.
#[test]
fn what_cannot_be_known_is_left_alone() {
    let good = volume_of_two();
    for (name, pieces) in [
        ("key length", vec![(108, &b"\0\0\0\x41"[..])]),
        ("hash", vec![(72, b"sha513")]),
        ("cipher", vec![(8, b"aes\xff")]),
        ("place of the data", vec![(104, b"\0\0\0\x08")]),
        ("UUID", vec![(168, b"no UUID")]),
        ("place of a slot in use", vec![(entry(5) + 40, b"\0\0\0\x01")]),
        ("stripes of a slot in use", vec![(entry(0) + 44, b"\0\0\0\x01")]),
        ("iterations of a slot in use", vec![(entry(0) + 4, b"\0\0\0\x01")]),
        ("magic and more", vec![(0, b"XUKS"), (72, b"sha513")]),
        ("all", vec![(0, &[0; 592])]),
        ("no slot in use", vec![(0, b"XUKS"), (entry(0), b"\0\0\xde\xad"), (entry(5), b"\0\0\xde\xad")]),
    ] {
        let disk = broken(&good, &pieces);
        let before = disk.to_vec();
        match plan(&disk, UnusedAreas::All) {
            Ok(repair) => {
                assert!(repair.steps().is_empty(), "{name}: {repair}");
                repair.apply(&disk, Force::Yes).unwrap();
            }
            Err(error) => assert!(matches!(error, RepairError::Header { .. }), "{name}: {error:?}"),
        }
        assert!(disk.to_vec() == before, "{name}");
    }
    for len in [0, 5, 512, 1023] {
        let disk = MemoryDisk::from(good.to_vec()[..len].to_vec());
        assert!(matches!(plan(&disk, UnusedAreas::All), Err(RepairError::Header { .. })), "{len}");
    }
}

/// What took the magic away may have put something else there.
#[test]
fn something_else_on_the_disk_is_not_overwritten_unasked() {
    let good = volume_of_two();
    // A FAT boot sector leaves most of the header alone: the text lies in the unused end of the cipher's mode.
    let disk = broken(&good, &[(0, b"\xeb\x3c\x90mkfs"), (54, b"FAT16   ")]);
    let before = disk.to_vec();
    let repair = plan(&disk, UnusedAreas::All).unwrap();
    assert_eq!(repair.beside(), Some("FAT file system"));
    assert!(repair.to_string().contains("refuse that unless told"), "{repair}");
    assert!(matches!(repair.apply(&disk, Force::No), Err(ApplyError::NotForced)));
    assert!(disk.to_vec() == before);
    plan(&disk, UnusedAreas::All).unwrap().apply(&disk, Force::Yes).unwrap();
    assert_eq!((opens(&disk, "one"), opens(&disk, "two")), (Some(0), Some(5)));
}

#[test]
fn a_plan_is_for_the_header_that_was_there() {
    let good = volume_of_two();
    for at in [0usize, entry(7)] {
        let disk = broken(&good, &[(at, b"XX")]);
        let repair = plan(&disk, UnusedAreas::All).unwrap();
        disk.write_at(Bytes(entry(3) as u64 + 10), b"!").unwrap();
        let before = disk.to_vec();
        let refused = repair.apply(&disk, Force::Yes).unwrap_err();
        assert!(matches!(refused, ApplyError::Changed { .. }), "{refused:?}");
        assert!(disk.to_vec() == before);
    }
}

/// A slot that takes minutes to open lies where any other would: what is left beside it goes.
#[test]
fn a_costly_slot_keeps_nothing_from_being_overwritten() {
    let costly = 300_000_000u32.to_be_bytes();
    let disk = broken(&volume_of_two(), &[(entry(5) + 4, &costly)]);
    let header = Header::read(&disk).unwrap();
    assert!(matches!(header.accept(&Allowed::default()), Err(Refused::TooManyIterations { .. })));
    let old = 4096 + 2 * 258_048;
    disk.write_at(Bytes(old as u64), &[7; 256_000]).unwrap();
    let before = disk.to_vec();
    let repair = plan(&disk, UnusedAreas::All).unwrap();
    assert_eq!(repair.steps().len(), 6, "{repair}");
    repair.apply(&disk, Force::No).unwrap();
    let after = disk.to_vec();
    assert!(after[old..][..256_000].iter().filter(|b| **b == 7).count() < 256_000 / 128);
    assert!(after[..old - 258_048] == before[..old - 258_048], "the header and slot 0 stay");
    let fifth = 4096 + 5 * 258_048;
    assert!(after[fifth..][..256_000] == before[fifth..][..256_000], "the costly slot stays");
}

/// Data of Clevis without a slot in use may be what a change left, or belong to a header that was restored, as it may again: it
/// goes when it is asked for. What somebody else keeps there stays.
#[test]
fn data_without_a_slot_is_removed_when_asked_for() {
    let disk = volume_of_two();
    edit(&disk, |edit| {
        edit.init_meta().unwrap();
        edit.save_meta(Some(slot(5)), CLEVIS, b"bound").unwrap();
        edit.save_meta(Some(slot(6)), CLEVIS, b"left over").unwrap();
        edit.save_meta(Some(slot(7)), Uuid::from_u128(7), b"somebody's").unwrap();
    });
    // A block that was written, of a table that was not.
    disk.write_at(Bytes(GAP as u64 + 20_480), &[7; 5000]).unwrap();
    assert!(plan(&disk, UnusedAreas::LeftOver).unwrap().steps().is_empty());

    let before = disk.to_vec();
    let repair = plan(&disk, UnusedAreas::All).unwrap();
    assert!(!repair.finds_fault());
    assert_eq!(repair.steps().len(), 8, "data of Clevis, six slots, one place in the gap");
    assert!(
        repair.to_string().starts_with("remove data of Clevis for slot 6 from LUKSMeta: the slot is not in use\n"),
        "{repair}"
    );
    assert!(
        repair.to_string().contains("overwrite a place in LUKSMeta that no slot has data in: 8 KiB at byte 2088960")
    );
    let applied = repair.apply(&disk, Force::No).unwrap();
    assert!(applied.header.is_same(&Header::read(&disk).unwrap()));
    let theirs = TestFile::new(&before);
    luksmeta(&["wipe", "-f", "-s", "6", "-d", theirs.name()], b"").unwrap();
    let kept = GAP..GAP + 16_384;
    assert!(disk.to_vec()[kept.clone()] == theirs.bytes()[kept], "it is what luksmeta would have done");
    assert!(disk.to_vec()[GAP + 16_384..PAYLOAD].iter().all(|b| *b == 0));
    let meta = meta_of(&disk);
    assert_eq!(meta.slots().map(|(slot, _)| slot.number()).collect::<Vec<_>>(), [5, 7]);
    assert_eq!(meta.data(slot(5)).unwrap().unwrap(), b"bound");
    assert_eq!(meta.data(slot(7)).unwrap().unwrap(), b"somebody's");
    assert_eq!((opens(&disk, "one"), opens(&disk, "two")), (Some(0), Some(5)));
    let steps = plan(&disk, UnusedAreas::All).unwrap().steps().len();
    assert_eq!(steps, 6, "the places of slots are overwritten whenever it is asked for: noise and keys look the same");
    assert!(disk.len() == Bytes(PAYLOAD as u64 + (64 << 10)));
}

/// What a slot costs is judged where it is opened; here nothing is derived.
#[test]
fn a_header_is_mended_whatever_its_slots_cost() {
    let costly = broken(&volume_of_two(), &[(entry(5) + 4, &u32::MAX.to_be_bytes())]);
    let damaged = broken(&costly, &[(0, b"XUKS")]);
    plan(&damaged, UnusedAreas::LeftOver).unwrap().apply(&damaged, Force::No).unwrap();
    assert!(damaged.to_vec() == costly.to_vec());
}
