//! Why a mapping could not be made, found or removed.

use super::name::{MappingName, NameError};
use super::number::DeviceNumber;
use super::table::{TableError, TargetVersion};
use super::users::User;
use crate::keyring::KeyringError;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why the device mapper did not do what was asked.
#[derive(Debug)]
pub enum DmError {
    /// The kernel has no device mapper, or has not loaded it.
    NoDeviceMapper {
        /// What the system said.
        source: io::Error,
    },
    /// Only root may.
    Denied,
    /// The kernel's device mapper speaks another language.
    Interface {
        /// The version of its interface.
        version: [u32; 3],
    },
    /// The kernel cannot encrypt disks, or has not loaded what does.
    NoCryptTarget,
    /// No mapping can have that name.
    Name(NameError),
    /// A mapping of that name exists.
    NameInUse {
        /// The name.
        name: MappingName,
        /// What it is: its UUID, if it has one.
        uuid: Option<String>,
        /// On which devices it is.
        on: Vec<DeviceNumber>,
    },
    /// A mapping with that UUID exists, under another name.
    UuidInUse {
        /// Under which.
        name: MappingName,
    },
    /// Somebody else uses the device with the encrypted sectors.
    DeviceInUse {
        /// Which device.
        device: DeviceNumber,
        /// Who, as far as the system tells.
        users: Vec<User>,
    },
    /// The device with the encrypted sectors cannot be written.
    ReadOnlyDevice {
        /// Which device.
        device: DeviceNumber,
    },
    /// There is no such device any more.
    DeviceGone {
        /// Which device.
        device: DeviceNumber,
    },
    /// There is no such table.
    Table(TableError),
    /// The kernel does not have the cipher, or not for a key of that length.
    Cipher {
        /// Which one, in the kernel's words.
        cipher: String,
        /// Bits of the key.
        key_bits: usize,
    },
    /// The kernel refuses the table; why stands in its log.
    Refused {
        /// The version of its target.
        version: TargetVersion,
        /// What it said.
        source: io::Error,
    },
    /// The key cannot go through the keyring.
    Keyring(KeyringError),
    /// The mapping cannot be had by its name.
    Node {
        /// The name.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others were making mappings for all the time there was.
    NotOurTurn,
    /// The mapping was not made as it should be, and could not be taken away again.
    LeftBehind {
        /// Its name.
        name: MappingName,
        /// What was wrong with it.
        why: Box<DmError>,
        /// The kernel takes it away when its last user leaves; otherwise it stays, with its key.
        goes: bool,
    },
    /// No mapping has that name.
    NotFound {
        /// The name.
        name: MappingName,
    },
    /// Somebody used the mapping for all the time there was.
    InUse {
        /// Its name.
        name: MappingName,
        /// Who, as far as the system tells.
        users: Vec<User>,
    },
    /// The kernel's answer cannot be read.
    Malformed {
        /// To what.
        doing: &'static str,
    },
    /// Anything else.
    Failed {
        /// What could not be done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl DmError {
    /// What a person can do.
    pub fn hint(&self) -> String {
        match self {
            DmError::NoDeviceMapper { .. } => "`modprobe dm-mod`; a container gets it from its host".to_owned(),
            DmError::Denied => "run it as root".to_owned(),
            DmError::Interface { .. } => "use another kernel: this one is older than any that is known".to_owned(),
            DmError::NoCryptTarget => "`modprobe dm-crypt`".to_owned(),
            DmError::Name(error) => error.hint(),
            DmError::NameInUse { name, .. } | DmError::UuidInUse { name } => {
                format!("see `dmsetup info {name}`; choose another name, or close that one: `cotter luks lock {name}`")
            }
            DmError::DeviceInUse { device, users } => match users.first() {
                Some(User::Device { mapping: Some(mapping), .. }) => {
                    format!("is it open already? `dmsetup info {mapping}`")
                }
                _ => format!("see what uses it: `lsblk /dev/block/{device}`, `fuser -v /dev/block/{device}`"),
            },
            DmError::ReadOnlyDevice { .. } => "open it read-only: --read-only".to_owned(),
            DmError::DeviceGone { device } => format!("is it plugged in? `ls -l /dev/block/{device}`"),
            DmError::Table(_) => String::new(),
            DmError::Cipher { .. } => "load the cipher's module, see /proc/crypto and the end of `dmesg`".to_owned(),
            DmError::Refused { .. } => "see the end of `dmesg`".to_owned(),
            DmError::Keyring(error) => error.hint(),
            DmError::Node { path, .. } => format!("what is it? `ls -l {}`", path.display()),
            DmError::NotOurTurn => "see who has the device mapper: `fuser -v /dev/mapper/control`".to_owned(),
            DmError::LeftBehind { name, .. } => {
                format!("see who uses it: `dmsetup info {name}`, `lsblk`; then remove it: `dmsetup remove {name}`")
            }
            DmError::NotFound { .. } => "`dmsetup ls` lists those that are there".to_owned(),
            DmError::InUse { name, users } => match users.first() {
                Some(User::Mount { point, .. }) => format!("`umount {}`", point.display()),
                Some(User::Swap) => format!("`swapoff /dev/mapper/{name}`"),
                Some(User::Process { process, .. }) => format!("end it first, or see what it does: `ps -fp {process}`"),
                Some(User::Device { name, .. }) => format!("see what it is, and close it first: `lsblk /dev/{name}`"),
                None => format!("see who: `lsblk /dev/mapper/{name}`, `fuser -vm /dev/mapper/{name}`"),
            },
            DmError::Malformed { .. } => "this is a fault of the program or of the kernel: please report it".to_owned(),
            DmError::Failed { .. } => "see the end of `dmesg`".to_owned(),
        }
    }
}

impl fmt::Display for DmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DmError::NoDeviceMapper { .. } => f.write_str("this kernel has no device mapper, or has not loaded it"),
            DmError::Denied => f.write_str("not allowed to use the device mapper"),
            DmError::Interface { version: [major, minor, patch] } => {
                write!(f, "the kernel's device mapper has interface {major}.{minor}.{patch}, not 4")
            }
            DmError::NoCryptTarget => f.write_str("the kernel's device mapper cannot encrypt"),
            DmError::Name(error) => write!(f, "{error}"),
            DmError::NameInUse { name, uuid, on } => {
                write!(f, "there is a mapping {name} already")?;
                if let Some(uuid) = uuid {
                    write!(f, ", {uuid}")?;
                }
                on.iter().try_for_each(|device| write!(f, ", on {device}"))
            }
            DmError::UuidInUse { name } => write!(f, "the volume is mapped already, as {name}"),
            DmError::DeviceInUse { device, users } => {
                write!(f, "the device {device} is in use")?;
                list(f, users)
            }
            DmError::ReadOnlyDevice { device } => write!(f, "the device {device} is read-only"),
            DmError::DeviceGone { device } => write!(f, "there is no device {device}"),
            DmError::Table(_) => f.write_str("there is no mapping like that"),
            DmError::Cipher { cipher, key_bits } => {
                write!(f, "the kernel does not have the cipher {cipher} with a key of {key_bits} bits")
            }
            DmError::Refused { version, .. } => {
                write!(f, "the kernel's crypt target, version {version}, refuses the table")
            }
            DmError::Keyring(_) => f.write_str("the key does not reach the kernel"),
            DmError::Node { path, .. } => write!(f, "cannot make {}", path.display()),
            DmError::NotOurTurn => f.write_str("another program is making a mapping and does not come to an end"),
            DmError::LeftBehind { name, goes: true, .. } => {
                write!(f, "the mapping {name} failed, is in use, and will be gone when its last user leaves")
            }
            DmError::LeftBehind { name, goes: false, .. } => {
                write!(f, "the mapping {name} failed and could not be removed: it is still there, with its key")
            }
            DmError::NotFound { name } => write!(f, "there is no mapping {name}"),
            DmError::InUse { name, users } => {
                write!(f, "{name} is in use")?;
                list(f, users)
            }
            DmError::Malformed { doing } => write!(f, "cannot {doing}: the kernel's answer makes no sense"),
            DmError::Failed { doing, .. } => write!(f, "cannot {doing}"),
        }
    }
}

/// `: one, another`
fn list(f: &mut fmt::Formatter<'_>, users: &[User]) -> fmt::Result {
    users
        .iter()
        .zip([": "].into_iter().chain(std::iter::repeat(", ")))
        .try_for_each(|(user, before)| write!(f, "{before}{user}"))
}

impl std::error::Error for DmError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            DmError::NoDeviceMapper { source }
            | DmError::Refused { source, .. }
            | DmError::Node { source, .. }
            | DmError::Failed { source, .. } => Some(source),
            DmError::LeftBehind { why, .. } => Some(why),
            DmError::Table(source) => Some(source),
            DmError::Keyring(source) => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn who_uses_a_mapping_is_named_and_the_hint_gets_rid_of_it() {
        let name = MappingName::new("home").unwrap();
        let mount = User::Mount { point: "/home".into(), seen_by: None };
        let process = User::Process { process: 12, command: "dd".into() };
        let error = DmError::InUse { name: name.clone(), users: vec![mount, process] };
        assert_eq!(error.to_string(), "home is in use: it is mounted on /home, dd (process 12) has it open");
        assert_eq!(error.hint(), "`umount /home`");
        let nobody = DmError::InUse { name, users: Vec::new() };
        assert_eq!(nobody.to_string(), "home is in use");
        assert!(nobody.hint().contains("fuser -vm /dev/mapper/home"));
    }

    #[test]
    fn a_mapping_that_is_left_behind_is_said_to_be_there_and_why() {
        let left = |goes| {
            let why = Box::new(DmError::NoCryptTarget);
            DmError::LeftBehind { name: MappingName::new("home").unwrap(), why, goes }
        };
        assert!(left(false).to_string().ends_with("still there, with its key"));
        assert!(left(true).to_string().ends_with("gone when its last user leaves"));
        assert!(left(false).hint().contains("dmsetup remove home"));
        let cause = std::error::Error::source(&left(false)).map(ToString::to_string);
        assert_eq!(cause, Some(DmError::NoCryptTarget.to_string()));
    }

    #[test]
    fn a_name_in_use_says_by_what() {
        let name = MappingName::new("home").unwrap();
        let on = vec![DeviceNumber { major: 8, minor: 1 }];
        let error = DmError::NameInUse { name, uuid: Some("CRYPT-LUKS1-00-home".into()), on };
        assert_eq!(error.to_string(), "there is a mapping home already, CRYPT-LUKS1-00-home, on 8:1");
    }
}
