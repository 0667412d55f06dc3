//! Mount points of data volumes: what would be written there while a volume is closed lies on the root's disk, hidden later and never
//! encrypted.
//!
//! fstab(5): `DEVICE DIRECTORY TYPE OPTIONS …`, separated by blanks, `#` begins a comment line, white space in a field stands as `\040`.

use super::target::Target;
use crate::error::CommandError;
use linux::UnderMount;
use std::path::Path;

/// The table, and the most lines of it that are read.
const TABLE: &str = "/etc/fstab";
const MOST_LINES: usize = 4096;
/// Where everything that is not mounted lies: these come before any data.
const SYSTEM: [&str; 4] = ["/", "/usr", "/boot", "none"];

/// A line of fstab that mounts a volume's file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountPoint {
    /// The name of the volume in crypttab.
    pub volume: String,
    /// Where it is mounted.
    pub directory: String,
    /// Whether the machine starts without it.
    pub may_be_missing: bool,
}

/// What is to be said of a mount point.
#[derive(Debug, PartialEq, Eq)]
pub enum Guard {
    /// Nobody writes there while it is closed.
    Guarded,
    /// It is to be made so.
    Open,
    /// It cannot be, and why.
    Cannot(String),
}

/// The mount points of the volumes with these names, in their order.
pub fn find(target: &Target, volumes: &[String]) -> Result<Vec<MountPoint>, CommandError> {
    let text = target.read(TABLE)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let points = text.lines().take(MOST_LINES).filter_map(|line| {
        let mut fields = line.split([' ', '\t']).filter(|field| !field.is_empty());
        let device = fields.next().filter(|device| !device.starts_with('#'))?;
        let directory = decoded(fields.next()?);
        let options = fields.nth(1).unwrap_or_default();
        let volume = volume_of(target, &decoded(device), volumes)?;
        let may_be_missing = options.split(',').any(|option| option == "nofail");
        Some(MountPoint { volume, directory, may_be_missing })
    });
    Ok(points.filter(|point| !SYSTEM.contains(&point.directory.as_str())).collect())
}

/// The volume that a device of fstab is on: by the name of its mapping, or as the machine has it open.
fn volume_of(target: &Target, device: &str, volumes: &[String]) -> Option<String> {
    let by = |kind: &str, value: &str| format!("/dev/disk/by-{kind}/{}", value.trim_matches('"'));
    let path = match device.split_once('=') {
        Some(("UUID", value)) => by("uuid", &value.to_lowercase()),
        Some(("LABEL", value)) => by("label", value),
        Some(("PARTUUID", value)) => by("partuuid", &value.to_lowercase()),
        Some(("PARTLABEL", value)) => by("partlabel", value),
        _ => device.to_owned(),
    };
    let named = path.strip_prefix("/dev/mapper/").and_then(|name| volumes.iter().find(|volume| *volume == name));
    if let Some(name) = named {
        return Some(name.clone());
    }
    let open = if target.is_live() { linux::volumes_below_device(Path::new(&path)).ok()? } else { Vec::new() };
    open.into_iter().map(|open| open.name).find(|name| volumes.contains(name))
}

/// What the directory under a mount is like.
pub fn guard(target: &Target, point: &MountPoint) -> Guard {
    match linux::under_mount(&target.at(&point.directory)) {
        Ok(UnderMount::Immutable) => Guard::Guarded,
        Ok(UnderMount::Writable) => Guard::Open,
        Ok(UnderMount::Full) => Guard::Cannot("files lie in the directory itself, under the mount".into()),
        Err(source) => Guard::Cannot(source.to_string()),
    }
}

fn decoded(field: &str) -> String {
    linux::unescaped(field).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const FSTAB: &str = "\
# <file system> <mount point> <type> <options>
/dev/mapper/root / ext4 errors=remount-ro 0 1
/dev/mapper/data\t/srv/my\\040data ext4 defaults,nofail 0 2
/dev/mapper/more /srv/more ext4 defaults
/dev/mapper/swap none swap sw
UUID=1234 /srv/other ext4 nofail
#/dev/mapper/data /old ext4 nofail
/dev/mapper/data
";

    #[test]
    fn mount_points_of_volumes_are_found() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("etc")).unwrap();
        fs::create_dir_all(directory.path().join("srv/my data")).unwrap();
        fs::write(directory.path().join("etc/fstab"), FSTAB).unwrap();
        let target = Target::new(Some(directory.path())).unwrap();
        let names: Vec<String> = ["root", "data", "more", "swap"].map(str::to_owned).into();
        let found = find(&target, &names).unwrap();
        let point = |volume: &str, directory: &str, may_be_missing| MountPoint {
            volume: volume.into(),
            directory: directory.into(),
            may_be_missing,
        };
        assert_eq!(found, [point("data", "/srv/my data", true), point("more", "/srv/more", false)]);
        assert_eq!(guard(&target, &found[0]), Guard::Open);
        assert!(matches!(guard(&target, &found[1]), Guard::Cannot(_)));
        fs::write(directory.path().join("srv/my data/file"), "x").unwrap();
        assert!(matches!(guard(&target, &found[0]), Guard::Cannot(why) if why.contains("under the mount")));
        assert_eq!(find(&target, &[]).unwrap(), []);
    }
}
