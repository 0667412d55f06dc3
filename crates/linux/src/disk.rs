//! Block devices and plain files as disks.
//!
//! Reads come from the medium itself, past the page cache, where the system can do that (see `fresh`): what counts of a header is
//! what is there, whoever has written it by whatever other name of the disk. Writes go through the page cache and are on the
//! medium after [`BlockWrite::flush`]. Whoever reads or writes data in bulk asks for the cache: [`FileDisk::use_cache`]. Who may
//! change a header is settled by [`crate::HeaderLock`].

use crate::fresh::{self, Fresh};
use block::{BlockError, BlockRead, BlockWrite, Bytes};
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// What an opened disk will be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading only: nothing that happens can change it.
    Read,
    /// Reading and writing.
    Write,
    /// Reading and writing what nobody else uses: a block device that is mounted, that lies under a mapping, or of which a
    /// partition does, is refused, and none of these can happen to it while it is open (`O_EXCL` of open(2)). A plain file
    /// is opened as for [`Access::Write`].
    Alone,
}

impl Access {
    /// Whether it includes writing.
    pub fn writes(self) -> bool {
        match self {
            Access::Read => false,
            Access::Write | Access::Alone => true,
        }
    }
}

/// An open block device or plain file.
#[derive(Debug)]
pub struct FileDisk {
    file: File,
    /// For reads past the cache; none where there is no such thing.
    fresh: Option<Fresh>,
    /// Reads and writes are through the cache alone.
    cached: AtomicBool,
    path: PathBuf,
    length: Bytes,
    access: Access,
    identity: Identity,
}

/// Which device or file a descriptor leads to, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// A block device, by its own number.
    Device { major: u32, minor: u32 },
    /// A plain file, by the device it lies on and its inode.
    File { device: u64, inode: u64 },
}

impl FileDisk {
    /// Opens the block device or plain file at `path`. Anything else is refused, and a pipe is not waited for.
    ///
    /// # Errors
    /// Every [`DiskError`] but [`DiskError::Exists`].
    pub fn open(path: impl AsRef<Path>, access: Access) -> Result<FileDisk, DiskError> {
        let path = path.as_ref();
        let mode = match access {
            Access::Read => OFlags::RDONLY,
            Access::Write => OFlags::RDWR,
            // Without O_CREAT it means block devices only; Linux passes it over for a plain file.
            Access::Alone => OFlags::RDWR | OFlags::EXCL,
        };
        // Without O_NONBLOCK opening a pipe would wait for its other end.
        let flags = mode | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = open(path, flags, Mode::empty()).map_err(|error| DiskError::opening(path, access, error.into()))?;
        FileDisk::from_file(file.into(), path, access)
    }

    /// Makes a new plain file of `length` zero bytes, without taking up room for them, which only its owner may read.
    ///
    /// # Errors
    /// [`DiskError::Exists`] if there is something at `path`, which is then left alone; others as for [`FileDisk::open`].
    pub fn create(path: impl AsRef<Path>, length: Bytes) -> Result<FileDisk, DiskError> {
        let path = path.as_ref();
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = open(path, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|error| DiskError::opening(path, Access::Write, error.into()))?;
        let file = File::from(file);
        file.set_len(length.0).map_err(|source| {
            // Ours and empty: nothing is lost by taking it away again.
            let _ = std::fs::remove_file(path);
            DiskError::Failed { doing: "set the length of", path: path.to_owned(), source }
        })?;
        FileDisk::from_file(file, path, Access::Write)
    }

    fn from_file(mut file: File, path: &Path, access: Access) -> Result<FileDisk, DiskError> {
        let failed = |doing| move |source| DiskError::Failed { doing, path: path.to_owned(), source };
        let identity = Identity::of(&file)
            .map_err(failed("inspect"))?
            .map_err(|what| DiskError::NotADisk { path: path.to_owned(), what })?;
        // `stat` knows no size of a block device; the end of one can be sought.
        let length = Bytes(file.seek(SeekFrom::End(0)).map_err(failed("find the end of"))?);
        let is_same = |file: &File| Ok(Identity::of(file)? == Ok(identity));
        let fresh = Fresh::open(path, is_same).map_err(failed("open for direct reading"))?;
        Ok(FileDisk { file, fresh, cached: AtomicBool::new(false), path: path.to_owned(), length, access, identity })
    }

    /// From now on reads and writes go through the page cache: for data in bulk, which is read ahead and read again, once the header
    /// is known. Headers are not to be read or changed after this.
    pub fn use_cache(&self) {
        self.cached.store(true, Ordering::Relaxed);
    }

    /// The descriptor to read past the cache with, unless that is not wanted or there is none.
    fn fresh(&self) -> Option<&Fresh> {
        self.fresh.as_ref().filter(|_| !self.cached.load(Ordering::Relaxed))
    }

    /// Writes the pages that `from` touches as a whole, with what the medium holds around it. Otherwise the kernel would take the
    /// rest of each from a copy in memory, which may be old, and write that too.
    fn write_whole_pages(&self, offset: Bytes, from: &[u8]) -> io::Result<()> {
        let end = offset.0.saturating_add(from.len() as u64);
        let (first, last) = (fresh::down(offset.0), fresh::up(end).min(self.length.0));
        if (first, last) == (offset.0, end) {
            return self.file.write_all_at(from, offset.0);
        }
        let mut pages = vec![0; usize::try_from(last - first).map_err(|_| ErrorKind::InvalidInput)?];
        self.read_exactly(Bytes(first), &mut pages)?;
        let before = usize::try_from(offset.0 - first).unwrap_or_default();
        pages.iter_mut().skip(before).zip(from).for_each(|(to, byte)| *to = *byte);
        self.file.write_all_at(&pages, first)
    }

    fn read_exactly(&self, offset: Bytes, into: &mut [u8]) -> io::Result<()> {
        if let Some(fresh) = self.fresh()
            && fresh.read(offset.0, into)?
        {
            return Ok(());
        }
        self.file.read_exact_at(into, offset.0)
    }

    /// The name it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it was opened for.
    pub fn access(&self) -> Access {
        self.access
    }

    /// Whether it is a block device rather than a plain file.
    pub fn is_device(&self) -> bool {
        matches!(self.identity, Identity::Device { .. })
    }

    pub(crate) fn identity(&self) -> Identity {
        self.identity
    }
}

impl Identity {
    /// The inner error says what it is instead.
    pub(crate) fn of(file: &File) -> io::Result<Result<Identity, &'static str>> {
        let stat = fstat(file)?;
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::BlockDevice => {
                let (major, minor) = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
                Ok(Identity::Device { major, minor })
            }
            FileType::RegularFile => Ok(Identity::File { device: stat.st_dev, inode: stat.st_ino }),
            FileType::Directory => Err("a directory"),
            FileType::CharacterDevice => Err("a character device"),
            FileType::Fifo => Err("a pipe"),
            FileType::Socket => Err("a socket"),
            _ => Err("something else"),
        })
    }
}

impl BlockRead for FileDisk {
    fn len(&self) -> Bytes {
        self.length
    }

    fn read_at(&self, offset: Bytes, into: &mut [u8]) -> Result<(), BlockError> {
        BlockError::check_range(offset, into.len(), self.length)?;
        let failed = |source| BlockError::Failed { doing: "read", offset, source };
        self.read_exactly(offset, into).map_err(failed)
    }
}

impl BlockWrite for FileDisk {
    /// On a disk that was opened for reading the kernel refuses.
    fn write_at(&self, offset: Bytes, from: &[u8]) -> Result<(), BlockError> {
        BlockError::check_range(offset, from.len(), self.length)?;
        let failed = |source| BlockError::Failed { doing: "write", offset, source };
        let written = if self.fresh().is_some() {
            self.write_whole_pages(offset, from)
        } else {
            self.file.write_all_at(from, offset.0)
        };
        written.map_err(failed)
    }

    fn flush(&self) -> Result<(), BlockError> {
        let failed = |source| BlockError::Failed { doing: "make durable what was written", offset: Bytes(0), source };
        self.file.sync_data().map_err(failed)
    }
}

/// Why a disk could not be opened.
#[derive(Debug)]
pub enum DiskError {
    /// There is nothing of this name.
    NotFound {
        /// The name.
        path: PathBuf,
    },
    /// The system does not let this user, or anybody, use it like that.
    Denied {
        /// The name.
        path: PathBuf,
        /// What was asked for.
        access: Access,
    },
    /// The medium or its file system is read-only.
    ReadOnly {
        /// The name.
        path: PathBuf,
    },
    /// Somebody else uses the device, so it cannot be had alone; some kernels do not even let a mounted one be written.
    InUse {
        /// The name.
        path: PathBuf,
    },
    /// It is neither a block device nor a plain file.
    NotADisk {
        /// The name.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// Something of this name exists where a new file was to be made.
    Exists {
        /// The name.
        path: PathBuf,
    },
    /// Anything else.
    Failed {
        /// What could not be done to it, such as `open`.
        doing: &'static str,
        /// The name.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl DiskError {
    fn opening(path: &Path, access: Access, source: io::Error) -> DiskError {
        let path = path.to_owned();
        match source.kind() {
            ErrorKind::NotFound => DiskError::NotFound { path },
            ErrorKind::PermissionDenied => DiskError::Denied { path, access },
            ErrorKind::ReadOnlyFilesystem => DiskError::ReadOnly { path },
            ErrorKind::ResourceBusy => DiskError::InUse { path },
            ErrorKind::AlreadyExists => DiskError::Exists { path },
            ErrorKind::IsADirectory => DiskError::NotADisk { path, what: "a directory" },
            _ => DiskError::Failed { doing: "open", path, source },
        }
    }

    /// What a person can do.
    pub fn hint(&self) -> String {
        match self {
            DiskError::NotFound { .. } => "`lsblk` lists the block devices".to_owned(),
            DiskError::Denied { path, access: Access::Read } => {
                format!("run it as root, or see who may read it: `ls -l {}`", path.display())
            }
            DiskError::Denied { path, access: Access::Write | Access::Alone } => {
                format!("run it as root; for a device `blockdev --getro {}` tells if it is read-only", path.display())
            }
            DiskError::ReadOnly { .. } => "mount the file system read-write, or work on a copy".to_owned(),
            DiskError::InUse { path } => {
                let name = path.display();
                format!("see what uses it: `lsblk {name}`, `findmnt -S {name}`, `fuser -v {name}`")
            }
            DiskError::NotADisk { .. } => "name a block device or an image file".to_owned(),
            DiskError::Exists { .. } => "choose another name, or remove it first".to_owned(),
            DiskError::Failed { .. } => "see the end of `dmesg`".to_owned(),
        }
    }
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DiskError::NotFound { path } => write!(f, "there is no {}", path.display()),
            DiskError::Denied { path, access: Access::Read } => write!(f, "not allowed to read {}", path.display()),
            DiskError::Denied { path, .. } => write!(f, "not allowed to write {}", path.display()),
            DiskError::ReadOnly { path } => write!(f, "{} is on a read-only medium", path.display()),
            DiskError::InUse { path } => write!(f, "{} is in use: mounted, mapped, or held open alone", path.display()),
            DiskError::NotADisk { path, what } => write!(f, "{} is {what}, not a disk", path.display()),
            DiskError::Exists { path } => write!(f, "{} exists already", path.display()),
            DiskError::Failed { doing, path, .. } => write!(f, "cannot {doing} {}", path.display()),
        }
    }
}

impl std::error::Error for DiskError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            DiskError::Failed { source, .. } => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_new_file_is_private_zeroed_and_of_its_length() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk.img");
        let disk = FileDisk::create(&path, Bytes(10_000)).unwrap();
        assert_eq!((disk.len(), disk.is_device(), disk.access()), (Bytes(10_000), false, Access::Write));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        disk.write_at(Bytes(9_998), b"xy").unwrap();
        disk.flush().unwrap();
        let mut end = [0; 4];
        FileDisk::open(&path, Access::Read).unwrap().read_at(Bytes(9_996), &mut end).unwrap();
        assert_eq!(end, *b"\0\0xy");
        assert!(matches!(FileDisk::create(&path, Bytes(1)), Err(DiskError::Exists { .. })));
    }

    #[test]
    fn a_length_the_system_refuses_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("huge.img");
        let refused = FileDisk::create(&path, Bytes(u64::MAX));
        assert!(matches!(refused, Err(DiskError::Failed { doing: "set the length of", .. })), "{refused:?}");
        assert!(!path.exists());
    }

    #[test]
    fn nothing_reaches_behind_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk.img");
        let disk = FileDisk::create(&path, Bytes(100)).unwrap();
        for (offset, length) in [(99, 2), (100, 1), (u64::MAX, 1)] {
            let refused = disk.write_at(Bytes(offset), &vec![1; length]);
            assert!(matches!(refused, Err(BlockError::BeyondEnd { .. })));
            assert!(disk.read_at(Bytes(offset), &mut vec![1; length]).is_err());
        }
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 100);
    }

    #[test]
    fn a_disk_opened_for_reading_cannot_be_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk.img");
        FileDisk::create(&path, Bytes(512)).unwrap();
        let refused = FileDisk::open(&path, Access::Read).unwrap().write_at(Bytes(0), b"x");
        assert!(matches!(refused, Err(BlockError::Failed { doing: "write", .. })), "{refused:?}");
    }

    #[test]
    fn a_plain_file_opened_alone_is_written_like_any_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk.img");
        let also = FileDisk::create(&path, Bytes(512)).unwrap();
        let disk = FileDisk::open(&path, Access::Alone).unwrap();
        assert!(disk.access().writes() && also.access().writes() && !Access::Read.writes());
        disk.write_at(Bytes(0), b"x").unwrap();
    }

    #[test]
    fn what_is_not_a_disk_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, Mode::RUSR | Mode::WUSR).unwrap();
        for (path, expected) in
            [(fifo.as_path(), "a pipe"), (dir.path(), "a directory"), (Path::new("/dev/zero"), "a character device")]
        {
            for access in [Access::Read, Access::Write, Access::Alone] {
                match FileDisk::open(path, access) {
                    Err(DiskError::NotADisk { what, .. }) => assert_eq!(what, expected),
                    other => panic!("{other:?}"),
                }
            }
        }
        let nothing = FileDisk::open(dir.path().join("none"), Access::Read).unwrap_err();
        assert!(matches!(nothing, DiskError::NotFound { .. }));
        assert!(nothing.hint().contains("lsblk"));
    }

    #[test]
    fn the_systems_refusals_keep_their_meaning() {
        let error = |kind: ErrorKind| DiskError::opening(Path::new("/dev/sda"), Access::Write, kind.into());
        assert!(matches!(error(ErrorKind::ReadOnlyFilesystem), DiskError::ReadOnly { .. }));
        let denied = error(ErrorKind::PermissionDenied);
        assert_eq!(denied.to_string(), "not allowed to write /dev/sda");
        assert!(denied.hint().contains("blockdev --getro /dev/sda"));
        let in_use = error(ErrorKind::ResourceBusy);
        assert!(in_use.to_string().starts_with("/dev/sda is in use"), "{in_use}");
        assert!(in_use.hint().contains("findmnt -S /dev/sda"));
        assert!(matches!(error(ErrorKind::OutOfMemory), DiskError::Failed { doing: "open", .. }));
    }
}
