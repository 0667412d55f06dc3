//! Files that a policy names, read with care: the name may come from a header that nobody has authenticated yet.

use crypto::Secret;
use rustix::fs::{Mode, OFlags, open};
use rustix::process::geteuid;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Longest file that is read: an advertisement or a bundle of certificates is far shorter.
const LONGEST_FILE: u64 = 1 << 20;

/// The file system as pins see it.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostFiles;

impl clevis::Files for HostFiles {
    fn read(&self, path: &str) -> Result<Secret, io::Error> {
        read_file(path).map(Secret::new)
    }

    fn read_key(&self, path: &str) -> Result<Secret, io::Error> {
        // Looked at before it is opened: to open a device may do something.
        check_key(&fs::symlink_metadata(path)?)?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW;
        let file = File::from(open(path, flags, Mode::empty())?);
        check_key(&file.metadata()?)?;
        read_within(file, LONGEST_KEY).map(Secret::new)
    }

    fn make_key(&self, path: &str, content: &Secret) -> Result<(), io::Error> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o400).open(path)?;
        let written = file.write_all(content.expose()).and_then(|()| file.sync_all()).and_then(|()| {
            let directory = Path::new(path).parent().filter(|parent| !parent.as_os_str().is_empty());
            File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
        });
        // It is ours, and half a key is none.
        written.inspect_err(|_| drop(fs::remove_file(path)))
    }
}

/// Longest file with a key.
const LONGEST_KEY: u64 = 64 << 10;

/// Whether somebody has made this a key: a regular file of this user's or root's, and nobody else's to read or to write.
fn check_key(about: &Metadata) -> Result<(), io::Error> {
    let refused = |why| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    if !about.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    if about.uid() != 0 && about.uid() != geteuid().as_raw() {
        return refused("it belongs to somebody else");
    }
    if about.mode() & 0o077 == 0 { Ok(()) } else { refused("others may read or write it") }
}

/// The content of the regular file at `path`, at most 1 MiB.
pub(crate) fn read_file(path: &str) -> Result<Vec<u8>, io::Error> {
    read_regular_file(Path::new(path), LONGEST_FILE)
}

/// The content of the regular file at `path`, at most so many bytes. A pipe or a device is refused rather than waited for.
///
/// # Errors
/// Those of the system; [`InvalidInput`](io::ErrorKind::InvalidInput) for what is no regular file, and
/// [`FileTooLarge`](io::ErrorKind::FileTooLarge).
pub fn read_regular_file(path: &Path, longest: u64) -> Result<Vec<u8>, io::Error> {
    read_within(regular_file(path)?, longest)
}

/// The same of a file that lies in `folder`, on its file system, wherever links lead to; it and the folders on the way are for nobody but root
/// and this user to change. Who had a disk can put links and modes there by which anybody changes its files later.
///
/// # Errors
/// As [`read_regular_file`]; [`PermissionDenied`](io::ErrorKind::PermissionDenied) for a file of elsewhere, or of others.
pub fn read_file_below(folder: &Path, path: &Path, longest: u64) -> Result<Vec<u8>, io::Error> {
    let refused = |why| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    let file = regular_file(path)?;
    // Of the very file that is read, and not of what the path leads to by now.
    let place = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    let folder = fs::canonicalize(folder)?;
    let about = file.metadata()?;
    if !place.starts_with(&folder) || about.dev() != fs::metadata(&folder)?.dev() {
        return refused("it leads out of the folder that it is in");
    }
    let is_ours =
        |about: &Metadata| (about.uid() == 0 || about.uid() == geteuid().as_raw()) && about.mode() & 0o022 == 0;
    let mut on_the_way = place.ancestors().skip(1).take_while(|place| place.starts_with(&folder));
    if !is_ours(&about) || !on_the_way.all(|place| fs::symlink_metadata(place).is_ok_and(|about| is_ours(&about))) {
        return refused("others than root may change it");
    }
    read_within(file, longest)
}

fn regular_file(path: &Path) -> Result<File, io::Error> {
    let regular = |about: Metadata| match about.is_file() {
        true => Ok(()),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")),
    };
    // Opening alone does something to some devices (a watchdog is armed by it), and headers of foreign disks name files.
    regular(fs::metadata(path)?)?;
    let file =
        File::from(open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY, Mode::empty())?);
    regular(file.metadata()?)?;
    Ok(file)
}

fn read_within(file: File, longest: u64) -> Result<Vec<u8>, io::Error> {
    // One byte more than the file has, so that a secret in it is not left behind by a buffer that had to grow.
    let size = usize::try_from(file.metadata()?.len().min(longest)).unwrap_or(0);
    let mut content = Vec::with_capacity(size.saturating_add(1));
    if file.take(longest + 1).read_to_end(&mut content)? as u64 > longest {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("longer than {} KiB", longest >> 10)));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use clevis::Files as _;
    use std::os::unix::fs::PermissionsExt;

    /// What a header may name that is no key is not read, and nothing is written over.
    #[test]
    fn a_key_is_a_private_regular_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        let key = Secret::copied_from(b"key");
        HostFiles.make_key(&path("key"), &key).unwrap();
        assert_eq!(fs::metadata(path("key")).unwrap().mode() & 0o7777, 0o400);
        assert_eq!(HostFiles.read_key(&path("key")).unwrap().expose(), b"key");
        assert_eq!(HostFiles.make_key(&path("key"), &key).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        std::os::unix::fs::symlink(path("key"), path("link")).unwrap();
        std::os::unix::fs::symlink(path("nowhere"), path("dangling")).unwrap();
        assert_eq!(HostFiles.make_key(&path("dangling"), &key).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        let long = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path("long")).unwrap();
        long.set_len(LONGEST_KEY + 1).unwrap();
        fs::write(path("open"), b"key").unwrap();
        fs::set_permissions(path("open"), PermissionsExt::from_mode(0o440)).unwrap();
        let refused = |name: &str| HostFiles.read_key(name).unwrap_err().kind();
        for odd in [&path("link"), dir.path().to_str().unwrap(), "/dev/null"] {
            assert_eq!(refused(odd), io::ErrorKind::InvalidInput, "{odd}");
        }
        assert_eq!(refused(&path("open")), io::ErrorKind::PermissionDenied);
        assert_eq!(refused(&path("long")), io::ErrorKind::FileTooLarge);
        assert_eq!((refused(&path("none")), refused("a\0b")), (io::ErrorKind::NotFound, io::ErrorKind::InvalidInput));
    }

    /// Links within the folder are followed; out of it, to another file system, and to what others may write they are not.
    #[test]
    fn a_file_below_a_folder_is_in_it_and_nobody_elses() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("boot/grub")).unwrap();
        fs::create_dir_all(at("boot2")).unwrap();
        for (name, content) in [("boot/grub/grub.cfg", "in"), ("boot2/grub.cfg", "out"), ("grub.cfg", "out")] {
            fs::write(at(name), content).unwrap();
        }
        symlink("grub/grub.cfg", at("boot/within")).unwrap();
        symlink("../boot2/grub.cfg", at("boot/out")).unwrap();
        symlink(at("boot2"), at("boot/folder")).unwrap();
        symlink("/proc/self/status", at("boot/other")).unwrap();
        symlink("none", at("boot/nowhere")).unwrap();
        let read = |name: &str| read_file_below(&at("boot"), &at(name), 64).map_err(|error| error.kind());
        for name in ["boot/grub/grub.cfg", "boot/within"] {
            assert_eq!(read(name).unwrap(), b"in", "{name}");
        }
        for name in ["boot/out", "boot/folder/grub.cfg", "boot/other", "boot/../grub.cfg"] {
            assert_eq!(read(name), Err(io::ErrorKind::PermissionDenied), "{name}");
        }
        assert_eq!(read("boot/nowhere"), Err(io::ErrorKind::NotFound));
        // What is mounted on a folder of it is of another file system.
        let proc = read_file_below(Path::new("/"), Path::new("/proc/self/status"), 1 << 20);
        assert_eq!(proc.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        for (name, open, shut) in
            [("boot/grub/grub.cfg", 0o666, 0o644), ("boot/grub", 0o775, 0o755), ("boot", 0o777, 0o755)]
        {
            fs::set_permissions(at(name), PermissionsExt::from_mode(open)).unwrap();
            assert_eq!(read("boot/within"), Err(io::ErrorKind::PermissionDenied), "{name}");
            fs::set_permissions(at(name), PermissionsExt::from_mode(shut)).unwrap();
            assert_eq!(read("boot/within").unwrap(), b"in", "{name}");
        }
    }

    #[test]
    fn only_regular_files_of_reasonable_size_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        fs::write(path("adv"), b"{}").unwrap();
        fs::write(path("limit"), vec![b'x'; 1 << 20]).unwrap();
        fs::write(path("long"), vec![b'x'; (1 << 20) + 1]).unwrap();
        assert_eq!(read_file(&path("adv")).unwrap(), b"{}");
        assert_eq!(read_file(&path("limit")).unwrap().len(), 1 << 20);
        assert_eq!(read_file(&path("long")).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(read_file(&path("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
        rustix::fs::mkfifoat(rustix::fs::CWD, path("pipe"), Mode::from_raw_mode(0o600)).unwrap();
        assert_eq!(read_regular_file(Path::new(&path("adv")), 2).unwrap(), b"{}");
        let short = read_regular_file(Path::new(&path("adv")), 1);
        assert_eq!(short.unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        for odd in [dir.path().to_str().unwrap(), "/dev/zero", &path("pipe")] {
            assert_eq!(read_file(odd).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{odd}");
        }
    }
}
