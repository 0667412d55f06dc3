//! All keyslots destroyed: as `cryptsetup erase` leaves the header, and with nothing left of former slots.

use crate::luks1_support::{GAP, KEY_BYTES, LUKS1_PAYLOAD, MATERIAL, STRIPES, luks1_field, luks1_volume_of, with_u32};
use crate::support::*;
use block::{BlockRead, BlockWrite, Bytes, MemoryDisk};
use crypto::{Hash, Secret, SystemRandom, VolumeKey};
use luks::*;
use std::sync::atomic::AtomicUsize;

const MIB: u64 = 1 << 20;

fn plan(disk: &dyn BlockRead) -> Result<ErasePlan, EraseError> {
    ErasePlan::new(disk, &SystemRandom)
}

/// Slots 0 and 1, a token.
fn theirs(format: &str) -> TestFile {
    let file = TestFile::zeroed(20 * MIB);
    let mut args = vec!["luksFormat", "-q", "--type", format, "--key-file=-"];
    args.extend(TINY_PBKDF2);
    args.push(file.name());
    cryptsetup(&args, "one").unwrap();
    let (one, two) = (TestFile::new(b"one"), TestFile::new(b"two"));
    let mut args = vec!["luksAddKey", "-q", "--key-file", one.name()];
    args.extend(TINY_PBKDF2);
    args.extend([file.name(), two.name()]);
    cryptsetup(&args, "").unwrap();
    file
}

#[test]
fn the_header_is_as_after_theirs() {
    let file = theirs("luks2");
    cryptsetup(&["token", "import", file.name()], r#"{"type":"x","keyslots":["1","0"],"y":1}"#).unwrap();
    let disk = file.disk();
    let before = file.bytes();
    cryptsetup(&["erase", "-q", file.name()], "").unwrap();
    let plan = plan(&disk).unwrap();
    assert_eq!(plan.slots(), [slot(0), slot(1)]);
    let uuid = accepted(&disk).header().uuid();
    let text =
        format!("destroy all keyslots of {uuid}: 0, 1\noverwrite the place of key material at byte 32768 (15.9 MiB)");
    assert_eq!(plan.to_string(), text);
    let erased = plan.apply(&disk, &SystemRandom).unwrap();
    assert_eq!(json_of(&disk.to_vec(), 0), json_of(&file.bytes(), 0));
    assert_eq!((erased.sequence_before, erased.sequence_after), (Some(5), Some(6)));
    assert_eq!(erased.bytes(), Bytes(16_744_448));
    assert_eq!(
        erased.to_string(),
        format!(
            "volume: {uuid} (LUKS2)\nkeyslots destroyed: 0, 1\n\
             overwritten with random bytes and read back: 32768 to 16777216 (16744448 bytes)\n\
             sequence number of the header: 5 before, 6 after\nkeyslots left: none"
        )
    );
    let after = disk.to_vec();
    let same = (32768..16 << 20).filter(|at| after[*at] == before[*at]).count();
    assert!(same < (16 << 20) / 128, "{same} bytes of key material are as they were");
    assert!(after[16 << 20..] == before[16 << 20..], "the data is touched");
    file.set(&disk);
    let dump = cryptsetup(&["luksDump", file.name()], "").unwrap();
    assert!(dump.contains("Keyslots:\nTokens:\n  0: x\nDigests:\n"), "{dump}");
    assert!(erased.header.is_same(&Header::read(&disk).unwrap()));
    // Once more finds no slot, and overwrites again.
    let again = ErasePlan::new(&disk, &SystemRandom).unwrap().apply(&disk, &SystemRandom).unwrap();
    assert!(again.slots.is_empty());
}

#[test]
fn slots_of_other_keys_go_too() {
    let Volume { disk, .. } = volume(small_options());
    let (two, other) = (passphrase("two"), VolumeKey::new(Secret::copied_from(&[7; 16])));
    let header = accepted(&disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    let new = NewKeyslot { key: &other, passphrase: &two, slot: None, kdf: pbkdf2(), af_hash: Hash::Sha256 };
    edit.add_unbound_keyslot(&new).unwrap();
    edit.apply(&disk).unwrap();
    plan(&disk).unwrap().apply(&disk, &SystemRandom).unwrap();
    let header = Luks2::read(&disk).unwrap();
    assert!(header.metadata().keyslots.is_empty());
    assert_eq!(header.metadata().digests.keys().collect::<Vec<_>>(), ["0"]);
}

#[test]
fn luks1_is_erased_as_theirs() {
    let file = theirs("luks1");
    let disk = file.disk();
    let before = file.bytes();
    cryptsetup(&["erase", "-q", file.name()], "").unwrap();
    let erased = plan(&disk).unwrap().apply(&disk, &SystemRandom).unwrap();
    let [area] = erased.areas[..] else { panic!("not one place: {:?}", erased.areas) };
    assert_eq!((erased.slots.as_slice(), area.offset()), ([slot(0), slot(1)].as_slice(), Bytes(1024)));
    assert_eq!((erased.sequence_before, erased.sequence_after), (None, None));
    assert!(!erased.to_string().contains("sequence"), "{erased}");
    let (ours, theirs) = (disk.to_vec(), file.bytes());
    assert!(ours[..1024] == theirs[..1024], "the header is not as after theirs");
    let end = usize::try_from(area.end().0).unwrap();
    assert!(end < 2 << 20 && ours[end..] == before[end..]);
    file.set(&disk);
    let dump = cryptsetup(&["luksDump", file.name()], "").unwrap();
    assert_eq!(dump.matches("DISABLED").count(), 8, "{dump}");
}

#[test]
fn what_is_not_understood_is_not_erased() {
    let Volume { disk, .. } = volume(small_options());
    let config = "\"config\":{\"requirements\":{\"mandatory\":[\"inline-hw-tags\"]},";
    let unknown = MemoryDisk::from(with_json(&disk.to_vec(), "\"config\":{", config));
    assert!(matches!(plan(&unknown), Err(EraseError::Refused { .. })));
    assert!(matches!(plan(&MemoryDisk::zeroed(4096)), Err(EraseError::Header { .. })));
    let gone = MemoryDisk::from(disk.to_vec());
    gone.write_at(Bytes(0), &[0; 4096]).unwrap();
    let error = plan(&gone).unwrap_err();
    assert!(matches!(error, EraseError::PrimaryGone) && error.hint().unwrap().contains("repair"));
    let mut last = disk.to_vec();
    for start in [0, 16384] {
        last[start + 16..start + 24].fill(0xff);
        seal(&mut last, start, 16384);
    }
    assert!(matches!(plan(&MemoryDisk::from(last)), Err(EraseError::Full)));
    // What would not be opened can be destroyed all the same.
    let null = with_json(&disk.to_vec(), "\"0\",\"encryption\":\"aes-xts-plain64\"", "\"0\",\"encryption\":\"null\"");
    let null = MemoryDisk::from(null);
    plan(&null).unwrap().apply(&null, &SystemRandom).unwrap();

    let old = plan(&disk).unwrap();
    let header = accepted(&disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    edit.set_label("x").unwrap();
    edit.apply(&disk).unwrap();
    let before = disk.to_vec();
    assert!(matches!(old.apply(&disk, &SystemRandom), Err(EraseError::Changed)));
    assert!(disk.to_vec() == before);
}

/// A disk that fails, or takes bytes and forgets them: nothing is certified, and it can be tried again.
#[test]
fn a_disk_that_keeps_its_secrets_is_found_out() {
    let Volume { disk, .. } = volume(small_options());
    let bytes = disk.to_vec();
    let erase = |fail| {
        let disk = FailingDisk::new(MemoryDisk::from(bytes.clone()), fail);
        let result = plan(&disk).unwrap().apply(&disk, &SystemRandom);
        (result.map(|_| ()), disk.disk)
    };
    let (result, disk) = erase(Failing::Forget(0));
    assert!(matches!(result, Err(EraseError::NotReadBack { offset: Bytes(32768) })), "{result:?}");
    assert!(result.unwrap_err().hint().unwrap().contains("destroy it"));
    assert!(open_any(&disk, &accepted(&disk), &passphrase("one")).is_ok());
    let (result, disk) = erase(Failing::Write { from: 0, times: 1 });
    assert!(matches!(result, Err(EraseError::Disk { .. })), "{result:?}");
    plan(&disk).unwrap().apply(&disk, &SystemRandom).unwrap();
    // The header could not be written: the keys do not come back with it.
    for from in [1, 2] {
        let (result, disk) = erase(Failing::Write { from, times: 1 });
        assert!(matches!(result, Err(EraseError::Apply { .. })), "{result:?}");
        let header = accepted(&disk);
        assert!(open_any(&disk, &header, &passphrase("one")).is_err());
        let again = plan(&disk).unwrap().apply(&disk, &SystemRandom).unwrap();
        assert_eq!(again.slots, [slot(0)]);
    }
    let little = LittleRandom(AtomicUsize::new(1000));
    let disk = MemoryDisk::from(bytes);
    let result = ErasePlan::new(&disk, &little).unwrap().apply(&disk, &little);
    assert!(matches!(result, Err(EraseError::Random { .. })));
}

/// Key material that a LUKS1 header says is in the data, in the header or nowhere: cryptsetup does not touch such a header, and
/// a certificate of it would be a lie.
#[test]
fn luks1_that_points_elsewhere_is_not_erased() {
    let good = luks1_volume_of(8 << 20).disk.to_vec();
    let in_the_data = (4 << 20) / 512;
    let cases = [
        (luks1_field(7, MATERIAL), in_the_data, "the key material of slot 7 does not lie between"),
        (luks1_field(0, MATERIAL), in_the_data, "the key material of slot 0 does not lie between"),
        (luks1_field(7, MATERIAL), 0, "the key material of slot 7 does not lie between"),
        (luks1_field(7, MATERIAL), 8, "the key material of slot 7 overlaps that of slot 0"),
        (luks1_field(7, MATERIAL), u32::MAX, "the key material of slot 7 does not lie between"),
        (luks1_field(7, STRIPES), 0, "slot 7 has 0 stripes, not 4000"),
        (luks1_field(0, STRIPES), 0, "slot 0 has 0 stripes, not 4000"),
        (luks1_field(0, STRIPES), u32::MAX, "slot 0 has 4294967295 stripes, not 4000"),
        (KEY_BYTES, 0, "the key material of slot 0 does not lie between"),
        (KEY_BYTES, u32::MAX, "the key material of slot 0 does not lie between"),
        (LUKS1_PAYLOAD, 1, "the key material of slot 0 does not lie between"),
    ];
    for (at, value, expected) in cases {
        let bytes = with_u32(&good, at, value);
        let disk = MemoryDisk::from(bytes.clone());
        let error = plan(&disk).map(|plan| plan.apply(&disk, &SystemRandom).map(|_| ())).expect_err(expected);
        assert!(matches!(error, EraseError::Refused { .. }) && chain(&error).contains(expected), "{}", chain(&error));
        assert!(disk.to_vec() == bytes);
        let file = TestFile::new(&bytes);
        assert!(cryptsetup(&["erase", "-q", file.name()], "").is_err(), "{expected}: they erase it");
    }
    // A header in a file of its own, and one that lost its end.
    let detached = with_u32(&good[..GAP], LUKS1_PAYLOAD, 0);
    let cut = MemoryDisk::from(detached[..GAP - 8192].to_vec());
    assert!(chain(&plan(&cut).unwrap_err()).contains("the key material of slot 7 does not lie"));
    let whole = MemoryDisk::from(detached);
    assert_eq!(plan(&whole).unwrap().apply(&whole, &SystemRandom).unwrap().areas.len(), 1);
}
