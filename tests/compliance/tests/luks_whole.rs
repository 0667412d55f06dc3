//! Headers as a whole: backup, restore, repair, erase, ours and cryptsetup's in turn, on both versions of the format.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::disk::PASSPHRASE;
use compliance::{Disk, Maker, Program, Table, Version};
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

/// Where the gap behind the key material of LUKS1 begins, with a key of 64 bytes.
const GAP: u64 = 2_068_480;

const TYPES: [&str; 2] = ["luks1", "luks2"];

fn formatted(kind: &str) -> Disk {
    let disk = Disk::blank(20 << 20);
    let program = Program::new("cryptsetup").args(["luksFormat", "-q", "--type", kind, "--pbkdf", "pbkdf2"]);
    let program = program.args(["--pbkdf-force-iterations", "1001", "--key-file"]).arg(disk.passphrase_file());
    program.arg(disk.path()).succeed();
    disk
}

fn luks(disk: &Disk, command: &str, words: &[&str]) -> Program {
    Program::cotter().args(["luks", command, "-d"]).arg(disk.path()).args(words)
}

fn backup(maker: Maker, disk: &Disk, file: &Path) {
    match maker {
        Maker::Ours => luks(disk, "backup", &[]).arg(file).succeed(),
        Maker::Theirs => Program::new("cryptsetup")
            .args(["luksHeaderBackup", "--header-backup-file"])
            .arg(file)
            .arg(disk.path())
            .succeed(),
    };
}

fn restore(maker: Maker, disk: &Disk, file: &Path) {
    match maker {
        Maker::Ours => luks(disk, "restore", &["-q"]).arg(file).succeed(),
        Maker::Theirs => Program::new("cryptsetup")
            .args(["luksHeaderRestore", "-q", "--header-backup-file"])
            .arg(file)
            .arg(disk.path())
            .succeed(),
    };
}

/// The same bytes in both backups, and each restores the other's after the passphrase was removed.
#[test]
fn backups_are_the_same_file() {
    let mut table = Table::new("luks backup and restore");
    for kind in TYPES {
        for (writer, reader) in [(Maker::Ours, Maker::Theirs), (Maker::Theirs, Maker::Ours)] {
            table.row(format!("{kind}: {} backs up, {} restores", writer.client_name(), reader.client_name()), || {
                let disk = formatted(kind);
                let (file, other) = (disk.beside("backup"), disk.beside("other"));
                backup(writer, &disk, &file);
                backup(reader, &disk, &other);
                assert!(fs::read(&file).unwrap() == fs::read(&other).unwrap(), "the backups differ");
                luks(&disk, "erase", &["-q"]).succeed();
                assert!(!disk.opens_with(PASSPHRASE.as_bytes()));
                restore(reader, &disk, &file);
                assert!(disk.opens_with(PASSPHRASE.as_bytes()));
            });
        }
    }
    table.finish();
}

#[test]
fn a_backup_is_private_and_overwrites_nothing() {
    let disk = formatted("luks2");
    let file = disk.beside("backup");
    backup(Maker::Ours, &disk, &file);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let before = fs::read(&file).unwrap();
    luks(&disk, "backup", &[]).arg(&file).run().failed_with(1);
    assert!(fs::read(&file).unwrap() == before);
}

/// What is done to a disk.
type Damage = fn(&File);

/// What no command takes is no good header, though both its copies are whole.
#[test]
fn a_header_that_cannot_be_mended_is_not_called_good() {
    let damages: [(&str, &str, Damage); 4] = [
        ("luks1", "outside", |file| file.write_all_at(&[0xff; 4], 248).unwrap()),
        ("luks1", "stripes", |file| file.write_all_at(&[0xff; 4], 252).unwrap()),
        ("luks1", "cut off", |file| file.set_len(1024).unwrap()),
        ("luks2", "cut off", |file| file.set_len(64 << 10).unwrap()),
    ];
    for (kind, damage, make) in damages {
        let disk = formatted(kind);
        make(&File::options().read(true).write(true).open(disk.path()).unwrap());
        let before = disk.bytes();
        for words in [&[][..], &["--dry-run"]] {
            let said = luks(&disk, "repair", words).run().failed_with(1).said();
            assert!(said.contains("slot 0") && said.contains("backup"), "{kind}, {damage}: {said}");
        }
        assert!(disk.bytes() == before, "{kind}, {damage}");
    }
}

/// Bindings that cannot be read are no good header, and who repairs is told so; a slot that is costly is no fault at all.
#[test]
fn a_damaged_luksmeta_is_not_called_good() {
    let disk = Disk::of(Maker::Theirs, Version::Luks1);
    Program::new("luksmeta").args(["init", "-f", "-d"]).arg(disk.path()).succeed();
    let repair = |words: &[&str]| luks(&disk, "repair", words).run();
    let write = |at, bytes: &[u8]| {
        File::options().write(true).open(disk.path()).unwrap().write_all_at(bytes, at).unwrap();
    };
    write(208 + 4, &300_000_000u32.to_be_bytes());
    assert!(repair(&[]).succeeded().said().contains("good as it is"));
    assert!(repair(&["--wipe-unused"]).succeeded().said().contains("overwritten"));
    // The checksum.
    write(GAP + 12, &[0xff; 4]);
    let before = disk.bytes();
    for words in [&[][..], &["--dry-run"]] {
        let said = repair(words).failed_with(1).said();
        assert!(said.contains("LUKSMeta") && said.contains("is damaged"), "{said}");
        assert!(said.contains("cotter luks meta nuke") && !said.contains("good"), "{said}");
    }
    assert!(disk.bytes() == before, "a refusal changed the disk");
}

/// The fingerprint is that of the header, wherever it is.
#[test]
fn a_detached_header_has_a_fingerprint() {
    let disk = Disk::blank(1 << 20);
    let header = disk.beside("header");
    let format = luks(&disk, "format", &["-q", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1001", "--header"]);
    format.arg(&header).arg("-k").arg(disk.passphrase_file()).succeed();
    let of =
        |device: &Path, words: &[&str]| Program::cotter().args(["luks", "fingerprint", "-d"]).arg(device).args(words);
    let file = header.to_str().unwrap();
    let (apart, alone) = (of(&disk.path(), &["--detached-header", file]).succeed(), of(&header, &[]).succeed());
    assert_eq!(apart.text().split(' ').next(), alone.text().split(' ').next());
    of(&disk.path(), &["--detached-header", file, "-d", file]).run().failed_with(2);
    of(&disk.path(), &[]).run().failed_with(1);
}

/// Over a header that cannot be read no backup is asked for, for there can be none.
#[test]
fn over_a_damaged_header_no_backup_is_asked_for() {
    let disk = formatted("luks1");
    let file = disk.beside("backup");
    backup(Maker::Ours, &disk, &file);
    File::options().write(true).open(disk.path()).unwrap().write_all_at(&[0xff; 2], 11).unwrap();
    luks(&disk, "backup", &[]).arg(disk.beside("other")).run().failed_with(1);
    let said = luks(&disk, "restore", &["-q"]).arg(&file).run().failed_with(1).said();
    let (copy, force) = (said.find(" of=FILE bs=1M count=").unwrap(), said.find("then --force").unwrap());
    assert!(copy < force && !said.contains("cotter luks backup"), "{said}");
    luks(&disk, "restore", &["-q", "--force"]).arg(&file).succeed();
    assert!(disk.opens_with(PASSPHRASE.as_bytes()));
}

/// A backup has what is damaged as it is. Where cryptsetup does not take the file that is said, and only there.
#[test]
fn a_backup_with_a_bad_copy_says_so() {
    for (copy, offset, taken) in [("first", 0u64, false), ("first", 100, true), ("second", 16 << 10, true)] {
        let disk = formatted("luks2");
        let whole = luks(&disk, "backup", &["--json"]).arg(disk.beside("whole")).succeed();
        assert!(!whole.text().contains("bad_copies") && !whole.said().contains("repair"), "{}", whole.said());
        File::options().write(true).open(disk.path()).unwrap().write_all_at(b"damage", offset).unwrap();
        let file = disk.beside("backup");
        for words in [&["--json", "--dry-run"][..], &["--json"]] {
            let told = luks(&disk, "backup", words).arg(&file).succeed();
            let (record, said) = (told.text(), told.said());
            let members = format!(r#""bad_copies":["{copy}"],"cryptsetup_takes_it":{taken}"#);
            assert!(record.contains(&members), "{record}");
            assert!(said.contains(&format!("the {copy} copy of the header is damaged")), "{said}");
            assert!(said.contains("cotter luks repair -d "), "{said}");
            assert_eq!(said.contains("cryptsetup does not take this file"), !taken, "{said}");
        }
        let theirs = Program::new("cryptsetup").args(["luksHeaderRestore", "-q", "--header-backup-file"]);
        let theirs = theirs.arg(&file).arg(disk.path()).run();
        assert_eq!(theirs.status.success(), taken, "{copy}, {offset}: {}", theirs.said());
        luks(&disk, "restore", &["-q"]).arg(&file).succeed();
        assert!(disk.opens_with(PASSPHRASE.as_bytes()));
    }
}

/// A plan makes no file, and says what would stand in its way.
#[test]
fn a_planned_backup_makes_no_file() {
    let disk = formatted("luks2");
    let file = disk.beside("backup");
    let plan = luks(&disk, "backup", &["--dry-run"]).arg(&file).succeed().text();
    assert!(plan.starts_with("would write 16777216 bytes") && !file.exists(), "{plan}");
    backup(Maker::Ours, &disk, &file);
    luks(&disk, "backup", &["--dry-run"]).arg(&file).run().failed_with(1);
    for words in [&[][..], &["--dry-run"]] {
        let said = luks(&disk, "backup", words).arg(disk.beside("none/backup")).run().failed_with(1).said();
        assert!(said.contains("no directory") && said.contains("mkdir"), "{said}");
    }
}

/// Half a backup has the length of a whole one, and would be found out only when it is needed.
#[test]
fn a_backup_that_cannot_be_written_leaves_no_file() {
    let disk = formatted("luks2");
    for call in ["pwrite64", "fsync,fdatasync"] {
        let file = disk.beside("backup");
        let inject = format!("inject={call}:error=ENOSPC");
        let program = luks(&disk, "backup", &[]).arg(&file);
        let said =
            program.under("strace", &["-qq".as_ref(), "-e".as_ref(), inject.as_ref()]).run().failed_with(1).said();
        assert!(said.contains("cannot write") && !file.exists(), "{said}");
    }
}

/// Another volume's header is not put there, unless somebody says so.
#[test]
fn another_volumes_header_is_refused() {
    for kind in TYPES {
        let (disk, stranger) = (formatted(kind), formatted(kind));
        let file = disk.beside("backup");
        backup(Maker::Theirs, &stranger, &file);
        let before = disk.bytes();
        let refused = luks(&disk, "restore", &["-q"]).arg(&file).run().failed_with(1);
        let said = refused.said();
        assert!(said.contains("the backup that of"), "{said}");
        // What is on the disk now is lost with its header: a copy of it comes before --force.
        let (copy, force) = (said.find("cotter luks backup -d "), said.find("then --force"));
        assert!(copy.zip(force).is_some_and(|(copy, force)| copy < force), "{said}");
        luks(&disk, "restore", &["-q", "--dry-run"]).arg(&file).succeed();
        assert!(disk.bytes() == before, "{kind}: something was written");
        luks(&disk, "restore", &["-q", "--force"]).arg(&file).succeed();
        assert!(disk.bytes()[..1 << 20] == stranger.bytes()[..1 << 20]);
    }
}

/// Either copy of a LUKS2 header that is damaged comes back, and cryptsetup sees two good ones.
#[test]
fn a_damaged_copy_comes_back() {
    let mut table = Table::new("luks repair");
    for (copy, offset) in [("first", 0u64), ("second", 16 << 10)] {
        for damage in [8u64, 512, 5000] {
            table.row(format!("the {copy} copy, damaged at byte {damage}"), || {
                let disk = formatted("luks2");
                let file = File::options().read(true).write(true).open(disk.path()).unwrap();
                file.write_all_at(b"damage", offset + damage).unwrap();
                luks(&disk, "repair", &["--dry-run"]).succeed();
                let said = luks(&disk, "repair", &[]).succeed().said();
                assert!(said.contains("repaired: the ") && said.contains(" is written anew"), "{said}");
                assert!(luks(&disk, "repair", &[]).succeed().said().contains("good as it is"));
                let other = if offset == 0 { 16u64 << 10 } else { 0 };
                // With the other copy gone, cryptsetup has only the one that was repaired.
                file.write_all_at(&[0; 4096], other).unwrap();
                assert!(disk.opens_with(PASSPHRASE.as_bytes()));
            });
        }
    }
    table.finish();
}

/// No passphrase opens anything any more, the certificate says what was done, and the data is untouched.
#[test]
fn erasing_leaves_no_keyslot() {
    let mut table = Table::new("luks erase");
    for kind in TYPES {
        table.row(format!("{kind}: cryptsetup finds no keyslot"), || {
            let disk = formatted(kind);
            let before = disk.bytes();
            let plan = luks(&disk, "erase", &["--dry-run"]).succeed();
            assert!(plan.text().contains("destroy all keyslots") && disk.bytes() == before);
            let certificate = luks(&disk, "erase", &["-q"]).succeed().text();
            let uuid = Program::new("cryptsetup").arg("luksUUID").arg(disk.path()).succeed().text();
            assert!(certificate.contains(&uuid) && certificate.contains("keyslots destroyed: 0"), "{certificate}");
            let dump = disk.dump();
            assert!(!dump.contains("ENABLED") && !dump.contains("0: luks2"), "{dump}");
            assert!(!disk.opens_with(PASSPHRASE.as_bytes()));
            assert!(disk.bytes()[16 << 20..] == before[16 << 20..], "the data was touched");
        });
    }
    table.finish();
}
