//! `cotter luks unlock` and `cotter luks lock`, as a person uses them.

use crate::Check;
use crate::users::wait_for;
use crate::volume::{Volume, cryptsetup, dmsetup, has, shell};
use compliance::disk::PASSPHRASE;
use compliance::{Ended, Program};
use linux::FileDisk;
use std::path::Path;

/// `/dev/ubda` is LUKS2, bound to the null pin too; `/dev/ubdb` is LUKS1; the header of `/dev/ubdc` is in the file `header`.
pub(crate) const CHECKS: &[Check] = &[
    ("a passphrase maps a volume under its default name", by_passphrase),
    ("a binding maps a volume", by_binding),
    ("a LUKS1 volume is mapped and locked", luks1),
    ("a volume with its header apart is mapped", detached),
    ("an image file is mapped through a loop device that goes with the mapping", image_file),
    ("an image file that somebody writes is not mapped", claimed_image),
    ("of two that map a volume at once one does", two_at_once),
    ("a file in the way of a name is found before there is a mapping", file_in_the_way),
    ("flags of the header and of the arguments hold, and are told", flags),
    ("a read-only mapping is one, asked for or not", read_only),
    ("cryptsetup and we close what the other has opened", each_others),
    ("a wrong passphrase maps nothing", wrong_passphrase),
    ("what is open already is said before the passphrase is read", open_already),
    ("a header that changes after it was accepted is not mapped", changed_header),
    ("a dry run opens a keyslot and maps nothing", dry_run),
    ("lock waits for users, names them, and leaves them alone", busy),
    ("lock defers when told to", deferred),
    ("lock closes nothing but encrypted volumes", other_mappings),
];

fn cotter(words: &[&str]) -> Program {
    Program::cotter().arg("luks").args(words)
}

/// `cotter luks unlock -k -` with the passphrase.
fn unlock(words: &[&str]) -> Program {
    cotter(&["unlock", "-k", "-"]).args(words).input(PASSPHRASE)
}

fn lock(words: &[&str]) -> Ended {
    cotter(&["lock"]).args(words).succeed()
}

fn by_passphrase(volume: &Volume) {
    let name = format!("luks-{}", volume.uuid);
    let node = format!("/dev/mapper/{name}");
    assert_eq!(unlock(&["-d", "/dev/ubda"]).succeed().text(), node);
    shell(&format!(
        "mkdir -p /run/mnt; mkfs.ext4 -q {node}; mount {node} /run/mnt; echo hello >/run/mnt/file; umount /run/mnt"
    ));
    has(&cryptsetup(&["status", &name]), &["type: LUKS2", "key location: keyring", "device: /dev/ubda"]);
    assert_eq!(lock(&[&name]).text(), format!("{name} is closed"));
    assert!(!Path::new(&node).exists());
    volume.open_by_cryptsetup("theirs", &[]);
    assert_eq!(shell("mount /dev/mapper/theirs /run/mnt; cat /run/mnt/file; umount /run/mnt"), "hello");
    lock(&["-d", "/dev/ubda"]);
}

fn by_binding(_: &Volume) {
    let told = cotter(&["unlock", "-n", "ours", "--json", "-d", "/dev/ubda"]).succeed().text();
    has(&told, &[r#""name":"ours""#, r#""version":"LUKS2""#, r#""key":"keyring""#, r#""read_only":false"#]);
    has(&told, &[r#""node":"/dev/mapper/ours""#, r#""device":"254:0""#, r#""left_out":[]"#, r#""flags":[]"#]);
    has(&lock(&["ours", "--json"]).text(), &[r#""name":"ours","state":"closed""#, r#""on":["98:0"]"#]);
}

fn luks1(_: &Volume) {
    let volume = Volume::read("/dev/ubdb", None);
    unlock(&["-n", "ours", "-d", "/dev/ubdb"]).succeed();
    let told = cryptsetup(&["status", "ours"]);
    has(&told, &["type: LUKS1", "key location: dm-crypt", "offset: 4096 sectors", "device: /dev/ubdb"]);
    let ours = dmsetup(&["table", "--showkeys", "ours"]);
    lock(&["/dev/mapper/ours"]);
    volume.open_by_cryptsetup("ours", &[]);
    assert_eq!(dmsetup(&["table", "--showkeys", "ours"]), ours);
    lock(&["ours"]);
}

fn detached(_: &Volume) {
    let volume = Volume::read("/dev/ubdc", Some("header"));
    unlock(&["-n", "ours", "-d", "/dev/ubdc", "--detached-header", "header"]).succeed();
    let ours = dmsetup(&["table", "ours"]);
    has(&ours, &[&format!("0 {} crypt", volume.length), "98:32 0"]);
    lock(&["-d", "/dev/ubdc"]);
    volume.open_by_cryptsetup("ours", &[]);
    assert_eq!(dmsetup(&["table", "ours"]), ours);
    lock(&["ours"]);
}

fn image_file(_: &Volume) {
    unlock(&["-n", "ours", "-d", "image"]).succeed();
    has(&shell("losetup --noheadings --output AUTOCLEAR,BACK-FILE"), &["1 /run/work/image"]);
    shell("mkfs.ext4 -q /dev/mapper/ours; mount /dev/mapper/ours /run/mnt; echo hello >/run/mnt/file; umount /run/mnt");
    let told = cryptsetup(&["status", "ours"]);
    has(&told, &["type: LUKS2", "loop: /run/work/image", "mode: read/write"]);
    let again = unlock(&["-n", "other", "-d", "image"]).run().failed_with(1);
    has(&again.said(), &["ours (dm-0) is on top of it"]);
    let format = cotter(&["format", "-q", "--force", "-k", "-", "-d", "image"]).input(PASSPHRASE).run().failed_with(1);
    has(&format.said(), &["image is in use: it is the loop device 7:0"]);
    lock(&["-d", "image"]);
    assert_eq!(shell("losetup --noheadings --output NAME"), "");
    cryptsetup(&["open", "--key-file", "-", "image", "theirs"]);
    assert_eq!(shell("mount -r /dev/mapper/theirs /run/mnt; cat /run/mnt/file; umount /run/mnt"), "hello");
    lock(&["-d", "image"]);
    assert_eq!(shell("losetup --noheadings --output NAME"), "");
}

fn claimed_image(_: &Volume) {
    let image = FileDisk::open("image", linux::Access::Write).unwrap();
    let claim = image.claim().unwrap();
    let refused = unlock(&["-n", "ours", "-d", "image"]).run().failed_with(1);
    has(&refused.said(), &["image is in use: mapping_guest"]);
    assert_eq!(shell("losetup --noheadings --output NAME"), "");
    drop(claim);
}

fn two_at_once(_: &Volume) {
    for device in ["/dev/ubda", "image"] {
        let begun = ["one", "two"].map(|name| unlock(&["-n", name, "-d", device]).start());
        let codes = begun.map(|unlock| unlock.wait().status.code());
        assert!(matches!(codes, [Some(0), Some(1)] | [Some(1), Some(0)]), "{device}: {codes:?}");
        lock(&["-d", device]);
    }
}

fn file_in_the_way(_: &Volume) {
    std::fs::write("/dev/mapper/ours", b"precious").unwrap();
    let refused = unlock(&["-n", "ours", "-d", "/dev/ubda"]).run().failed_with(1);
    has(&refused.said(), &["cannot make /dev/mapper/ours"]);
    assert_eq!(dmsetup(&["ls"]), "No devices found");
    assert_eq!(std::fs::read("/dev/mapper/ours").unwrap(), b"precious");
    std::fs::remove_file("/dev/mapper/ours").unwrap();
}

fn flags(volume: &Volume) {
    volume.open_by_cryptsetup("theirs", &["--allow-discards", "--perf-no_read_workqueue", "--persistent"]);
    lock(&["theirs"]);
    let words = ["unlock", "-n", "ours", "--perf-same-cpu-crypt", "--json", "-d", "/dev/ubda"];
    let told = cotter(&words).succeed().text();
    has(&told, &[r#""flags":["allow_discards","same_cpu_crypt","no_read_workqueue"]"#]);
    has(&dmsetup(&["table", "ours"]), &["allow_discards same_cpu_crypt no_read_workqueue"]);
    has(&cryptsetup(&["status", "ours"]), &["flags: discards same_cpu_crypt no_read_workqueue"]);
    lock(&["ours"]);
    volume.open_by_cryptsetup("theirs", &["--persistent"]);
    lock(&["theirs"]);
    cotter(&["unlock", "-n", "ours", "-d", "/dev/ubda"]).succeed();
    assert!(!dmsetup(&["table", "ours"]).contains("allow_discards"));
    lock(&["ours"]);
}

fn read_only(_: &Volume) {
    unlock(&["-n", "ours", "--read-only", "-d", "image"]).succeed();
    has(&cryptsetup(&["status", "ours"]), &["mode: readonly"]);
    assert_eq!(shell("losetup --noheadings --output RO"), "1");
    lock(&["ours"]);
    shell("blockdev --setro /dev/ubda");
    let told = unlock(&["-n", "ours", "--json", "-d", "/dev/ubda"]).run();
    shell("blockdev --setrw /dev/ubda");
    let told = told.succeeded();
    has(&told.text(), &[r#""read_only":true"#]);
    has(&told.said(), &["/dev/ubda is read-only, and so is the mapping"]);
    lock(&["ours"]);
}

fn each_others(volume: &Volume) {
    unlock(&["-n", "ours", "-d", "/dev/ubda"]).succeed();
    cryptsetup(&["luksSuspend", "ours"]);
    cryptsetup(&["luksResume", "--key-file", "-", "ours"]);
    cryptsetup(&["resize", "--key-file", "-", "ours"]);
    cryptsetup(&["close", "ours"]);
    volume.open_by_cryptsetup("theirs", &[]);
    assert_eq!(lock(&["theirs"]).text(), "theirs is closed");
}

fn wrong_passphrase(_: &Volume) {
    let refused = cotter(&["unlock", "-k", "-", "-d", "/dev/ubda"]).input("wrong").run().failed_with(1);
    has(&refused.said(), &["the volume stays closed"]);
}

fn open_already(volume: &Volume) {
    unlock(&["-n", "ours", "-d", "/dev/ubda"]).succeed();
    // Nothing is on standard input that could be read.
    let taken = cotter(&["unlock", "-k", "-", "-n", "ours", "-d", "/dev/ubdb"]).run().failed_with(1);
    let uuid = volume.uuid.replace('-', "");
    has(&taken.said(), &[&format!("there is a mapping ours already, CRYPT-LUKS2-{uuid}-ours, on 98:0")]);
    let taken = cotter(&["unlock", "-k", "-", "-n", "other", "-d", "/dev/ubda"]).run().failed_with(1);
    has(&taken.said(), &["the device 98:0 is in use: ours (dm-0) is on top of it"]);
    lock(&["ours"]);
    for bad in ["a/b", "control", ""] {
        cotter(&["unlock", "-k", "-", "-n", bad, "-d", "/dev/ubda"]).run().failed_with(2);
    }
}

fn changed_header(_: &Volume) {
    shell("rm -f /run/key; mkfifo /run/key");
    let opening = cotter(&["unlock", "-k", "/run/key", "-n", "ours", "-d", "/dev/ubda"]).start();
    // Whoever opens a pipe to write it waits for the reader, which by then has accepted the header.
    let key = std::fs::OpenOptions::new().write(true).open("/run/key").unwrap();
    cryptsetup(&["config", "--label", "another", "/dev/ubda"]);
    std::io::Write::write_all(&mut &key, PASSPHRASE.as_bytes()).unwrap();
    drop(key);
    let refused = opening.wait().failed_with(1);
    has(&refused.said(), &["/dev/ubda is not mapped", "the header was changed after it was accepted"]);
}

fn dry_run(_: &Volume) {
    let told = unlock(&["-n", "ours", "--dry-run", "-d", "/dev/ubda"]).succeed();
    assert_eq!(told.text(), "ours would be mapped");
    cotter(&["unlock", "-k", "-", "--dry-run", "-d", "/dev/ubda"]).input("wrong").run().failed_with(1);
    unlock(&["-n", "ours", "-d", "/dev/ubda"]).succeed();
    assert_eq!(lock(&["ours", "--dry-run"]).text(), "ours would be closed");
    assert_eq!(lock(&["ours"]).text(), "ours is closed");
}

fn busy(_: &Volume) {
    unlock(&["-n", "ours", "-d", "/dev/ubda"]).succeed();
    shell("mkfs.ext4 -q /dev/mapper/ours; mount /dev/mapper/ours /run/mnt");
    let refused = cotter(&["lock", "ours", "--timeout", "1"]).run().failed_with(1);
    has(&refused.said(), &["waiting for ours: it is mounted on /run/mnt", "ours is in use: it is mounted on /run/mnt"]);
    has(&refused.said(), &["try: `umount /run/mnt`"]);
    has(&lock(&["ours", "--dry-run"]).text(), &["in use, and would be closed after that: it is mounted on /run/mnt"]);
    let words = ["-c", r#"exec "$0" luks lock ours --timeout 60 2>/run/said"#];
    let waiting = Program::new("sh").args(words).arg(compliance::program::cotter()).start();
    let said = wait_for(|| std::fs::read_to_string("/run/said").ok().filter(|said| said.ends_with('\n')));
    has(&said, &["waiting for ours: it is mounted on /run/mnt"]);
    shell("umount /run/mnt");
    assert_eq!(waiting.wait().succeeded().text(), "ours is closed");
}

fn deferred(_: &Volume) {
    unlock(&["-n", "ours", "-d", "/dev/ubda"]).succeed();
    let held = std::fs::File::open("/dev/mapper/ours").unwrap();
    assert_eq!(lock(&["--deferred", "ours"]).text(), "ours will be closed when its last user leaves");
    drop(held);
    wait_for(|| (dmsetup(&["ls"]) == "No devices found").then_some(()));
}

fn other_mappings(_: &Volume) {
    shell("echo '0 8 linear /dev/ubdb 0' | dmsetup create plain");
    let refused = cotter(&["lock", "plain"]).run().failed_with(1);
    has(&refused.said(), &["plain is not the mapping of an encrypted volume"]);
    cotter(&["lock", "-d", "/dev/ubdb"]).run().failed_with(1);
    dmsetup(&["remove", "plain"]);
    has(&cotter(&["lock", "nothing"]).run().failed_with(1).said(), &["there is no mapping nothing"]);
    cotter(&["lock"]).run().failed_with(2);
}
