//! A device that somebody uses cannot be had alone. Needs root, for a loop device and a mount.

use crate::tool::{succeed, tool};
use block::{BlockWrite, Bytes};
use linux::{Access, DiskError, FileDisk};
use std::path::PathBuf;
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
