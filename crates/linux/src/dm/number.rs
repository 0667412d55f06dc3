//! Numbers of block devices.

use crate::disk::{FileDisk, Identity};
use std::fmt;
use std::path::Path;

/// A block device, by its number. A name may lead elsewhere tomorrow; a number stays with its device while that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceNumber {
    /// Which driver.
    pub major: u32,
    /// Which of its devices.
    pub minor: u32,
}

impl DeviceNumber {
    /// The block device that `path` leads to; `None` if it leads to something else or nowhere.
    pub fn of(path: &Path) -> Option<DeviceNumber> {
        let stat = rustix::fs::stat(path).ok()?;
        let is_device = rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::BlockDevice;
        is_device.then(|| DeviceNumber::from_kernel(stat.st_rdev))
    }

    /// Whether it cannot be written, now and by anybody: its medium, or somebody's setting.
    pub fn is_read_only(self) -> bool {
        let told = std::fs::read_to_string(Path::new("/sys/dev/block").join(self.to_string()).join("ro"));
        told.is_ok_and(|told| told.trim() == "1")
    }

    /// The form of stat(2) and of the device mapper.
    pub(crate) fn from_kernel(number: u64) -> DeviceNumber {
        DeviceNumber { major: rustix::fs::major(number), minor: rustix::fs::minor(number) }
    }

    pub(crate) fn to_kernel(self) -> u64 {
        rustix::fs::makedev(self.major, self.minor)
    }
}

impl FileDisk {
    /// The number of the block device; `None` of a plain file.
    pub fn device_number(&self) -> Option<DeviceNumber> {
        match self.identity() {
            Identity::Device { major, minor } => Some(DeviceNumber { major, minor }),
            Identity::File { .. } => None,
        }
    }
}

/// `major:minor`, as in `/sys/dev/block` and in tables.
impl fmt::Display for DeviceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_the_kernels_form() {
        for (major, minor, kernel) in [(254, 0, 0xfe00), (98, 16, 0x6210), (8, 0x12345, 0x1230_0845)] {
            let number = DeviceNumber { major, minor };
            assert_eq!((number.to_kernel(), DeviceNumber::from_kernel(kernel)), (kernel, number));
        }
        assert_eq!(DeviceNumber { major: 254, minor: 3 }.to_string(), "254:3");
        assert_eq!(DeviceNumber::of(Path::new("/dev/null")), None, "a character device");
    }
}
