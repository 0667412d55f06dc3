//! The names of mappings in `/dev/mapper`, where udev does not make them.

use super::name::MappingName;
use super::number::DeviceNumber;
use super::udev::Udev;
use rustix::fs::{CWD, FileType, Mode, mknodat, symlink};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::{fs, str};

/// Where the nodes of mappings are.
pub(super) const DIRECTORY: &str = "/dev/mapper";

/// The path of a mapping's node.
pub(super) fn path(name: &MappingName) -> PathBuf {
    Path::new(DIRECTORY).join(name.as_str())
}

/// Sees to it that `name` leads to the device: nothing to do if it does, otherwise a node; beside udev a link like its own,
/// which it will know as such. What else is there is replaced if it is of a device that was.
pub(super) fn ensure(name: &MappingName, device: DeviceNumber, udev: Udev) -> io::Result<()> {
    ensure_at(&path(name), Path::new("/dev"), device, udev)
}

fn ensure_at(node: &Path, dev: &Path, device: DeviceNumber, udev: Udev) -> io::Result<()> {
    if DeviceNumber::of(node) == Some(device) {
        return Ok(());
    }
    clear(node)?;
    let kernels = format!("dm-{}", device.minor);
    if udev == Udev::Running && DeviceNumber::of(&dev.join(&kernels)) == Some(device) {
        return Ok(symlink(Path::new("..").join(kernels), node)?);
    }
    Ok(mknodat(CWD, node, FileType::BlockDevice, Mode::RUSR | Mode::WUSR, device.to_kernel())?)
}

/// Whether a mapping could have this name: a file of somebody's is not replaced.
///
/// # Errors
/// `AlreadyExists`, and what the system says.
pub(super) fn check_free(name: &MappingName) -> io::Result<()> {
    is_replaceable(&path(name)).map(|_| ())
}

/// Removes the name of a mapping that is no more, if somebody left it.
pub(super) fn remove(name: &MappingName, device: DeviceNumber) {
    let node = path(name);
    let dangles = node.is_symlink() && !node.exists();
    if dangles || DeviceNumber::of(&node) == Some(device) {
        let _ = fs::remove_file(node);
    }
}

/// Takes away a block device's node or a link; anything else is somebody's file.
fn clear(node: &Path) -> io::Result<()> {
    if is_replaceable(node)? { fs::remove_file(node) } else { Ok(()) }
}

/// Whether there is a node of a block device or a link; false if there is nothing.
fn is_replaceable(node: &Path) -> io::Result<bool> {
    use std::os::unix::fs::FileTypeExt;
    match fs::symlink_metadata(node) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
        Ok(found) if found.file_type().is_block_device() || found.file_type().is_symlink() => Ok(true),
        Ok(_) => Err(ErrorKind::AlreadyExists.into()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const DEVICE: DeviceNumber = DeviceNumber { major: 254, minor: 77 };

    fn is_root() -> bool {
        rustix::process::geteuid().is_root()
    }

    #[test]
    fn without_udev_a_node_is_made_once_and_an_old_one_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let node = dir.path().join("foo");
        let ensure = |device| ensure_at(&node, dir.path(), device, Udev::Absent);
        if !is_root() {
            assert_eq!(ensure(DEVICE).unwrap_err().kind(), ErrorKind::PermissionDenied);
            return;
        }
        ensure(DEVICE).unwrap();
        assert_eq!(DeviceNumber::of(&node), Some(DEVICE));
        ensure(DEVICE).unwrap();
        let other = DeviceNumber { minor: 78, ..DEVICE };
        ensure(other).unwrap();
        assert_eq!(DeviceNumber::of(&node), Some(other));
    }

    #[test]
    fn beside_udev_a_name_is_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let mapper = dir.path().join("mapper");
        fs::create_dir(&mapper).unwrap();
        if is_root() {
            ensure_at(&dir.path().join("dm-77"), dir.path(), DEVICE, Udev::Absent).unwrap();
            ensure_at(&mapper.join("foo"), dir.path(), DEVICE, Udev::Running).unwrap();
            assert_eq!(fs::read_link(mapper.join("foo")).unwrap(), Path::new("../dm-77"));
        }
    }

    #[test]
    fn a_file_in_the_way_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let node = dir.path().join("foo");
        fs::write(&node, b"precious").unwrap();
        assert_eq!(ensure_at(&node, dir.path(), DEVICE, Udev::Absent).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(is_replaceable(&node).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&node).unwrap(), b"precious");
        assert!(!is_replaceable(&dir.path().join("none")).unwrap());
    }
}
