//! Work that mounts: in a thread with a mount namespace of its own, so that nobody else sees the mounts and none is left behind, however it
//! ends.

use crate::sys::own_mount_namespace;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind, mount_bind_recursive, mount_change};
use rustix::process::{chdir, chroot};
use std::ffi::CString;
use std::io;
use std::path::Path;
use std::thread;

/// The right to mount, in a namespace where it concerns nobody.
pub struct Apart(());

/// Does `work` in such a thread, and waits for it.
///
/// # Errors
/// Those of the system: `EPERM` for who may not mount.
pub fn apart<T: Send>(work: impl FnOnce(&Apart) -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let inner = || {
            own_mount_namespace()?;
            // What is mounted here stays here; what others unmount goes here as well.
            mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)?;
            Ok(work(&Apart(())))
        };
        let thread = thread::Builder::new().name("apart".into()).spawn_scoped(scope, inner)?;
        thread.join().map_err(|_| io::Error::other("the thread has ended before its work"))?
    })
}

impl Apart {
    /// Covers a directory with an empty one in memory, for this user alone, of at most so many bytes.
    ///
    /// # Errors
    /// Those of mount(2).
    pub fn in_memory(&self, at: &Path, bytes: u64) -> io::Result<()> {
        let options = CString::new(format!("mode=0700,size={bytes}"))?;
        Ok(mount("tmpfs", at, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, options.as_c_str())?)
    }

    /// Lets a directory, with all that is mounted below it, appear at another place.
    ///
    /// # Errors
    /// Those of mount(2).
    pub fn bind(&self, from: &Path, at: &Path) -> io::Result<()> {
        Ok(mount_bind_recursive(from, at)?)
    }

    /// Lets a directory appear at another place as it is without what is mounted below it.
    ///
    /// # Errors
    /// Those of mount(2).
    pub fn bind_bare(&self, from: &Path, at: &Path) -> io::Result<()> {
        Ok(mount_bind(from, at)?)
    }

    /// Makes a directory the root of this thread and of what it starts.
    ///
    /// # Errors
    /// Those of chroot(2).
    pub fn enter(&self, root: &Path) -> io::Result<()> {
        chroot(root)?;
        Ok(chdir("/")?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fs;
    use std::process::Command;

    #[test]
    fn mounts_are_seen_by_nobody_else() {
        let directory = tempfile::tempdir().unwrap();
        let (at, inner) = (directory.path().to_owned(), directory.path().join("file"));
        let seen = apart(|apart| {
            apart.in_memory(&at, 1 << 20).unwrap();
            fs::write(&inner, b"x").unwrap();
            fs::create_dir(at.join("bin")).unwrap();
            fs::metadata(&at).map(|about| std::os::unix::fs::MetadataExt::mode(&about) & 0o7777).unwrap()
        });
        assert_eq!(seen.unwrap(), 0o700);
        assert!(!inner.exists() && fs::read_dir(directory.path()).unwrap().next().is_none());
    }

    #[test]
    fn a_program_has_the_root_of_its_thread() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("usr")).unwrap();
        for link in ["bin", "lib", "lib64"] {
            std::os::unix::fs::symlink(format!("usr/{link}"), directory.path().join(link)).unwrap();
        }
        fs::write(directory.path().join("here"), b"inside").unwrap();
        let said = apart(|apart| {
            apart.bind(Path::new("/usr"), &directory.path().join("usr")).unwrap();
            apart.enter(directory.path()).unwrap();
            Command::new("cat").arg("/here").stdin(std::process::Stdio::inherit()).output().unwrap().stdout
        });
        assert_eq!(said.unwrap(), b"inside");
        assert!(!Path::new("/here").exists());
    }
}
