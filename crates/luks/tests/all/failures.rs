//! Disks and generators that fail, and what is said then.

use crate::support::*;
use block::{BlockRead, Bytes, MemoryDisk};
use crypto::{Hash, SystemRandom};
use json::Object;
use luks::*;
use std::sync::atomic::AtomicUsize;

fn bytes() -> Vec<u8> {
    volume(small_options()).disk.to_vec()
}

fn failing(bytes: &[u8], fail: Failing) -> FailingDisk {
    FailingDisk::new(MemoryDisk::from(bytes.to_vec()), fail)
}

fn any_token() -> Object {
    Object::new().with("type", "x").with("keyslots", Vec::<&str>::new())
}

#[test]
fn a_header_that_cannot_be_read() {
    let bytes = bytes();
    let error = Header::read(&failing(&bytes, Failing::ReadFrom(0))).unwrap_err();
    assert_eq!(chain(&error), "the header cannot be read: cannot read at byte 0: planned");
    let error = Header::read(&failing(&bytes, Failing::ReadFrom(5000))).unwrap_err();
    assert!(
        chain(&error).contains("primary: its JSON area cannot be read: cannot read at byte 4096: planned"),
        "{error}"
    );
    let header = Header::read(&failing(&bytes, Failing::ReadFrom(16384))).unwrap();
    assert!(matches!(
        header.as_luks2().unwrap().copies(),
        [CopyState::Good, CopyState::Damaged { error: CopyError::Disk { .. } }]
    ));
    assert_eq!(
        header.as_luks2().unwrap().copies().each_ref().map(ToString::to_string),
        ["good", "damaged: it cannot be read"]
    );
}

#[test]
fn key_material_that_cannot_be_read() {
    let bytes = bytes();
    let disk = failing(&bytes, Failing::ReadFrom(32768 + 5));
    let header = accepted(&disk);
    let error = open_keyslot(&disk, &header, slot(0), &passphrase("one")).unwrap_err();
    assert!(chain(&error).starts_with("the key material of slot 0 could not be read: cannot read at byte 32768"));
    // With nothing better to say, this is what opening any slot says too.
    assert!(matches!(open_any(&disk, &header, &passphrase("one")), Err(OpenError::Disk { .. })));
}

#[test]
fn a_passphrase_that_cannot_be_stretched() {
    let disk = MemoryDisk::from(
        volume(FormatOptions { kdf: argon2(crypto::kdf::Argon2Variant::Argon2id), ..small_options() }).disk.to_vec(),
    );
    // Argon2 wants a salt of at least 8 bytes (RFC 9106).
    let json = json_of(&disk.to_vec(), 0);
    let (start, rest) = json.split_once("\"cpus\":2,\"salt\":\"").unwrap();
    let json = format!("{start}\"cpus\":2,\"salt\":\"AAAA\"{}", rest.split_once('"').unwrap().1);
    let disk = MemoryDisk::from(with_json_area(&disk.to_vec(), json.as_bytes()));
    let error = open_any(&disk, &accepted(&disk), &passphrase("one")).unwrap_err();
    assert!(chain(&error).starts_with("the passphrase could not be stretched for slot 0: "), "{}", chain(&error));
}

#[test]
fn no_slot_at_all() {
    let disk = MemoryDisk::from(bytes());
    let header = accepted(&disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    edit.remove_keyslot(slot(0)).unwrap();
    edit.apply(&disk).unwrap();
    let error = open_any(&disk, &accepted(&disk), &passphrase("one")).unwrap_err();
    assert_eq!(error.to_string(), "there is no slot that a passphrase could open");
    assert_eq!(accepted(&disk).slot_hash(), Hash::Sha256);
}

#[test]
fn an_edit_without_random_bytes() {
    let Volume { disk, key } = volume(small_options());
    let header = accepted(&disk);
    let (two, before) = (passphrase("two"), disk.to_vec());
    let new = NewKeyslot { key: &key, passphrase: &two, slot: None, kdf: pbkdf2(), af_hash: Hash::Sha256 };
    for enough_for in [0, 32] {
        let random = LittleRandom(AtomicUsize::new(enough_for));
        let mut edit = Edit::new(&header, &random).unwrap();
        assert!(matches!(edit.add_keyslot(&new), Err(EditError::Random { .. })));
        assert!(matches!(edit.remove_keyslot(slot(0)), Err(EditError::Random { .. })));
        assert!(edit.steps().is_empty());
        // What needs none goes on.
        edit.add_token(None, any_token()).unwrap();
    }
    let mut damaged = before.clone();
    damaged[16384..32768].fill(0);
    let header = accepted(&MemoryDisk::from(damaged));
    let random = LittleRandom(AtomicUsize::new(63));
    assert!(matches!(Edit::new(&header, &random), Err(EditError::Random { .. })));
}

#[test]
fn a_disk_that_fails_before_anything_is_written() {
    let bytes = bytes();
    let disk = failing(&bytes, Failing::ReadFrom(32768));
    let header = accepted(&disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    edit.remove_keyslot(slot(0)).unwrap();
    let error = edit.apply(&disk).unwrap_err();
    assert!(matches!(error, ApplyError::NotKept { .. }), "{error}");
    assert!(disk.disk.to_vec() == bytes);

    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    edit.add_token(None, any_token()).unwrap();
    let other = failing(&bytes, Failing::ReadFrom(0));
    let error = edit.apply(&other).unwrap_err();
    assert!(matches!(error, ApplyError::Unreadable { .. }), "{error}");
    assert!(other.disk.to_vec() == bytes);
}

#[test]
fn a_disk_that_fails_when_it_is_read_back() {
    let bytes = bytes();
    let disk = failing(&bytes, Failing::ReadAfter(2));
    let header = accepted(&disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    edit.add_token(None, any_token()).unwrap();
    let error = edit.apply(&disk).unwrap_err();
    let expected = "the change could not be written; the disk is as it was: cannot read at byte 16384: planned";
    assert_eq!(chain(&error), expected);
    assert!(disk.disk.to_vec() == bytes);
}

#[test]
fn what_cannot_be_taken_back_is_said() {
    let bytes = bytes();
    let undo = || {
        let disk = MemoryDisk::from(bytes.clone());
        let header = accepted(&disk);
        let mut edit = Edit::new(&header, &SystemRandom).unwrap();
        edit.add_token(None, any_token()).unwrap();
        let applied = edit.apply(&disk).unwrap();
        (applied.undo, disk.to_vec())
    };
    let (taken, after) = undo();
    let disk = failing(&after, Failing::ReadFrom(0));
    assert!(matches!(taken.revert(&disk), Err(RevertError::Unreadable { .. })));
    let (taken, after) = undo();
    let disk = failing(&after, Failing::Write { from: 0, times: 1 });
    let error = taken.revert(&disk).unwrap_err();
    assert!(matches!(error, RevertError::Disk { .. }), "{error}");
    assert_eq!(format!("{:?}", undo().0), "Undo(..)");
}

#[test]
fn a_header_that_would_grow_by_being_written() {
    // `\b` is written as `\u0008`: what just fitted does not any more.
    let bytes = bytes();
    let json = json_of(&bytes, 0);
    let room = 12288 - 1 - json.len() - "\"x\":\"\",".len();
    let full = json.replacen("\"config\":{", &format!("\"x\":\"{}\",\"config\":{{", "\\b".repeat(room / 2)), 1);
    let disk = MemoryDisk::from(with_json_area(&bytes, full.as_bytes()));
    let header = accepted(&disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    assert!(matches!(edit.add_token(None, any_token()), Err(EditError::MetadataFull { .. })));
    assert!(matches!(edit.apply(&disk), Err(ApplyError::MetadataFull)));
}

#[test]
fn a_format_that_fails() {
    let plan = |disk: &dyn BlockRead| FormatPlan::new(disk.len(), small_options()).unwrap();
    let full = vec![0xaa; 2 << 20];
    for enough_for in [0, 64, 96, 112, 176, 240, 500_000] {
        let disk = MemoryDisk::from(full.clone());
        let random = LittleRandom(AtomicUsize::new(enough_for));
        let error = plan(&disk).apply(&disk, &passphrase("one"), &random, &mut |_| {}).unwrap_err();
        assert!(chain(&error).contains("the system's random generator failed"), "{enough_for}: {}", chain(&error));
        assert_eq!(disk.to_vec() == full, enough_for < 500_000, "nothing is lost before the slow part is done");
    }
    for from in 0..5 {
        let disk = failing(&full, Failing::Write { from, times: 1 });
        let error = plan(&disk).apply(&disk, &passphrase("one"), &SystemRandom, &mut |_| {}).unwrap_err();
        let wiped = matches!(error, FormatError::Disk { .. } | FormatError::Apply { .. });
        assert!(wiped && error.to_string().contains("what was there is lost"), "{from}: {error}");
    }
}

#[test]
fn a_volume_longer_than_its_disk_is_no_view() {
    let bytes = bytes();
    let header = accepted(&MemoryDisk::from(bytes.clone()));
    let (_, key) = open_any(&MemoryDisk::from(bytes.clone()), &header, &passphrase("one")).unwrap();
    let error = Plain::new(MemoryDisk::zeroed(4096), &header, &key).unwrap_err();
    assert_eq!(error.to_string(), "the disk has 4096 bytes, but the data begins at 1048576");
    assert!(Plain::new(MemoryDisk::from(bytes), &header, &key).unwrap().len() > Bytes(0));
}
