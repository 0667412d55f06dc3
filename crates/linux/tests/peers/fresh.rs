//! What is read is what is on the medium: two names of one disk have two page caches. Needs root, for loop devices.

use crate::tool::{succeed, tool};
use block::{BlockRead, BlockWrite, Bytes};
use linux::{Access, FileDisk};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use tempfile::TempDir;

/// A file, and a loop device over it that is held open with its first pages in memory.
struct TwoNames {
    _folder: TempDir,
    file: PathBuf,
    device: PathBuf,
    held: File,
}

const OLD: u8 = b'-';

impl TwoNames {
    fn new() -> TwoNames {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("disk.img");
        std::fs::write(&file, vec![OLD; 1 << 20]).unwrap();
        let words = ["--find".as_ref(), "--show".as_ref(), file.as_os_str()];
        let device = PathBuf::from(succeed(&mut tool("losetup", "mount"), words).trim());
        let held = File::open(&device).unwrap();
        let names = TwoNames { _folder: folder, file, device, held };
        assert_eq!(names.remembered(), [OLD; 8192]);
        names
    }

    /// What the page cache of the device says.
    fn remembered(&self) -> [u8; 8192] {
        let mut bytes = [0; 8192];
        self.held.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }
}

impl Drop for TwoNames {
    fn drop(&mut self) {
        succeed(tool("losetup", "mount").arg("--detach"), [&self.device]);
    }
}

fn read(disk: &FileDisk, offset: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    disk.read_at(Bytes(offset), &mut bytes).unwrap();
    bytes
}

#[test]
fn a_device_that_is_held_open_is_read_anew() {
    let names = TwoNames::new();
    let device = FileDisk::open(&names.device, Access::Write).unwrap();
    let file = FileDisk::open(&names.file, Access::Write).unwrap();
    file.write_at(Bytes(4090), b"new bytes").unwrap();
    file.flush().unwrap();
    assert_eq!(names.remembered(), [OLD; 8192], "the cache was to be out of date");
    assert_eq!(read(&device, 4090, 9), b"new bytes");
    device.use_cache();
    assert_eq!(read(&device, 4090, 9), [OLD; 9]);
}

#[test]
fn a_short_write_brings_nothing_old_with_it() {
    let names = TwoNames::new();
    let device = FileDisk::open(&names.device, Access::Write).unwrap();
    let file = FileDisk::open(&names.file, Access::Write).unwrap();
    file.write_at(Bytes(100), b"of the file").unwrap();
    file.flush().unwrap();
    assert_eq!(names.remembered(), [OLD; 8192], "the cache was to be out of date");
    device.write_at(Bytes(200), b"of the device").unwrap();
    device.flush().unwrap();
    for disk in [&file, &device] {
        assert_eq!(read(disk, 100, 11), b"of the file");
        assert_eq!(read(disk, 200, 13), b"of the device");
    }
}
