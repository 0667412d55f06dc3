//! Who uses a block device: mounts, swap, devices on top of it, processes that have it open.
//!
//! What can be found is found in `/proc` and `/sys`, and only as far as this user may look. Left out: parts of a file system of
//! several devices (only the first is named by its mount), and whatever inside the kernel leaves no trace there.

use super::number::DeviceNumber;
use crate::lock::Holder;
use crate::mounts::unescaped;
use rustix::fs::{AtFlags, CWD, FileType, StatxFlags, statx};
use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// One that uses a block device.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum User {
    /// A file system on it is mounted.
    Mount {
        /// Where.
        point: PathBuf,
        /// The process in whose eyes it is, if we do not see the mount ourselves.
        seen_by: Option<u32>,
    },
    /// The system swaps to it.
    Swap,
    /// Another block device is on top of it.
    Device {
        /// Its name in the kernel, such as `dm-3` or `md0`.
        name: String,
        /// Its name as a mapping, if it is one.
        mapping: Option<String>,
    },
    /// A process has it open.
    Process {
        /// Its number.
        process: u32,
        /// Its name, as `ps` shows it.
        command: String,
    },
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            User::Mount { point, seen_by: None } => write!(f, "it is mounted on {}", point.display()),
            User::Mount { point, seen_by: Some(process) } => {
                write!(f, "it is mounted on {} in the eyes of process {process}", point.display())
            }
            User::Swap => f.write_str("it is swap space"),
            User::Device { name, mapping: Some(mapping) } => write!(f, "{mapping} ({name}) is on top of it"),
            User::Device { name, mapping: None } => write!(f, "{name} is on top of it"),
            User::Process { process, command } => write!(f, "{command} (process {process}) has it open"),
        }
    }
}

/// Who uses the device, as far as the system tells; each once, in the order of [`User`].
pub fn users_of(device: DeviceNumber) -> Vec<User> {
    System { proc: Path::new("/proc"), sys: Path::new("/sys") }.users_of(device)
}

/// Where the kernel tells.
struct System<'a> {
    proc: &'a Path,
    sys: &'a Path,
}

impl System<'_> {
    fn users_of(&self, device: DeviceNumber) -> Vec<User> {
        let ours = fs::read_to_string(self.proc.join("self/mountinfo")).unwrap_or_default();
        let mut users: BTreeSet<User> =
            mounts(&ours, device).map(|point| User::Mount { point, seen_by: None }).collect();
        // What we see mounted many a service sees too, in a namespace of its own that follows ours.
        if users.is_empty() {
            users.extend(self.hidden_mounts(device));
        }
        users.extend(self.swap(device));
        users.extend(self.on_top(device));
        users.extend(self.loops(device));
        users.extend(self.processes(device));
        users.into_iter().collect()
    }

    /// Mounts in other namespaces than ours, each namespace looked at once.
    fn hidden_mounts(&self, device: DeviceNumber) -> Vec<User> {
        let namespace = |process: &Path| fs::read_link(process.join("ns/mnt")).ok();
        let mut seen: BTreeSet<PathBuf> = namespace(&self.proc.join("self")).into_iter().collect();
        let mut users = Vec::new();
        for (process, directory) in self.all_processes() {
            if namespace(&directory).is_none_or(|namespace| !seen.insert(namespace)) {
                continue;
            }
            let table = fs::read_to_string(directory.join("mountinfo")).unwrap_or_default();
            users.extend(mounts(&table, device).map(|point| User::Mount { point, seen_by: Some(process) }));
        }
        users
    }

    fn swap(&self, device: DeviceNumber) -> Option<User> {
        let table = fs::read_to_string(self.proc.join("swaps")).ok()?;
        let mut files = table.lines().skip(1).filter_map(|line| line.split_whitespace().next()).map(unescaped);
        files.any(|file| leads_to(&file, device)).then_some(User::Swap)
    }

    /// Mappings, RAIDs and others that have taken the device for themselves.
    fn on_top(&self, device: DeviceNumber) -> Vec<User> {
        let holders = self.sys.join(format!("dev/block/{device}/holders"));
        names_in(&holders).into_iter().map(|name| self.named(name)).collect()
    }

    fn named(&self, name: String) -> User {
        let mapping = fs::read_to_string(self.sys.join("block").join(&name).join("dm/name")).ok();
        User::Device { name, mapping: mapping.map(|text| text.trim_end().to_owned()) }
    }

    /// Loop devices whose file is the device.
    fn loops(&self, device: DeviceNumber) -> Vec<User> {
        let block = self.sys.join("block");
        let is_on_it = |name: &String| {
            let file = fs::read_to_string(block.join(name).join("loop/backing_file")).ok()?;
            Some(leads_to(Path::new(file.trim_end_matches('\n')), device))
        };
        let loops = names_in(&block).into_iter().filter(|name| name.starts_with("loop"));
        loops.filter(|name| is_on_it(name) == Some(true)).map(|name| self.named(name)).collect()
    }

    fn processes(&self, device: DeviceNumber) -> Vec<User> {
        let us = std::process::id();
        let others = self.all_processes().into_iter().filter(|(process, _)| *process != us);
        let having_it = others.filter(|(_, directory)| has_open(&directory.join("fd"), device));
        let command = |process| Holder::of(process).command;
        having_it.map(|(process, _)| User::Process { process, command: command(process) }).collect()
    }

    fn all_processes(&self) -> Vec<(u32, PathBuf)> {
        let names = names_in(self.proc).into_iter();
        names.filter_map(|name| Some((name.parse().ok()?, self.proc.join(name)))).collect()
    }
}

/// Where a device is mounted, by a table like `/proc/self/mountinfo` (proc(5)). A file system that has no device of its own
/// (btrfs) is known by the source it names.
fn mounts(table: &str, device: DeviceNumber) -> impl Iterator<Item = PathBuf> {
    let number = device.to_string();
    table.lines().filter_map(move |line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let (mut fields, source) = (mount.split(' ').skip(2), unescaped(file_system.split(' ').nth(1)?));
        let (its, point) = (fields.next()?, fields.nth(1)?);
        (its == number || leads_to(&source, device)).then(|| unescaped(point))
    })
}

/// Whether this is a name of the device. Other files than those in `/dev` are not looked at: one on a network file system whose
/// server is gone would never answer.
fn leads_to(path: &Path, device: DeviceNumber) -> bool {
    path.starts_with("/dev") && DeviceNumber::of(path) == Some(device)
}

/// Whether one of the files in this directory of `/proc` is the device. Asked in a way that does not wait for the server of a
/// network file system.
fn has_open(directory: &Path, device: DeviceNumber) -> bool {
    names_in(directory).into_iter().any(|name| {
        let flags = AtFlags::STATX_DONT_SYNC;
        statx(CWD, directory.join(name), flags, StatxFlags::TYPE).is_ok_and(|file| {
            FileType::from_raw_mode(file.stx_mode.into()) == FileType::BlockDevice
                && (file.stx_rdev_major, file.stx_rdev_minor) == (device.major, device.minor)
        })
    })
}

/// The names in a directory; none if there is no such directory, or we may not look.
fn names_in(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::symlink;

    const DEVICE: DeviceNumber = DeviceNumber { major: 254, minor: 0 };

    /// Lines as a kernel wrote them.
    const TABLE: &str = "\
24 1 98:0 / / rw,relatime shared:1 - ext4 /dev/root rw\n\
25 24 254:0 / /home rw,relatime shared:2 - ext4 /dev/mapper/home rw\n\
26 24 254:0 /sub /srv/with\\040space rw - xfs /dev/mapper/home rw\n\
27 24 254:01 / /not rw - ext4 /dev/dm-9 rw\n\
28 24 0:41 / /btrfs rw,relatime - btrfs /dev/null rw\n";

    #[test]
    fn mounts_are_found_by_number_and_their_names_read() {
        let found: Vec<PathBuf> = mounts(TABLE, DEVICE).collect();
        assert_eq!(found, [Path::new("/home"), Path::new("/srv/with space")]);
        assert_eq!(mounts("", DEVICE).count() + mounts("garbage - \n - - -\n", DEVICE).count(), 0);
        assert_eq!(unescaped(r"a\134b\011\09"), Path::new("a\\b\t\\09"));
    }

    /// A `/proc` and a `/sys` with what a device can be used by.
    #[test]
    fn every_kind_of_user_is_named_once() {
        let dir = tempfile::tempdir().unwrap();
        let (proc, sys) = (dir.path().join("proc"), dir.path().join("sys"));
        for process in ["self", "1", "2", "3"] {
            fs::create_dir_all(proc.join(process).join("ns")).unwrap();
            fs::create_dir_all(proc.join(process).join("fd")).unwrap();
            fs::write(proc.join(process).join("mountinfo"), TABLE).unwrap();
            let namespace = if process == "3" { "mnt:[2]" } else { "mnt:[1]" };
            symlink(namespace, proc.join(process).join("ns/mnt")).unwrap();
        }
        let inner = "1 1 254:0 / /inner rw - ext4 /dev/x rw\n";
        fs::write(proc.join("3/mountinfo"), inner).unwrap();
        for holder in ["dm-3", "md0"] {
            fs::create_dir_all(sys.join("dev/block/254:0/holders").join(holder)).unwrap();
        }
        fs::create_dir_all(sys.join("block/dm-3/dm")).unwrap();
        fs::write(sys.join("block/dm-3/dm/name"), "vg-root\n").unwrap();
        let shown = || {
            let users = System { proc: &proc, sys: &sys }.users_of(DEVICE);
            users.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let on_top = ["vg-root (dm-3) is on top of it", "md0 is on top of it"];
        assert_eq!(shown()[..2], ["it is mounted on /home", "it is mounted on /srv/with space"]);
        assert_eq!(shown()[2..], on_top);
        for process in ["self", "1", "2"] {
            fs::write(proc.join(process).join("mountinfo"), "").unwrap();
        }
        assert_eq!(shown()[..1], ["it is mounted on /inner in the eyes of process 3"]);
        assert_eq!(shown()[1..], on_top);
    }

    #[test]
    fn a_device_that_nobody_uses_has_no_users() {
        assert_eq!(users_of(DeviceNumber { major: 254, minor: 1_000_000 }), []);
    }
}
