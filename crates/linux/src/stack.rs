//! What lies under a file system: the encrypted volumes that are open below it, as sysfs shows them (`slaves`, `dm/uuid`).

use crate::mounts::unescaped;
use rustix::fs::{major, minor};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Devices that are looked at, at most.
const MOST: usize = 256;

/// An encrypted volume that is open.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpenVolume {
    /// The name of its mapping.
    pub name: String,
    /// The UUID of its header, 32 hexadecimal digits without hyphens, as libcryptsetup puts it into that of the mapping.
    pub uuid: String,
    /// The disk that it is on.
    pub device: PathBuf,
}

/// The volumes below the file system that is mounted at `path`, over LVM and md, too.
///
/// # Errors
/// Nothing is mounted there, or the table of mounts cannot be read.
pub fn volumes_below_mount(path: &Path) -> io::Result<Vec<OpenVolume>> {
    let table = fs::read("/proc/self/mountinfo")?;
    let device = device_of(&String::from_utf8_lossy(&table), path).ok_or(io::ErrorKind::NotFound)?;
    let device = match device {
        Mounted::Number(device) => device,
        Mounted::Source(source) => number_of(&source).unwrap_or_default(),
    };
    Ok(below(Path::new("/sys"), device))
}

/// The volumes below a block device.
///
/// # Errors
/// There is no such device.
pub fn volumes_below_device(path: &Path) -> io::Result<Vec<OpenVolume>> {
    Ok(below(Path::new("/sys"), number_of(path)?))
}

#[derive(Debug, PartialEq, Eq)]
enum Mounted {
    Number(String),
    /// A file system with a number of its own, as btrfs has: its source tells.
    Source(PathBuf),
}

/// What is mounted at `path`; of several the last one.
fn device_of(table: &str, path: &Path) -> Option<Mounted> {
    table.lines().rev().find_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(2);
        let (number, point) = (fields.next()?, fields.nth(1)?);
        if unescaped(point) != path {
            return None;
        }
        let source = file_system.split(' ').nth(1).filter(|source| source.starts_with('/'));
        match source.filter(|_| number.starts_with("0:")) {
            Some(source) => Some(Mounted::Source(unescaped(source))),
            None => Some(Mounted::Number(number.to_owned())),
        }
    })
}

fn number_of(device: &Path) -> io::Result<String> {
    let about = fs::metadata(device)?;
    if !about.file_type().is_block_device() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(format!("{}:{}", major(about.rdev()), minor(about.rdev())))
}

fn below(sys: &Path, device: String) -> Vec<OpenVolume> {
    let (mut found, mut seen, mut waiting) = (BTreeSet::new(), BTreeSet::new(), vec![device]);
    while let Some(device) = waiting.pop() {
        if seen.len() >= MOST || !seen.insert(device.clone()) {
            continue;
        }
        let directory = sys.join("dev/block").join(&device);
        let slaves = fs::read_dir(directory.join("slaves")).into_iter().flatten().flatten();
        let slaves: Vec<PathBuf> = slaves.map(|slave| slave.path()).collect();
        found.extend(slaves.first().and_then(|slave| volume(&directory, slave)));
        waiting.extend(slaves.iter().filter_map(|slave| text(&slave.join("dev"))));
        // A partition is on its disk, which may be md.
        if directory.join("partition").exists() {
            waiting.extend(fs::canonicalize(&directory).ok().and_then(|here| text(&here.parent()?.join("dev"))));
        }
    }
    found.into_iter().collect()
}

/// `CRYPT-LUKS2-` or `CRYPT-LUKS1-`, 32 digits, a hyphen and the name.
fn volume(directory: &Path, slave: &Path) -> Option<OpenVolume> {
    let label = text(&directory.join("dm/uuid"))?;
    let uuid = label.strip_prefix("CRYPT-LUKS")?.get(2..)?.split('-').next()?;
    let is_uuid = uuid.len() == 32 && uuid.bytes().all(|byte| byte.is_ascii_hexdigit());
    let name = text(&directory.join("dm/name"))?;
    let device = Path::new("/dev").join(slave.file_name()?.to_str()?.replace('!', "/"));
    is_uuid.then(|| OpenVolume { name, uuid: uuid.to_owned(), device })
}

fn text(file: &Path) -> Option<String> {
    fs::read_to_string(file).ok().map(|text| text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::symlink;

    /// A device of a tree that stands for sysfs.
    fn device(sys: &Path, name: &str, number: &str, dm: Option<(&str, &str)>, slaves: &[&str]) {
        let at = sys.join("devices").join(name);
        fs::create_dir_all(at.join("slaves")).unwrap();
        fs::create_dir_all(sys.join("dev/block")).unwrap();
        fs::write(at.join("dev"), format!("{number}\n")).unwrap();
        symlink(&at, sys.join("dev/block").join(number)).unwrap();
        if let Some((name, uuid)) = dm {
            fs::create_dir(at.join("dm")).unwrap();
            fs::write(at.join("dm/name"), format!("{name}\n")).unwrap();
            fs::write(at.join("dm/uuid"), format!("{uuid}\n")).unwrap();
        }
        for slave in slaves {
            symlink(sys.join("devices").join(slave), at.join("slaves").join(slave.rsplit('/').next().unwrap()))
                .unwrap();
        }
    }

    #[test]
    fn volumes_are_found_below_lvm_and_md() {
        let directory = tempfile::tempdir().unwrap();
        let sys = directory.path();
        let uuid = "0123456789abcdef0123456789abcdef";
        device(sys, "sda", "8:0", None, &[]);
        device(sys, "sdb", "8:16", None, &[]);
        device(sys, "md0", "9:0", None, &["sda", "sdb"]);
        device(sys, "dm-0", "254:0", Some(("one", &format!("CRYPT-LUKS2-{uuid}-one"))), &["md0"]);
        device(sys, "md0/md0p1", "259:0", None, &[]);
        fs::write(sys.join("devices/md0/md0p1/partition"), "1").unwrap();
        device(sys, "dm-1", "254:1", Some(("two", &format!("CRYPT-LUKS1-{uuid}-two"))), &["md0/md0p1"]);
        device(sys, "dm-2", "254:2", Some(("vg-root", "LVM-x")), &["dm-0", "dm-1"]);
        device(sys, "dm-3", "254:3", Some(("plain", "CRYPT-PLAIN-plain")), &["sda"]);
        let name = |number: &str| below(sys, number.into()).into_iter().map(|v| (v.name, v.device)).collect::<Vec<_>>();
        let (one, two) = (("one".into(), PathBuf::from("/dev/md0")), ("two".into(), PathBuf::from("/dev/md0p1")));
        assert_eq!(name("254:2"), [one.clone(), two]);
        assert_eq!(name("254:0"), [one]);
        assert_eq!(name("254:3"), []);
        assert_eq!(name("1:1"), []);
    }

    #[test]
    fn the_last_mount_of_a_place_counts() {
        let table = "22 1 254:1 / / rw - ext4 /dev/mapper/root rw\n23 22 0:40 / /data rw - btrfs /dev/mapper/da\\040ta rw\n24 22 0:5 / /run rw - tmpfs run rw\n25 22 8:1 / / rw - ext4 /dev/sda1 rw";
        let check =
            |path: &str, expected: Option<Mounted>| assert_eq!(device_of(table, Path::new(path)), expected, "{path}");
        check("/", Some(Mounted::Number("8:1".into())));
        check("/data", Some(Mounted::Source("/dev/mapper/da ta".into())));
        check("/run", Some(Mounted::Number("0:5".into())));
        check("/none", None);
        assert!(volumes_below_mount(Path::new("/proc")).unwrap().is_empty());
        assert!(volumes_below_device(Path::new("/dev/null")).is_err());
    }
}
