//! What somebody uses cannot be had alone. The devices need root, for a loop device and a mount.

use crate::tool::{run, said, succeed, tool};
use block::{BlockWrite, Bytes};
use linux::{Access, DiskError, FileDisk, LockError, LoopDevice};
use std::io::Read;
use std::path::PathBuf;
use std::process::Stdio;
use tempfile::TempDir;

/// A loop device over a file, and where it is mounted; both end with this.
struct Device {
    folder: TempDir,
    path: PathBuf,
    mounted: bool,
}

impl Device {
    fn new() -> Device {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("disk.img");
        FileDisk::create(&file, Bytes(8 << 20)).unwrap();
        let name = succeed(&mut tool("losetup", "mount"), ["--find".as_ref(), "--show".as_ref(), file.as_os_str()]);
        Device { folder, path: PathBuf::from(name.trim()), mounted: false }
    }

    fn mount(&mut self) {
        succeed(tool("mkfs.ext4", "e2fsprogs").arg("-q"), [&self.path]);
        let place = self.folder.path().join("mounted");
        std::fs::create_dir(&place).unwrap();
        succeed(&mut tool("mount", "mount"), [&self.path, &place]);
        self.mounted = true;
    }

    fn unmount(&mut self) {
        succeed(&mut tool("umount", "mount"), [self.folder.path().join("mounted")]);
        self.mounted = false;
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        if self.mounted {
            self.unmount();
        }
        succeed(tool("losetup", "mount").arg("--detach"), [&self.path]);
    }
}

#[test]
fn a_mounted_device_is_refused_until_it_is_unmounted() {
    let mut device = Device::new();
    device.mount();
    let refused = FileDisk::open(&device.path, Access::Alone).unwrap_err();
    assert!(matches!(&refused, DiskError::InUse { path } if *path == device.path), "{refused:?}");
    FileDisk::open(&device.path, Access::Read).unwrap();
    device.unmount();
    FileDisk::open(&device.path, Access::Alone).unwrap().write_at(Bytes(0), b"x").unwrap();
}

#[test]
fn only_one_has_a_device_alone() {
    let device = Device::new();
    let alone = FileDisk::open(&device.path, Access::Alone).unwrap();
    assert!(alone.is_device());
    let second = FileDisk::open(&device.path, Access::Alone);
    assert!(matches!(second, Err(DiskError::InUse { .. })), "{second:?}");
    FileDisk::open(&device.path, Access::Write).unwrap();
    drop(alone);
    FileDisk::open(&device.path, Access::Alone).unwrap();
}

#[test]
fn a_claim_on_a_device_is_that_of_a_mount() {
    let mut device = Device::new();
    let disk = FileDisk::open(&device.path, Access::Write).unwrap();
    let claim = disk.claim().unwrap();
    for refused in [disk.claim(), FileDisk::open(&device.path, Access::Write).unwrap().claim()] {
        assert!(matches!(refused, Err(LockError::Claimed { .. })), "{refused:?}");
    }
    assert!(FileDisk::open(&device.path, Access::Alone).is_err());
    drop(claim);
    let alone = FileDisk::open(&device.path, Access::Alone).unwrap();
    let claim = alone.claim().unwrap();
    assert!(disk.claim().is_err());
    drop((claim, alone));
    device.mount();
    let refused = disk.claim().unwrap_err();
    assert!(refused.to_string().contains("a mount"), "{refused}");
}

#[test]
fn a_file_that_is_a_loop_device_is_claimed_by_nobody_whatever_its_name_is_now() {
    let device = Device::new();
    let file = device.folder.path().join("disk.img");
    let disk = FileDisk::open(&file, Access::Write).unwrap();
    let refused = disk.claim().unwrap_err();
    let number = FileDisk::open(&device.path, Access::Read).unwrap().device_number().unwrap();
    assert!(matches!(&refused, LockError::Attached { devices, .. } if *devices == [number]), "{refused:?}");
    assert!(refused.to_string().ends_with(&format!("the loop device {number}")), "{refused}");
    let other = FileDisk::create(device.folder.path().join("other.img"), Bytes(4096)).unwrap();
    drop(other.claim().unwrap());
    std::fs::remove_file(&file).unwrap();
    assert_eq!(LoopDevice::all_of(&disk), [number], "the kernel calls it deleted");
    std::fs::write(&file, b"another").unwrap();
    drop(device);
    assert_eq!(LoopDevice::all_of(&disk), []);
}

#[test]
fn qemu_and_a_claim_keep_each_other_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.img");
    let disk = FileDisk::create(&path, Bytes(1 << 20)).unwrap();
    let write = |path: &PathBuf| {
        let words = ["-f", "raw", "-c", "write 0 512"].map(AsRef::as_ref);
        run(&mut tool("qemu-io", "qemu-utils"), words.into_iter().chain([path.as_os_str()]))
    };
    let claim = disk.claim().unwrap();
    let refused = write(&path);
    assert!(!refused.status.success() && said(&refused).contains("lock"), "{}", said(&refused));
    drop(claim);
    let written = write(&path);
    assert!(written.status.success(), "{}", said(&written));

    // qemu-io has its image open for as long as its commands may come.
    let mut qemu = tool("qemu-io", "qemu-utils");
    qemu.args(["-f", "raw"]).arg(&path).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut qemu = qemu.spawn().unwrap();
    let mut prompt = [0; 8];
    qemu.stdout.as_mut().unwrap().read_exact(&mut prompt).unwrap();
    assert_eq!(&prompt, b"qemu-io>");
    let refused = disk.claim().unwrap_err();
    let LockError::Claimed { holders, .. } = &refused else { panic!("{refused:?}") };
    assert_eq!((holders[0].process, holders[0].command.as_str()), (qemu.id(), "qemu-io"));
    drop(qemu.stdin.take());
    qemu.wait().unwrap();
    drop(disk.claim().unwrap());
}
