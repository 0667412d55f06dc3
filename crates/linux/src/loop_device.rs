//! A plain file as a block device, for what only block devices can be used for, such as the data of a mapping. It lasts as long
//! as somebody has it open, and then lets the file go by itself.

use crate::disk::{FileDisk, Identity};
use crate::dm::DeviceNumber;
use crate::lock::{LockError, reopen};
use crate::sys::{attach_loop, file_of_loop, free_loop};
use rustix::fs::{Mode, OFlags, fstat, open};
use rustix::io::Errno;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

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

    /// The loop devices that have the plain file that `disk` is, whoever has made them and whatever the file is called by now. Those
    /// that we may not open are not found.
    pub fn all_of(disk: &FileDisk) -> Vec<DeviceNumber> {
        let Identity::File { device, inode } = disk.identity() else { return Vec::new() };
        let Ok(entries) = fs::read_dir("/sys/block") else { return Vec::new() };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let loops = names.filter_map(|name| in_use(Path::new("/sys/block"), &name).map(|number| (name, number)));
        let having = loops.filter(|(name, number)| file_of(name, *number) == Some((device, inode)));
        having.map(|(_, number)| number).collect()
    }
}

/// The number of the loop device of this name in a directory like `/sys/block`, if it has a file.
fn in_use(block: &Path, name: &str) -> Option<DeviceNumber> {
    let directory = block.join(name);
    if !directory.join("loop").is_dir() {
        return None;
    }
    let number = fs::read_to_string(directory.join("dev")).ok()?;
    let (major, minor) = number.trim().split_once(':')?;
    Some(DeviceNumber { major: major.parse().ok()?, minor: minor.parse().ok()? })
}

/// Device and inode of its file. The node is looked at before it is believed.
fn file_of(name: &str, number: DeviceNumber) -> Option<(u64, u64)> {
    let node = Path::new("/dev").join(name);
    if DeviceNumber::of(&node) != Some(number) {
        return None;
    }
    let device = open(node, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty()).ok()?;
    file_of_loop(device.as_fd()).ok()
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
    fn only_loop_devices_with_a_file_are_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        for (name, dev) in [("loop0", "7:0\n"), ("loop1", "7:1\n"), ("loop2", "nonsense"), ("sda", "8:0\n")] {
            fs::create_dir_all(dir.path().join(name)).unwrap();
            fs::write(dir.path().join(name).join("dev"), dev).unwrap();
        }
        for used in ["loop1", "loop2"] {
            fs::create_dir(dir.path().join(used).join("loop")).unwrap();
        }
        let found = ["loop0", "loop1", "loop2", "sda", "none"].map(|name| in_use(dir.path(), name));
        assert_eq!(found, [None, Some(DeviceNumber { major: 7, minor: 1 }), None, None, None]);
    }

    #[test]
    fn why_there_is_none_is_said_with_a_way_out() {
        let none = LoopError::opening(Errno::NOENT);
        assert!(matches!(none, LoopError::None { .. }) && none.hint() == "`modprobe loop`", "{none}");
        assert!(matches!(LoopError::opening(Errno::ACCESS), LoopError::Denied));
        assert!(matches!(LoopError::opening(Errno::IO), LoopError::Failed { doing: "open", .. }));
    }
}
