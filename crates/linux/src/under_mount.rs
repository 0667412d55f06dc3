//! The directory under a mount: whether it is empty, and whether anybody may write into it while nothing is mounted there.
//!
//! A directory with the flag `IMMUTABLE` takes no entry, root's neither (ioctl_iflags(2)), and a file system is mounted on it all the same.

use crate::apart;
use rustix::fs::{IFlags, Mode, OFlags, RawDir, ioctl_getflags, ioctl_setflags, open, openat};
use std::fs::{self, DirBuilder};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// What a directory under a mount is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnderMount {
    /// It is empty, and root may write into it.
    Writable,
    /// It is empty, and nobody may write into it.
    Immutable,
    /// Something lies in it.
    Full,
}

/// What the directory at `path` is like, whatever is mounted on it.
///
/// # Errors
/// Those of the system: there is none, or its file system knows no such flags (`ENOTTY`, `EOPNOTSUPP`).
pub fn under_mount(path: &Path) -> io::Result<UnderMount> {
    below(path, state)
}

/// Lets nobody write into the directory at `path`, or root again, whatever is mounted on it; it has to be empty for the former. Tells whether
/// that is a change.
///
/// # Errors
/// As [`under_mount`]; `DirectoryNotEmpty`.
pub fn set_immutable(path: &Path, immutable: bool) -> io::Result<bool> {
    below(path, |directory| {
        let flags = ioctl_getflags(directory)?;
        if flags.contains(IFlags::IMMUTABLE) == immutable {
            return Ok(false);
        }
        if immutable && !is_empty(directory)? {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        let mut changed = flags;
        changed.set(IFlags::IMMUTABLE, immutable);
        ioctl_setflags(directory, changed)?;
        Ok(true)
    })
}

fn state(directory: &OwnedFd) -> io::Result<UnderMount> {
    let flags = ioctl_getflags(directory)?;
    Ok(match () {
        () if !is_empty(directory)? => UnderMount::Full,
        () if flags.contains(IFlags::IMMUTABLE) => UnderMount::Immutable,
        () => UnderMount::Writable,
    })
}

fn is_empty(directory: &OwnedFd) -> io::Result<bool> {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut entries = RawDir::new(directory.as_fd(), &mut buffer);
    while let Some(entry) = entries.next() {
        if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Opens the directory in the file system of its parent: a second view of that one, in a namespace of its own, shows it without what is
/// mounted in it. (`open_tree` would do the same from Linux 5.2 on.)
fn below<T: Send>(path: &Path, work: impl FnOnce(&OwnedFd) -> io::Result<T> + Send) -> io::Result<T> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
    let (parent, name) = (path.parent().ok_or_else(invalid)?, path.file_name().ok_or_else(invalid)?);
    let parent = fs::canonicalize(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })?;
    let view = view()?;
    let done = apart(|apart| {
        apart.bind_bare(&parent, &view)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let parent = open(&view, flags, Mode::empty())?;
        work(&openat(&parent, name, flags, Mode::empty())?)
    });
    // It is empty: what was seen there was in the namespace of its own.
    let _ = fs::remove_dir(&view);
    done?
}

/// An empty directory for the view.
fn view() -> io::Result<PathBuf> {
    let place = [Path::new("/run"), Path::new("/tmp")].into_iter().find(|place| place.is_dir());
    let path = place.unwrap_or(Path::new("/")).join(format!("cotter-view-{}", std::process::id()));
    match DirBuilder::new().mode(0o700).create(&path) {
        // Of a run of before that was killed.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_dir(&path).and_then(|()| DirBuilder::new().mode(0o700).create(&path))
        }
        made => made,
    }?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

    /// Takes mount and flag away, however a test ends.
    struct Place(PathBuf);

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = unmount(&self.0, UnmountFlags::DETACH);
            let _ = set_immutable(&self.0, false);
        }
    }

    #[test]
    fn nobody_writes_where_nothing_is_mounted() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path().join("data");
        fs::create_dir(&at).unwrap();
        let place = Place(at.clone());
        mount("tmpfs", &at, "tmpfs", MountFlags::empty(), None).unwrap();
        fs::write(at.join("above"), b"x").unwrap();
        assert_eq!(under_mount(&at).unwrap(), UnderMount::Writable);
        assert!(set_immutable(&at, true).unwrap() && !set_immutable(&at, true).unwrap());
        assert_eq!(under_mount(&at).unwrap(), UnderMount::Immutable);
        fs::write(at.join("still"), b"x").unwrap();
        unmount(&at, UnmountFlags::empty()).unwrap();
        assert_eq!(fs::write(at.join("lost"), b"x").unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        mount("tmpfs", &at, "tmpfs", MountFlags::empty(), None).unwrap();
        assert!(set_immutable(&at, false).unwrap());
        unmount(&at, UnmountFlags::empty()).unwrap();
        fs::write(at.join("own"), b"x").unwrap();
        assert_eq!(under_mount(&at).unwrap(), UnderMount::Full);
        assert_eq!(set_immutable(&at, true).unwrap_err().kind(), io::ErrorKind::DirectoryNotEmpty);
        assert_eq!(under_mount(&at.join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(
            fs::read_dir("/run").unwrap().all(|entry| !entry
                .unwrap()
                .file_name()
                .to_string_lossy()
                .starts_with("cotter-view"))
        );
        drop(place);
    }
}
