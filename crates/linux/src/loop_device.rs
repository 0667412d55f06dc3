//! A plain file as a block device, for what only block devices can be used for, such as the data of a mapping. It lasts as long
//! as somebody has it open, and then lets the file go by itself.

use crate::disk::{FileDisk, Identity};
use crate::dm::DeviceNumber;
use crate::lock::{LockError, reopen};
use crate::sys::{attach_loop, free_loop};
use rustix::fs::{Mode, OFlags, fstat, open};
use rustix::io::Errno;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const CONTROL: &str = "/dev/loop-control";
/// Others take free loop devices too, between our asking for one and our taking it.
const TRIES: usize = 16;

/// A loop device with a file of ours, open.
#[derive(Debug)]
#[must_use = "the file is let go when this is dropped and nobody else has the device open"]
pub struct LoopDevice {
    number: DeviceNumber,
    _open: File,
}

/// What a loop device may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoopAccess {
    /// Reading.
    Read,
    /// Reading and writing.
    Write,
}

impl LoopDevice {
    /// Makes the plain file that `disk` is a block device.
    ///
    /// # Errors
    /// [`LoopError`].
    pub fn attach(disk: &FileDisk, access: LoopAccess) -> Result<LoopDevice, LoopError> {
        let mode = match access {
            LoopAccess::Read => OFlags::RDONLY,
            LoopAccess::Write => OFlags::RDWR,
        };
        let file = reopen(disk, mode).map_err(|source| LoopError::File { source })?;
        let control = open(CONTROL, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).map_err(LoopError::opening)?;
        for _ in 0..TRIES {
            let number = free_loop(control.as_fd()).map_err(|source| LoopError::Failed { doing: "find", source })?;
            let path = format!("/dev/loop{number}");
            let device = open(path, mode | OFlags::CLOEXEC, Mode::empty()).map_err(LoopError::opening)?;
            match attach_loop(device.as_fd(), file.as_fd(), disk.path().as_os_str().as_bytes()) {
                Ok(()) => return LoopDevice::of(device),
                Err(error) if error.kind() == ErrorKind::ResourceBusy => {}
                Err(source) => return Err(LoopError::Failed { doing: "set up", source }),
            }
        }
        Err(LoopError::Failed { doing: "get hold of", source: ErrorKind::ResourceBusy.into() })
    }

    fn of(device: OwnedFd) -> Result<LoopDevice, LoopError> {
        let stat = fstat(&device).map_err(|error| LoopError::Failed { doing: "inspect", source: error.into() })?;
        Ok(LoopDevice { number: DeviceNumber::from_kernel(stat.st_rdev), _open: device.into() })
    }

    /// Its number.
    pub fn number(&self) -> DeviceNumber {
        self.number
    }

    /// The loop devices that have the plain file that `disk` is, whoever has made them.
    pub fn all_of(disk: &FileDisk) -> Vec<DeviceNumber> {
        match disk.identity() {
            Identity::File { device, inode } => having(Path::new("/sys/block"), device, inode),
            Identity::Device { .. } => Vec::new(),
        }
    }
}

/// The loop devices in this directory of `/sys` whose file is that one.
fn having(block: &Path, device: u64, inode: u64) -> Vec<DeviceNumber> {
    let Ok(entries) = fs::read_dir(block) else { return Vec::new() };
    let directories = entries.flatten().map(|entry| entry.path());
    let number = |directory: PathBuf| {
        let file = fs::read_to_string(directory.join("loop/backing_file")).ok()?;
        let about = fs::metadata(file.trim_end_matches('\n')).ok()?;
        let (major, minor) = fs::read_to_string(directory.join("dev")).ok()?.trim().split_once(':').map(parsed)?;
        ((about.dev(), about.ino()) == (device, inode)).then_some(DeviceNumber { major: major?, minor: minor? })
    };
    directories.filter_map(number).collect()
}

fn parsed((major, minor): (&str, &str)) -> (Option<u32>, Option<u32>) {
    (major.parse().ok(), minor.parse().ok())
}

/// Why a file did not become a block device.
#[derive(Debug)]
pub enum LoopError {
    /// The kernel has no loop devices, or has not loaded them.
    None {
        /// What the system said.
        source: io::Error,
    },
    /// Only root may.
    Denied,
    /// The file cannot be opened a second time.
    File {
        /// Why.
        source: LockError,
    },
    /// Anything else.
    Failed {
        /// What could not be done to a loop device.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl LoopError {
    fn opening(error: Errno) -> LoopError {
        match error {
            Errno::NOENT | Errno::NODEV | Errno::NXIO => LoopError::None { source: error.into() },
            Errno::ACCESS | Errno::PERM => LoopError::Denied,
            _ => LoopError::Failed { doing: "open", source: error.into() },
        }
    }

    /// What a person can do.
    pub fn hint(&self) -> String {
        match self {
            LoopError::None { .. } => "`modprobe loop`".to_owned(),
            LoopError::Denied => "run it as root".to_owned(),
            LoopError::File { source } => source.hint(),
            LoopError::Failed { .. } => "see `losetup -a` and the end of `dmesg`".to_owned(),
        }
    }
}

impl fmt::Display for LoopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoopError::None { .. } => f.write_str("this kernel has no loop devices, or has not loaded them"),
            LoopError::Denied => f.write_str("not allowed to use loop devices"),
            LoopError::File { .. } => f.write_str("the file cannot become a block device"),
            LoopError::Failed { doing, .. } => write!(f, "cannot {doing} a loop device"),
        }
    }
}

impl std::error::Error for LoopError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            LoopError::None { source } | LoopError::Failed { source, .. } => Some(source),
            LoopError::File { source } => Some(source),
            LoopError::Denied => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn loop_devices_are_found_by_their_file_and_not_by_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("disk.img");
        fs::write(&file, b"x").unwrap();
        fs::hard_link(&file, dir.path().join("other name")).unwrap();
        for (name, backing, dev) in [("loop0", "other name", "7:0"), ("loop7", "none", "7:7"), ("loop8", "", "7:8")] {
            let directory = dir.path().join("block").join(name);
            fs::create_dir_all(directory.join("loop")).unwrap();
            let text = format!("{}\n", dir.path().join(backing).display());
            fs::write(directory.join("loop/backing_file"), text).unwrap();
            fs::write(directory.join("dev"), format!("{dev}\n")).unwrap();
        }
        fs::create_dir_all(dir.path().join("block/sda")).unwrap();
        let about = fs::metadata(&file).unwrap();
        let found = having(&dir.path().join("block"), about.dev(), about.ino());
        assert_eq!(found, [DeviceNumber { major: 7, minor: 0 }]);
    }

    #[test]
    fn why_there_is_none_is_said_with_a_way_out() {
        let none = LoopError::opening(Errno::NOENT);
        assert!(matches!(none, LoopError::None { .. }) && none.hint() == "`modprobe loop`", "{none}");
        assert!(matches!(LoopError::opening(Errno::ACCESS), LoopError::Denied));
        assert!(matches!(LoopError::opening(Errno::IO), LoopError::Failed { doing: "open", .. }));
    }
}
