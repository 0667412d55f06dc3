//! What cannot be mapped: nothing of it is left in the kernel, and the error says what is in the way.

use crate::Check;
use crate::volume::{Volume, dmsetup, lock, lock_within, shell};
use linux::dm::{Control, CryptFlags, CryptTable, DeviceNumber, DmError, MappingAccess, TableError, User, WhileInUse};
use std::path::Path;
use std::time::Duration;

pub(crate) const CHECKS: &[Check] = &[
    ("a name in use is refused by what it is", name_in_use),
    ("a disk in use is refused by who uses it", disk_in_use),
    ("a cipher that the kernel lacks leaves nothing behind", no_cipher),
    ("a table that the kernel refuses leaves nothing behind", refused_table),
    ("a disk that is gone, or too short, leaves nothing behind", no_disk),
    ("a file in place of the node leaves nothing behind", no_node),
    ("a read-only disk is mapped read-only or not at all", read_only_disk),
    ("a mapping that is not there cannot be removed", nothing_to_remove),
    ("the control node is made where it is missing", control_node),
    ("a kernel that cannot encrypt, or has no device mapper, is said to be one", no_target),
];

const PLAIN: CryptFlags = CryptFlags {
    allow_discards: false,
    same_cpu_crypt: false,
    submit_from_crypt_cpus: false,
    no_read_workqueue: false,
    no_write_workqueue: false,
};

fn name_in_use(volume: &Volume) {
    shell("echo '0 8 error' | dmsetup create taken");
    let refused = volume.map("taken").unwrap_err();
    assert!(matches!(&refused, DmError::NameInUse { uuid: None, on, .. } if on.is_empty()), "{refused:?}");
    dmsetup(&["remove", "taken"]);
    volume.map("taken").unwrap();
    let refused = volume.map("taken").unwrap_err();
    let expected =
        format!("there is a mapping taken already, CRYPT-LUKS2-{}-taken, on 98:0", volume.uuid.replace('-', ""));
    assert_eq!(refused.to_string(), expected);
    lock("taken");
}

fn disk_in_use(volume: &Volume) {
    volume.map("first").unwrap();
    let refused = volume.map("second").unwrap_err();
    assert_eq!(refused.to_string(), "the device 98:0 is in use: first (dm-0) is on top of it");
    assert!(refused.hint().contains("dmsetup info first"));
    lock("first");
    let disk = linux::FileDisk::open(&volume.device, linux::Access::Alone).unwrap();
    let refused = volume.map("second").unwrap_err();
    // A process does not find itself in its own way, and nothing else tells who has claimed a device.
    assert!(matches!(&refused, DmError::DeviceInUse { users, .. } if users.is_empty()), "{refused:?}");
    drop(disk);
    shell("mkfs.ext4 -q /dev/ubdb; mkdir -p /run/mnt; mount /dev/ubdb /run/mnt");
    let device = DeviceNumber::of(Path::new("/dev/ubdb")).unwrap();
    let length = block::Sectors(8);
    let refused =
        volume.map_with("second", PLAIN, MappingAccess::Write, |table| CryptTable { device, length, ..table });
    shell("umount /run/mnt");
    assert_eq!(refused.unwrap_err().to_string(), "the device 98:16 is in use: it is mounted on /run/mnt");
}

fn no_cipher(volume: &Volume) {
    let refused = volume
        .map_with("ours", PLAIN, MappingAccess::Write, |table| CryptTable { cipher: "nonesuch-xts-plain64", ..table })
        .unwrap_err();
    assert!(matches!(&refused, DmError::Cipher { key_bits: 512, .. }), "{refused:?}");
}

fn refused_table(volume: &Volume) {
    let odd = volume
        .map_with("ours", PLAIN, MappingAccess::Write, |table| CryptTable { cipher: "aes-xts-nonesuch", ..table });
    assert!(matches!(odd, Err(DmError::Refused { .. })), "{odd:?}");
    let odd = volume.map_with("ours", PLAIN, MappingAccess::Write, |table| CryptTable { cipher: "aes xts", ..table });
    assert!(matches!(odd, Err(DmError::Table(TableError::Word { what: "cipher" }))), "{odd:?}");
}

fn no_disk(volume: &Volume) {
    let device = DeviceNumber { major: 98, minor: 240 };
    let gone = volume.map_with("ours", PLAIN, MappingAccess::Write, |table| CryptTable { device, ..table });
    assert!(matches!(gone, Err(DmError::DeviceGone { .. })), "{gone:?}");
    let length = block::Sectors(volume.length + 8);
    let short = volume.map_with("ours", PLAIN, MappingAccess::Write, |table| CryptTable { length, ..table });
    assert!(matches!(short, Err(DmError::Refused { .. })), "{short:?}");
}

fn no_node(volume: &Volume) {
    shell("rm -f /dev/mapper/ours; echo precious >/dev/mapper/ours");
    let refused = volume.map("ours").unwrap_err();
    assert!(matches!(&refused, DmError::Node { .. }), "{refused:?}");
    assert_eq!(shell("cat /dev/mapper/ours; rm /dev/mapper/ours"), "precious");
}

fn read_only_disk(volume: &Volume) {
    shell(&format!("blockdev --setro {}", volume.device));
    let refused = volume.map("ours").map_err(|error| error.hint());
    let allowed = volume.map_with("ours", PLAIN, MappingAccess::Read, |table| table);
    shell(&format!("blockdev --setrw {}", volume.device));
    assert_eq!(refused.unwrap_err(), "open it read-only: --read-only");
    allowed.unwrap();
    lock("ours");
}

fn nothing_to_remove(_: &Volume) {
    let mut told = 0;
    let mut tell = |_: &[User]| told += 1;
    let refused = lock_within("nothing", Duration::from_secs(5), WhileInUse::Wait, &mut tell).unwrap_err();
    assert!(matches!(&refused, DmError::NotFound { .. }), "{refused:?}");
    assert_eq!(told, 0);
}

fn control_node(_: &Volume) {
    shell("rm /dev/mapper/control; rmdir /dev/mapper");
    assert_eq!(Control::open().unwrap().list().unwrap(), []);
    assert!(Path::new("/dev/mapper/control").exists());
    assert_eq!(shell("stat -c '%a %F %t %T' /dev/mapper/control"), "600 character special file a ec");
}

/// The guest's kernel does not find its modules by itself.
fn no_target(volume: &Volume) {
    shell("rmmod dm_crypt");
    let refused = volume.map("ours").unwrap_err();
    assert!(matches!(&refused, DmError::NoCryptTarget), "{refused:?}");
    assert_eq!(Control::open().unwrap().list().unwrap(), []);
    shell("rmmod dm_mod; rm -rf /dev/mapper");
    let refused = Control::open().unwrap_err();
    assert!(matches!(&refused, DmError::NoDeviceMapper { .. }), "{refused:?}");
    assert!(!Path::new("/dev/mapper").exists());
    shell("cd /usr/lib/uml/modules/$(uname -r)/kernel/drivers/md; insmod dm-mod.ko; insmod dm-crypt.ko");
    volume.map("ours").unwrap();
    lock("ours");
}
