//! Backups and what becomes of them: byte for byte those of cryptsetup, and restored where it restores them.

use crate::luks1_support::{
    GAP, KEY_BYTES, LUKS1_PAYLOAD, MATERIAL, STRIPES, luks1_field, luks1_volume, luks1_volume_of, with_u32,
};
use crate::recorder::{Recorder, put};
use crate::support::*;
use block::{BlockRead, BlockWrite, Bytes, MemoryDisk};
use crypto::{Hash, Secret, SystemRandom, VolumeKey};
use luks::*;

const MIB: u64 = 1 << 20;

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    TINY_PBKDF2.iter().chain(more).copied().collect()
}

fn they_format_luks1(more: &[&str], length: u64) -> TestFile {
    let file = TestFile::zeroed(length);
    let mut args = vec!["luksFormat", "-q", "--type", "luks1", "--key-file=-"];
    args.extend(TINY_PBKDF2);
    args.extend(more);
    args.push(file.name());
    cryptsetup(&args, "one").unwrap();
    file
}

fn they_back_up(file: &TestFile) -> Vec<u8> {
    let backup = TestFile::absent();
    cryptsetup(&["luksHeaderBackup", file.name(), "--header-backup-file", backup.name()], "").unwrap();
    backup.bytes()
}

/// Restores without being asked; gives the disk afterwards.
fn they_restore(disk: &[u8], backup: &[u8]) -> Result<Vec<u8>, String> {
    let (file, backup) = (TestFile::new(disk), TestFile::new(backup));
    cryptsetup(&["luksHeaderRestore", "-q", file.name(), "--header-backup-file", backup.name()], "")?;
    Ok(file.bytes())
}

fn plan(backup: &[u8], disk: &dyn BlockRead) -> Result<RestorePlan, RestoreError> {
    RestorePlan::new(&Backup::parse(backup.to_vec()).unwrap(), disk, &SystemRandom)
}

fn edit(disk: &dyn BlockWrite, make: impl FnOnce(&mut Edit<'_>)) {
    let header = accepted(&disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    make(&mut edit);
    edit.apply(disk).unwrap();
}

#[test]
fn a_backup_is_theirs_to_the_last_byte() {
    let check = |file: &TestFile| {
        let ours = Backup::read(&file.disk()).unwrap();
        assert!(ours.bytes() == they_back_up(file), "{ours:?}");
        assert_eq!(Backup::parse(ours.bytes().to_vec()).unwrap().header().uuid(), ours.header().uuid());
    };
    check(&they_format(&TINY_PBKDF2, 20 * MIB));
    check(&they_format(&with(&["--luks2-metadata-size", "4m", "--luks2-keyslots-size", "1m"]), 20 * MIB));
    check(&they_format(&with(&["--offset", "3072"]), 2 * MIB));
    let data = TestFile::zeroed(MIB);
    let header = TestFile::absent();
    let mut args = vec!["luksFormat", "-q", "--type", "luks2", "--key-file=-", "--header", header.name()];
    args.extend(TINY_PBKDF2);
    args.push(data.name());
    cryptsetup(&args, "one").unwrap();
    check(&header);

    // What stood on the disk before is not in it: cryptsetup wipes less of a LUKS1 header than of LUKS2.
    for bits in ["256", "512"] {
        for more in [&["--align-payload", "8192"][..], &[]] {
            let mut args = vec!["--key-size", bits];
            args.extend(more);
            let file = they_format_luks1(&args, 8 * MIB);
            let disk = file.disk();
            disk.write_at(Bytes(1024), &[0xaa; 3072]).unwrap();
            file.set(&disk);
            check(&file);
        }
    }
}

#[test]
fn what_is_no_backup_is_refused() {
    let volume = volume(small_options()).disk.to_vec();
    let good = Backup::read(&MemoryDisk::from(volume.clone())).unwrap();
    assert_eq!(good.bytes().len(), 1 << 20);
    // What stands behind it is cut off.
    assert_eq!(Backup::parse(volume).unwrap().bytes(), good.bytes());
    let cut = Backup::parse(good.bytes()[..(1 << 20) - 1].to_vec()).unwrap_err();
    assert!(chain(&cut).contains("the keyslots area ends at 1048576, behind the end of the disk at 1048575"), "{cut}");
    for nothing in [&b""[..], b"one", &[0; 4096]] {
        let error = Backup::parse(nothing.to_vec()).unwrap_err();
        assert!(matches!(error, BackupError::Header { source: HeaderError::NotLuks }), "{error}");
        assert!(error.hint().starts_with("is it the right device"), "{}", error.hint());
    }
    let error = Backup::parse(good.bytes()[..20000].to_vec()).unwrap_err();
    // To restore a backup, as for a disk with such a header, is no advice for a backup.
    assert!(matches!(error, BackupError::Header { .. }) && error.hint().contains("another copy"), "{}", error.hint());
    assert!(matches!(Backup::read(&MemoryDisk::zeroed(1 << 20)), Err(BackupError::Header { .. })));
    let failing = FailingDisk::new(MemoryDisk::from(good.bytes().to_vec()), Failing::ReadFrom(40000));
    let error = Backup::read(&failing).unwrap_err();
    assert!(matches!(error, BackupError::Disk { .. }) && error.hint().contains("system's log"), "{error}");
    assert_eq!(format!("{good:?}"), format!("Backup {{ length: 1048576, uuid: {} }}", good.header().uuid()));
}

#[test]
fn each_restores_what_the_other_kept() {
    let check = |file: &TestFile| {
        let before = file.bytes();
        let backup = they_back_up(file);
        let (one, two) = (TestFile::new(b"one"), TestFile::new(b"two"));
        let mut args = vec!["luksChangeKey", "-q", "--key-file", one.name()];
        args.extend(TINY_PBKDF2);
        args.extend([file.name(), two.name()]);
        cryptsetup(&args, "").unwrap();
        let after = file.bytes();
        // Ours restores theirs.
        let disk = MemoryDisk::from(after.clone());
        let plan = plan(&backup, &disk).unwrap();
        assert!(plan.concerns().is_empty(), "{plan}");
        plan.apply(&disk, Force::No).unwrap();
        let restored = disk.to_vec();
        assert!(restored[..backup.len()] == backup && restored[backup.len()..] == before[backup.len()..]);
        file.set(&disk);
        assert!(they_open(file, 0, "one"));
        assert!(open_any(&disk, &accepted(&disk), &passphrase("two")).is_err());
        // Theirs restores ours.
        let ours = Backup::read(&MemoryDisk::from(before.clone())).unwrap();
        assert!(they_restore(&after, ours.bytes()).unwrap() == restored);
    };
    check(&they_format(&TINY_PBKDF2, 20 * MIB));
    check(&they_format(&with(&["--luks2-metadata-size", "128k", "--luks2-keyslots-size", "1m"]), 20 * MIB));
    check(&they_format_luks1(&["--key-size", "512"], 4 * MIB));
}

/// Where they refuse even without asking (`-q`), we refuse; where they ask or warn, we want to be told. With `-q` they say
/// nothing of what is under way on the disk, and what they write then is all that can be compared.
#[test]
fn where_they_refuse_so_do_we() {
    let x = they_format(&TINY_PBKDF2, 20 * MIB).bytes();
    let y = they_format(&TINY_PBKDF2, 20 * MIB).bytes();
    let other_offset = they_format(&with(&["--offset", "8192"]), 20 * MIB).bytes();
    let other_metadata = they_format(&with(&["--luks2-metadata-size", "64k"]), 20 * MIB).bytes();
    let other_size = they_format(&with(&["--luks2-keyslots-size", "8m", "--offset", "32768"]), 20 * MIB).bytes();
    let v1 = they_format_luks1(&["--key-size", "512"], 20 * MIB).bytes();
    let v1_short_key = they_format_luks1(&["--key-size", "256", "--align-payload", "4096"], 20 * MIB).bytes();
    let v1_other_offset = they_format_luks1(&["--key-size", "512", "--align-payload", "8192"], 20 * MIB).bytes();
    let reencrypting = {
        let file = TestFile::new(&x);
        let mut args = vec!["reencrypt", "-q", "--init-only", "--resilience", "none", "--key-file=-"];
        args.extend(TINY_PBKDF2);
        args.push(file.name());
        cryptsetup(&args, "one").unwrap();
        file.bytes()
    };
    let config = "\"config\":{\"requirements\":{\"mandatory\":[\"a-feature-of-tomorrow\"]},";
    let unknown = with_json(&x, "\"config\":{", config);
    let zeros = vec![0; 20 << 20];
    let ext = {
        let mut bytes = zeros.clone();
        bytes[1080..1082].copy_from_slice(b"\x53\xef");
        bytes
    };
    let backup = |disk: &[u8]| Backup::read(&MemoryDisk::from(disk.to_vec())).unwrap().bytes().to_vec();
    let check = |disk: &[u8], from: &[u8], expected: &str| {
        let backup = backup(from);
        let theirs = they_restore(disk, &backup);
        let memory = MemoryDisk::from(disk.to_vec());
        let found = match plan(&backup, &memory) {
            Err(error) => {
                assert!(theirs.is_err(), "{expected}: they restore it");
                error.to_string()
            }
            Ok(plan) => {
                let concerns: Vec<String> = plan.concerns().iter().map(ToString::to_string).collect();
                let result = plan.apply(&memory, Force::No);
                assert_eq!(concerns.is_empty(), result.is_ok());
                if !concerns.is_empty() {
                    assert!(matches!(result, Err(ApplyError::NotForced)) && memory.to_vec() == disk);
                    let again = RestorePlan::new(&Backup::parse(backup).unwrap(), &memory, &SystemRandom).unwrap();
                    again.apply(&memory, Force::Yes).unwrap();
                }
                assert!(memory.to_vec() == theirs.unwrap(), "{expected}: the disk is as after theirs");
                concerns.join("; ")
            }
        };
        assert!(found.contains(expected) && found.is_empty() == expected.is_empty(), "{found:?} is not {expected:?}");
    };
    check(&x, &x, "");
    check(&y, &x, "the disk has the header of");
    check(&zeros, &x, "the disk has no LUKS header");
    check(&ext, &x, "there is something else: ext file system");
    check(&v1, &x, "the disk has a header of LUKS1, the backup one of LUKS2");
    check(&x, &v1, "the disk has a header of LUKS2, the backup one of LUKS1");
    check(&other_metadata, &x, "the disk has the header of");
    check(&other_offset, &x, "the data begins at 4194304 on the disk, at 16777216 in the backup");
    check(&x, &other_offset, "the data begins at 16777216 on the disk, at 4194304 in the backup");
    check(&other_size, &x, "8421376 bytes on the disk, 16777216 in the backup");
    check(&v1_short_key, &v1, "the volume key has 32 bytes on the disk, 64 in the backup");
    check(&v1_other_offset, &v1, "the data begins at 4194304 on the disk, at 2097152 in the backup");
    check(&v1, &v1, "");
    check(&x, &reencrypting, "the header would not be accepted (the volume is being reencrypted)");
    check(&reencrypting, &x, "according to the disk the volume is being reencrypted: what that has come to is lost");
    check(&unknown, &x, "the header on the disk requires \"a-feature-of-tomorrow\", which is not known here");
    check(&x, &unknown, "what the backup would bring back is not understood");
    let mut damaged = x.clone();
    damaged[5000] ^= 1;
    check(&damaged, &x, "");
    damaged[16384 + 5000] ^= 1;
    check(&damaged, &x, "the header on the disk cannot be read");

    let short = MemoryDisk::zeroed(16 << 20 | 1);
    assert!(plan(&backup(&x), &short).is_ok());
    let short = MemoryDisk::zeroed((16 << 20) - 1);
    assert!(matches!(plan(&backup(&x), &short), Err(RestoreError::DiskTooSmall { .. })));
    let hint = plan(&backup(&other_offset), &MemoryDisk::from(x)).unwrap_err().hint().unwrap();
    assert!(hint.contains("wipefs --all DEVICE"), "{hint}");
}

/// cryptsetup puts it there as it is, and leaves the mending to whoever reads it next.
#[test]
fn a_backup_with_one_bad_copy_is_mended() {
    let Volume { disk, .. } = volume(small_options());
    let good = Backup::read(&disk).unwrap();
    for at in [5000, 16384 + 5000, 16384] {
        let mut bad = good.bytes().to_vec();
        bad[at] ^= 1;
        let kept = Backup::parse(bad.clone()).unwrap();
        assert!(kept.bytes() == bad, "a backup is what was there");
        let target = MemoryDisk::from(disk.to_vec());
        RestorePlan::new(&kept, &target, &SystemRandom).unwrap().apply(&target, Force::No).unwrap();
        let header = Luks2::read(&target).unwrap();
        assert!(header.copies().iter().all(|copy| matches!(copy, CopyState::Good)), "{at}: {:?}", header.copies());
        assert_eq!(header.sequence(), good.header().as_luks2().unwrap().sequence());
        assert_eq!(json_of(&target.to_vec(), 16384), json_of(good.bytes(), 0));
        assert!(open_any(&target, &accepted(&target), &passphrase("one")).is_ok());
    }
}

#[test]
fn a_plan_to_restore_can_be_read() {
    let Volume { disk, key } = volume(small_options());
    let backup = Backup::read(&disk).unwrap();
    let two = passphrase("two");
    let new = NewKeyslot { key: &key, passphrase: &two, slot: None, kdf: pbkdf2(), af_hash: Hash::Sha256 };
    edit(&disk, |edit| {
        edit.add_keyslot(&new).unwrap();
    });
    let plan = RestorePlan::new(&backup, &disk, &SystemRandom).unwrap();
    let uuid = backup.header().uuid();
    assert_eq!(
        plan.to_string(),
        format!(
            "write the LUKS2 header of {uuid} and its key material: 1 MiB\n\
             lose what the header on the disk has been changed to since (sequence number 3, then 2)"
        )
    );
    // A plan is for the header that was there.
    edit(&disk, |edit| edit.set_label("x").unwrap());
    let before = disk.to_vec();
    let error = plan.apply(&disk, Force::Yes).unwrap_err();
    assert!(matches!(error, ApplyError::Changed { before: 3, found: 4 }), "{error}");
    let plan = RestorePlan::new(&backup, &MemoryDisk::zeroed(2 << 20), &SystemRandom).unwrap();
    assert!(plan.to_string().ends_with("\nrefuse that unless told: the disk has no LUKS header"), "{plan}");
    assert!(matches!(plan.apply(&disk, Force::Yes), Err(ApplyError::Changed { .. })));
    assert!(disk.to_vec() == before);
    // And can be taken back.
    let plan = RestorePlan::new(&backup, &disk, &SystemRandom).unwrap();
    let applied = plan.apply(&disk, Force::No).unwrap();
    assert!(disk.to_vec()[..1 << 20] == *backup.bytes());
    applied.undo.revert(&disk).unwrap();
    assert!(disk.to_vec() == before);
}

/// A null cipher in a backup is somebody's, and not restored by mistake.
#[test]
fn a_backup_that_would_not_be_accepted_needs_a_word() {
    let Volume { disk, .. } = volume(small_options());
    let null = with_json(
        &disk.to_vec(),
        "\"0\",\"encryption\":\"aes-xts-plain64\"",
        "\"0\",\"encryption\":\"cipher_null-ecb\"",
    );
    let plan = plan(&null, &disk).unwrap();
    let [RestoreConcern::NotAccepted { source }, RestoreConcern::OtherVolumeKey] = plan.concerns() else {
        panic!("{plan}");
    };
    assert!(matches!(source, Refused::NullCipher { slot: None, .. }), "{plan}");
}

/// The backup wants slot 0 where the disk has other key material in use; the slot takes a detour.
#[test]
fn material_that_is_in_the_way_makes_a_detour() {
    let options = FormatOptions { data_offset: Bytes(2 * SMALL_OFFSET), ..small_options() };
    let Volume { disk, key } = volume(options);
    let before = disk.to_vec();
    let backup = Backup::read(&disk).unwrap();
    let replace = |text: &str| {
        let new = passphrase(text);
        let new = NewKeyslot { key: &key, passphrase: &new, slot: None, kdf: pbkdf2(), af_hash: Hash::Sha256 };
        edit(&disk, |edit| edit.replace_keyslot(slot(0), &new).unwrap());
    };
    replace("two");
    replace("three");
    let area = Luks2::read(&disk).unwrap().metadata().keyslots[&slot(0)].area;
    assert_eq!(area.offset(), Bytes(32768), "where it was in the backup");
    let plan = RestorePlan::new(&backup, &disk, &SystemRandom).unwrap();
    assert!(plan.is_interruptible(), "{plan}");
    plan.apply(&disk, Force::No).unwrap();
    assert!(disk.to_vec() == before);

    // Without room for that it is said.
    let Volume { disk, key } = volume(FormatOptions { data_offset: Bytes(32768 + 2 * 258_048), ..small_options() });
    let other = VolumeKey::new(Secret::copied_from(&[9; 64]));
    let two = passphrase("two");
    let new = |key| NewKeyslot { key, passphrase: &two, slot: None, kdf: pbkdf2(), af_hash: Hash::Sha256 };
    let backup = Backup::read(&disk).unwrap();
    edit(&disk, |edit| edit.replace_keyslot(slot(0), &new(&key)).unwrap());
    edit(&disk, |edit| {
        edit.add_unbound_keyslot(&new(&other)).unwrap();
    });
    let plan = RestorePlan::new(&backup, &disk, &SystemRandom).unwrap();
    assert!(!plan.is_interruptible());
    assert!(plan.to_string().contains("need the backup once more if the power fails meanwhile"), "{plan}");
    plan.apply(&disk, Force::No).unwrap();
    assert!(disk.to_vec()[..backup.bytes().len()] == *backup.bytes());
}

/// Somebody changes the header between two reads of it: what is kept is one header or the other, or nothing.
#[test]
fn a_header_that_changes_meanwhile_is_not_kept() {
    let Volume { disk, .. } = volume(small_options());
    let before = disk.to_vec();
    edit(&disk, |edit| edit.set_label("changed").unwrap());
    let after = disk.to_vec();
    let all = ChangingDisk::new(&before, &after, usize::MAX);
    assert!(Backup::read(&all).unwrap().bytes() == &before[..1 << 20]);
    let mut changed = 0;
    for until in 0..all.reads() {
        match Backup::read(&ChangingDisk::new(&before, &after, until)) {
            Ok(kept) => {
                let label = kept.header().as_luks2().unwrap().label();
                let whole = if label == "changed" { &after } else { &before };
                assert!(kept.bytes() == &whole[..1 << 20], "after {until} reads");
            }
            Err(BackupError::Changed) => changed += 1,
            Err(error) => panic!("after {until} reads: {error}"),
        }
    }
    assert!(changed > 0);
}

#[test]
fn a_restore_that_fails_says_so() {
    let Volume { disk, key } = volume(small_options());
    let mut bad = Backup::read(&disk).unwrap().bytes().to_vec();
    bad[5000] ^= 1;
    let bad = Backup::parse(bad).unwrap();
    let little = LittleRandom(std::sync::atomic::AtomicUsize::new(63));
    assert!(matches!(RestorePlan::new(&bad, &disk, &little), Err(RestoreError::Random { .. })));
    let good = Backup::read(&disk).unwrap();
    let unreadable = FailingDisk::new(MemoryDisk::zeroed(2 << 20), Failing::ReadFrom(40000));
    let plan = RestorePlan::new(&good, &unreadable, &SystemRandom);
    assert!(matches!(plan, Err(RestoreError::Disk { .. })), "{plan:?}");
    // Key material in use that cannot be read.
    let new = passphrase("two");
    let new = NewKeyslot { key: &key, passphrase: &new, slot: None, kdf: pbkdf2(), af_hash: Hash::Sha256 };
    edit(&disk, |edit| edit.replace_keyslot(slot(0), &new).unwrap());
    edit(&disk, |edit| edit.replace_keyslot(slot(0), &new).unwrap());
    let unreadable = FailingDisk::new(MemoryDisk::from(disk.to_vec()), Failing::ReadFrom(40000));
    let plan = RestorePlan::new(&good, &unreadable, &SystemRandom);
    assert!(matches!(plan, Err(RestoreError::Disk { .. })), "{plan:?}");
    // A write that fails is taken back.
    let before = disk.to_vec();
    let plan = RestorePlan::new(&good, &disk, &SystemRandom).unwrap();
    let writes = {
        let counting =
            FailingDisk::new(MemoryDisk::from(before.clone()), Failing::Write { from: usize::MAX, times: 0 });
        plan.apply(&counting, Force::No).unwrap();
        counting.count()
    };
    for from in 0..writes {
        let failing = FailingDisk::new(MemoryDisk::from(before.clone()), Failing::Write { from, times: 1 });
        let plan = RestorePlan::new(&good, &failing, &SystemRandom).unwrap();
        let error = plan.apply(&failing, Force::No).unwrap_err();
        assert!(matches!(error, ApplyError::Failed { .. }), "write {from}: {error}");
        assert!(failing.disk.to_vec() == before, "write {from}");
    }
    assert!(writes > 6, "{writes} writes");
}

/// What a LUKS1 header says of its key material is not believed: no number of it runs over, no room is taken for it.
#[test]
fn a_luks1_header_that_points_elsewhere_is_not_kept() {
    let good = luks1_volume_of(8 << 20).disk.to_vec();
    let refused = |bytes: &[u8], expected: &str| {
        for result in [Backup::read(&MemoryDisk::from(bytes.to_vec())), Backup::parse(bytes.to_vec())] {
            let error = result.expect_err(expected);
            assert!(
                matches!(error, BackupError::Refused { .. }) && chain(&error).contains(expected),
                "{}",
                chain(&error)
            );
        }
        let (file, backup) = (TestFile::new(bytes), TestFile::absent());
        let args = ["luksHeaderBackup", file.name(), "--header-backup-file", backup.name()];
        assert!(cryptsetup(&args, "").is_err(), "{expected}: they keep it");
    };
    let most = |fields: &[usize]| fields.iter().fold(good.clone(), |bytes, at| with_u32(&bytes, *at, u32::MAX));
    let slots = || 0..8;
    let everything: Vec<usize> =
        slots().flat_map(|n| [luks1_field(n, MATERIAL), luks1_field(n, STRIPES)]).chain([KEY_BYTES]).collect();
    refused(&most(&everything), "slot 0 has 4294967295 stripes, not 4000");
    refused(&most(&[KEY_BYTES, luks1_field(7, STRIPES)]), "does not lie between the header and the data");
    refused(&most(&[luks1_field(7, MATERIAL)]), "the key material of slot 7 does not lie between");
    refused(&with_u32(&most(&[KEY_BYTES]), LUKS1_PAYLOAD, 0), "the key material of slot 1 overlaps that of slot 0");
    // Where nothing says where the data begins, only the length of a backup bounds it.
    let far = with_u32(&most(&[luks1_field(7, MATERIAL)]), LUKS1_PAYLOAD, 0);
    assert!(matches!(Backup::parse(far.clone()), Err(BackupError::TooLong)));
    assert!(matches!(Backup::read(&MemoryDisk::from(far)), Err(BackupError::Refused { .. })));
    let cut = Backup::parse(good[..GAP - 8192].to_vec()).unwrap_err();
    assert!(matches!(cut, BackupError::TooShort { expected: Bytes(2_068_480), .. }), "{cut}");
    let cut = Backup::read(&MemoryDisk::from(good[..GAP - 8192].to_vec())).unwrap_err();
    assert!(matches!(cut, BackupError::Refused { .. }), "{cut}");
}

/// A backup of before a reencryption, or of another volume that was given the same UUID: nothing of the data opens with it.
#[test]
fn the_header_of_another_volume_key_needs_a_word() {
    let same = |format: &[&str]| {
        let args = with(&["--uuid", "9d0a4f1c-4c0d-4a6f-8a0e-1f9a3a2b5c7d"]);
        if format.is_empty() {
            they_format(&args, 20 * MIB).bytes()
        } else {
            they_format_luks1(&args[4..], 20 * MIB).bytes()
        }
    };
    let concern = |disk: &[u8], backup: &[u8]| {
        let disk = MemoryDisk::from(disk.to_vec());
        let before = disk.to_vec();
        let plan = plan(Backup::read(&MemoryDisk::from(backup.to_vec())).unwrap().bytes(), &disk).unwrap();
        assert!(matches!(plan.concerns(), [RestoreConcern::OtherVolumeKey]), "{plan}");
        assert!(plan.to_string().ends_with("has another volume key or cipher than the backup"), "{plan}");
        assert!(matches!(plan.apply(&disk, Force::No), Err(ApplyError::NotForced)) && disk.to_vec() == before);
    };
    let x = same(&[]);
    concern(&same(&[]), &x);
    concern(&with_json(&x, "\"sector_size\":4096", "\"sector_size\":512"), &x);
    let cipher = "\"iv_tweak\":\"0\",\"encryption\":\"aes-xts-plain64\"";
    concern(&with_json(&x, cipher, "\"iv_tweak\":\"0\",\"encryption\":\"serpent-xts-plain64\""), &x);
    concern(&with_json(&x, "\"iv_tweak\":\"0\"", "\"iv_tweak\":\"8\""), &x);
    let v1 = same(&["luks1"]);
    concern(&same(&["luks1"]), &v1);
    let changed = |at: usize| [&v1[..at], &[v1[at] ^ 1], &v1[at + 1..]].concat();
    for at in [8 + 2, 8 + 32 + 5, 112, 131, 132, 163] {
        concern(&changed(at), &v1);
    }
    // The rounds of the digest and of the slots are not the key.
    let plan = plan(&v1, &MemoryDisk::from(changed(167))).unwrap();
    assert!(plan.concerns().is_empty(), "{plan}");
}

/// LUKS1 has one copy of its header: while LUKS2 comes over it there is a time when neither opens, and that is said.
#[test]
fn over_the_other_version_a_restore_is_not_interruptible() {
    let backup = Backup::read(&volume(small_options()).disk).unwrap();
    let disk = luks1_volume().disk;
    let before = disk.to_vec();
    let plan = RestorePlan::new(&backup, &disk, &SystemRandom).unwrap();
    assert!(!plan.is_interruptible());
    let text = plan.to_string();
    assert!(text.contains("need the backup once more if the power fails meanwhile"), "{text}");
    assert!(!text.contains("sequence number"), "{text}");
    let recorder = Recorder::new(disk);
    plan.apply(&recorder, Force::Yes).unwrap();
    let restored = recorder.disk.to_vec();
    let opens = |bytes: &[u8]| {
        let disk = MemoryDisk::from(bytes.to_vec());
        let header = Header::read(&disk).ok().and_then(|header| header.accept(&Allowed::default()).ok());
        header.is_some_and(|header| open_any(&disk, &header, &passphrase("one")).is_ok())
    };
    let (mut state, mut lost) = (before, 0);
    for write in recorder.epochs().iter().flatten() {
        put(&mut state, write.0, &write.1);
        lost += usize::from(!opens(&state));
        let disk = MemoryDisk::from(state.clone());
        RestorePlan::new(&backup, &disk, &SystemRandom).unwrap().apply(&disk, Force::Yes).unwrap();
        assert!(disk.to_vec()[..backup.bytes().len()] == *backup.bytes());
    }
    assert!(lost > 0 && state == restored && opens(&restored));
    // Nor the other way round; where nothing opened before, nothing is lost.
    let luks1 = Backup::read(&luks1_volume().disk).unwrap();
    let plan = RestorePlan::new(&luks1, &MemoryDisk::from(vec![0; 4 << 20]), &SystemRandom).unwrap();
    assert!(plan.is_interruptible() && !plan.to_string().contains("sequence number"), "{plan}");
    let over = volume(FormatOptions { data_offset: Bytes(4 << 20), ..small_options() }).disk;
    let plan = RestorePlan::new(&luks1, &over, &SystemRandom).unwrap();
    assert!(!plan.is_interruptible() && !plan.to_string().contains("sequence number"), "{plan}");
}
