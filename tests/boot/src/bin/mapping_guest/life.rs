//! A mapping's life, ours and cryptsetup's in turn.

use crate::Check;
use crate::volume::{Volume, cryptsetup, dmsetup, has, lock, shell};
use linux::dm::{Control, CryptFlags, KeyPlace, MappingAccess, MappingName, Removed};
use std::io::Write;
use std::os::unix::fs::FileTypeExt;

/// Of both formats.
pub(crate) const CHECKS: &[Check] = &[
    ("what is written through our mapping cryptsetup reads, and the other way round", files_go_both_ways),
    ("cryptsetup status names our mapping as its own", status),
    ("cryptsetup resizes our mapping", resize),
    ("cryptsetup suspends and resumes our mapping", suspend_and_resume),
    ("cryptsetup closes our mapping", closed_by_cryptsetup),
    ("we close cryptsetup's mapping, and know what it is", theirs_closed),
    ("our table is the one that cryptsetup makes", same_table),
    ("a read-only mapping cannot be written", read_only),
    ("every flag that was asked for is in the table", flags),
    ("a name with a space is the one that cryptsetup uses", odd_name),
];

/// Of LUKS2 alone. `/dev/ubdb` has sectors of 4096 bytes, the header of `/dev/ubdc` is in a file.
pub(crate) const LUKS2_CHECKS: &[Check] = &[
    ("the key is in the keyring and never in the table", keyring_key),
    ("sectors of 4096 bytes are mapped as such", large_sectors),
    ("a header in a file maps the disk that it is for", detached_header),
];

/// Of LUKS1 alone.
pub(crate) const LUKS1_CHECKS: &[Check] = &[("the key is in the table, and shown only to who asks for it", inline_key)];

fn files_go_both_ways(volume: &Volume) {
    shell("mkdir -p /run/mnt");
    volume.map("ours").unwrap();
    shell("mkfs.ext4 -q /dev/mapper/ours; mount /dev/mapper/ours /run/mnt; echo by us >/run/mnt/ours; umount /run/mnt");
    assert_eq!(lock("ours"), Removed::Now);
    volume.open_by_cryptsetup("theirs", &[]);
    let read = shell(
        "mount /dev/mapper/theirs /run/mnt; cat /run/mnt/ours; echo by cryptsetup >/run/mnt/theirs; umount /run/mnt; \
         fsck.ext4 -fn /dev/mapper/theirs >/dev/null 2>&1; cryptsetup close theirs",
    );
    assert_eq!(read, "by us");
    volume.map("ours").unwrap();
    assert_eq!(shell("mount -r /dev/mapper/ours /run/mnt; cat /run/mnt/theirs; umount /run/mnt"), "by cryptsetup");
    lock("ours");
}

fn status(volume: &Volume) {
    let made = volume.map("ours").unwrap();
    assert!(made.node.metadata().unwrap().file_type().is_block_device());
    let told = cryptsetup(&["status", "ours"]);
    let place = if volume.format == "LUKS2" { "keyring" } else { "dm-crypt" };
    has(&told, &["/dev/mapper/ours is active", "mode: read/write", "cipher: aes-xts-plain64", "keysize: 512 bits"]);
    has(&told, &[&format!("type: {}", volume.format), &format!("key location: {place}")]);
    has(&told, &[&format!("device: {}", volume.device), &format!("offset: {} sectors", volume.offset)]);
    has(&told, &[&format!("size: {} sectors", volume.length), &format!("sector size: {}", volume.sector_size)]);
    lock("ours");
}

fn resize(volume: &Volume) {
    volume.map("ours").unwrap();
    cryptsetup(&["resize", "--key-file", "-", "--size", "2048", "ours"]);
    has(&dmsetup(&["table", "ours"]), &["0 2048 crypt"]);
    cryptsetup(&["resize", "--key-file", "-", "ours"]);
    has(&dmsetup(&["table", "ours"]), &[&format!("0 {} crypt", volume.length)]);
    lock("ours");
}

fn suspend_and_resume(volume: &Volume) {
    volume.map("ours").unwrap();
    let sum = shell("sha256sum </dev/mapper/ours");
    cryptsetup(&["luksSuspend", "ours"]);
    let name = MappingName::new("ours").unwrap();
    assert!(Control::open().unwrap().find(&name).unwrap().unwrap().suspended);
    cryptsetup(&["luksResume", "--key-file", "-", "ours"]);
    assert!(!Control::open().unwrap().find(&name).unwrap().unwrap().suspended);
    shell("echo 3 >/proc/sys/vm/drop_caches");
    assert_eq!(shell("sha256sum </dev/mapper/ours"), sum);
    lock("ours");
}

fn closed_by_cryptsetup(volume: &Volume) {
    let made = volume.map("ours").unwrap();
    cryptsetup(&["close", "ours"]);
    assert!(!made.node.exists());
}

fn theirs_closed(volume: &Volume) {
    volume.open_by_cryptsetup("theirs", &["--readonly"]);
    let control = Control::open().unwrap();
    let name = MappingName::new("theirs").unwrap();
    let found = control.find(&name).unwrap().unwrap();
    assert_eq!(control.on_device(volume.number()).unwrap(), std::slice::from_ref(&found));
    assert_eq!(control.list().unwrap(), [(name.clone(), found.device)]);
    assert!(found.is_crypt() && found.read_only && !found.suspended && found.open_count == 0);
    let uuid = found.uuid.as_ref().unwrap();
    assert_eq!(uuid.crypt_format(), Some(volume.format));
    assert_eq!(control.find_by_uuid(uuid).unwrap(), Some(found.clone()));
    let targets: Vec<_> = found.targets.iter().map(|target| (target.length.0, target.name.as_str())).collect();
    assert_eq!(targets, [(volume.length, "crypt")]);
    assert_eq!(lock("theirs"), Removed::Now);
    assert_eq!((control.find(&name).unwrap(), control.list().unwrap()), (None, Vec::new()));
    assert!(!std::path::Path::new("/dev/mapper/theirs").exists());
}

fn same_table(volume: &Volume) {
    let discards = CryptFlags { allow_discards: true, ..CryptFlags::default() };
    volume.map_with("same", discards, MappingAccess::Write, |table| table).unwrap();
    let ours = (dmsetup(&["table", "--showkeys", "same"]), dmsetup(&["info", "same"]));
    lock("same");
    volume.open_by_cryptsetup("same", &["--allow-discards"]);
    assert_eq!((dmsetup(&["table", "--showkeys", "same"]), dmsetup(&["info", "same"])), ours);
    has(&ours.0, &["allow_discards"]);
    has(&cryptsetup(&["status", "same"]), &["flags: discards"]);
    lock("same");
}

fn read_only(volume: &Volume) {
    volume.map_with("ours", CryptFlags::default(), MappingAccess::Read, |table| table).unwrap();
    assert_eq!(shell("blockdev --getro /dev/mapper/ours"), "1");
    has(&cryptsetup(&["status", "ours"]), &["mode: readonly"]);
    let written = std::fs::OpenOptions::new().write(true).open("/dev/mapper/ours").and_then(|mut file| {
        file.write_all(&[0; 4096])?;
        file.sync_all()
    });
    assert!(written.is_err());
    lock("ours");
}

fn flags(volume: &Volume) {
    let all = CryptFlags {
        allow_discards: true,
        same_cpu_crypt: true,
        submit_from_crypt_cpus: true,
        no_read_workqueue: true,
        no_write_workqueue: true,
    };
    let made = volume.map_with("ours", all, MappingAccess::Write, |table| table).unwrap();
    assert_eq!(made.left_out, [], "this kernel knows them all");
    let expected = "allow_discards same_cpu_crypt submit_from_crypt_cpus no_read_workqueue no_write_workqueue";
    has(&dmsetup(&["table", "ours"]), &[expected]);
    lock("ours");
}

fn odd_name(volume: &Volume) {
    let made = volume.map("a b").unwrap();
    assert_eq!(made.node.to_str(), Some(r"/dev/mapper/a\x20b"));
    has(&cryptsetup(&["status", "a b"]), &["/dev/mapper/a b is active", &format!("type: {}", volume.format)]);
    lock("a b");
}

fn keyring_key(volume: &Volume) {
    let made = volume.map("ours").unwrap();
    assert_eq!(made.key, KeyPlace::Keyring);
    // This process, and the thread whose keyring it was in, are still there.
    assert_eq!(crate::volume::keys("cryptsetup:"), 0);
    let expected = format!("crypt aes-xts-plain64 :64:logon:{} 0 98:0 {}", volume.description(), volume.offset);
    has(&dmsetup(&["table", "--showkeys", "ours"]), &[&expected]);
    lock("ours");
}

fn large_sectors(_: &Volume) {
    let volume = Volume::read("/dev/ubdb", None);
    assert_eq!(volume.sector_size, 4096);
    files_go_both_ways(&volume);
    same_table(&volume);
}

fn detached_header(_: &Volume) {
    let volume = Volume::read("/dev/ubdc", Some("header"));
    assert_eq!(volume.offset, 0);
    files_go_both_ways(&volume);
    same_table(&volume);
}

fn inline_key(volume: &Volume) {
    let made = volume.map("ours").unwrap();
    assert_eq!(made.key, KeyPlace::Table);
    let key: String = volume.key.expose().iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(!dmsetup(&["table", "ours"]).contains(&key));
    has(&dmsetup(&["table", "--showkeys", "ours"]), &[&format!("crypt aes-xts-plain64 {key} 0 98:0 4096")]);
    lock("ours");
}
