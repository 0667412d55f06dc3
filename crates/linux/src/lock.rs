//! Who may look at a LUKS header, and who may change it: the locks of libcryptsetup, so that both can work on one disk.
//!
//! On a plain file it is `flock` on the file itself. On a block device it is `flock` on `/run/cryptsetup/L_MAJOR:MINOR`,
//! shared to read and exclusive to write, and whoever has got it looks whether the lock file still has its name, because the
//! last one to leave takes it away. No document describes this; it is what cryptsetup 2.6.1 was seen to do under `strace`.
//!
//! Unlike libcryptsetup nobody waits here without end: a lock is held for the time of a few writes (a format wipes 16 MiB
//! among them), never over a network or a key derivation, so one that does not come free belongs to something that hangs,
//! which the error names.

use crate::disk::{FileDisk, Identity};
use crate::dm::DeviceNumber;
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, flock, fstat, mkdirat, open, openat, statat, unlinkat};
use rustix::io::Errno;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Where libcryptsetup's directory of lock files is; the directory itself is [`DIRECTORY`].
const BASE: &str = "/run";
const DIRECTORY: &str = "cryptsetup";
/// How long to wait between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// What the header will be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// Reading it, together with others who do.
    Shared,
    /// Changing it, alone.
    Exclusive,
}

/// The right to read or change the header of one disk, until it is dropped.
#[derive(Debug)]
#[must_use = "the lock is held until this is dropped"]
pub struct HeaderLock {
    file: File,
    /// Set on a block device, whose lock file the last one removes.
    named: Option<Named>,
}

#[derive(Debug)]
struct Named {
    directory: OwnedFd,
    name: String,
}

impl HeaderLock {
    /// Takes the lock for the header on `disk`, waiting for others at most `wait`; zero means a single try.
    ///
    /// # Errors
    /// [`LockError::Held`] when the time is over; the others at once.
    pub fn acquire(disk: &FileDisk, mode: LockMode, wait: Duration) -> Result<HeaderLock, LockError> {
        let until = Instant::now() + wait;
        loop {
            let found = match disk.identity() {
                Identity::Device { major, minor } => try_device(Path::new(BASE), major, minor, mode)?,
                Identity::File { .. } => try_file(disk, mode)?,
            };
            match found {
                Found::Free(lock) => return Ok(lock),
                Found::Stale if Instant::now() < until => {}
                Found::Held(_) if Instant::now() < until => sleep(PAUSE),
                Found::Stale => return Err(LockError::held(disk, mode, wait, None)),
                Found::Held(file) => return Err(LockError::held(disk, mode, wait, Some(&file))),
            }
        }
    }
}

/// What one try came to.
enum Found {
    Free(HeaderLock),
    /// Somebody else has it.
    Held(File),
    /// Somebody took the lock file away between our opening it and our locking it.
    Stale,
}

fn try_file(disk: &FileDisk, mode: LockMode) -> Result<Found, LockError> {
    // NFS gives exclusive locks only to those who may write.
    let access = match mode {
        LockMode::Exclusive if disk.access().writes() => OFlags::RDWR,
        _ => OFlags::RDONLY,
    };
    let file = reopen(disk, access)?;
    match flock(&file, operation(mode)) {
        Ok(()) => Ok(Found::Free(HeaderLock { file, named: None })),
        Err(Errno::WOULDBLOCK) => Ok(Found::Held(file)),
        Err(error) => Err(LockError::failed("lock", disk, error.into())),
    }
}

/// A descriptor of its own, since a lock belongs to one; opened anew by name, so the name must still lead to the same file.
pub(crate) fn reopen(disk: &FileDisk, access: OFlags) -> Result<File, LockError> {
    let flags = access | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file =
        open(disk.path(), flags, Mode::empty()).map_err(|error| LockError::failed("open", disk, error.into()))?;
    let file = File::from(file);
    let identity = Identity::of(&file).map_err(|source| LockError::failed("inspect", disk, source))?;
    if identity == Ok(disk.identity()) { Ok(file) } else { Err(LockError::Replaced { path: disk.path().to_owned() }) }
}

fn try_device(base: &Path, major: u32, minor: u32, mode: LockMode) -> Result<Found, LockError> {
    let directory = open_directory(base)?;
    let name = format!("L_{major}:{minor}");
    let failed = |doing| {
        let path = base.join(DIRECTORY).join(&name);
        move |error: Errno| LockError::Failed { doing, path, source: error.into() }
    };
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = File::from(openat(&directory, &name, flags, Mode::RUSR | Mode::WUSR).map_err(failed("open"))?);
    match flock(&file, operation(mode)) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Ok(Found::Held(file)),
        Err(error) => return Err(failed("lock")(error)),
    }
    let named = Named { directory, name };
    Ok(if named.is(&file) { Found::Free(HeaderLock { file, named: Some(named) }) } else { Found::Stale })
}

/// Opens libcryptsetup's directory, and makes it as libcryptsetup would if it is missing.
fn open_directory(base: &Path) -> Result<OwnedFd, LockError> {
    let path = base.join(DIRECTORY);
    let failed = |source: Errno| LockError::Directory { path: path.clone(), source: source.into() };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let above = open(base, flags, Mode::empty()).map_err(failed)?;
    match mkdirat(&above, DIRECTORY, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(failed(error)),
    }
    let directory = openat(&above, DIRECTORY, flags | OFlags::NOFOLLOW, Mode::empty()).map_err(failed)?;
    let mode = fstat(&directory).map_err(failed)?.st_mode;
    if mode & 0o022 != 0 {
        return Err(LockError::OpenToAll { path, mode: mode & 0o7777 });
    }
    Ok(directory)
}

impl Named {
    /// Whether the name still leads to `file`.
    fn is(&self, file: &File) -> bool {
        match (statat(&self.directory, &self.name, AtFlags::SYMLINK_NOFOLLOW), fstat(file)) {
            (Ok(named), Ok(open)) => (named.st_dev, named.st_ino) == (open.st_dev, open.st_ino),
            _ => false,
        }
    }
}

impl Drop for HeaderLock {
    /// Closing the file frees the lock. Before that the lock file is removed if nobody else has it: who can turn his lock into
    /// an exclusive one at once is alone, and whoever opened the file a moment ago will find that its name is gone.
    fn drop(&mut self) {
        if let Some(named) = &self.named
            && flock(&self.file, FlockOperation::NonBlockingLockExclusive).is_ok()
            && named.is(&self.file)
        {
            let _ = unlinkat(&named.directory, &named.name, AtFlags::empty());
        }
    }
}

fn operation(mode: LockMode) -> FlockOperation {
    match mode {
        LockMode::Shared => FlockOperation::NonBlockingLockShared,
        LockMode::Exclusive => FlockOperation::NonBlockingLockExclusive,
    }
}

/// A process that holds a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its number.
    pub process: u32,
    /// Its name, as `ps` shows it.
    pub command: String,
}

impl Holder {
    pub(crate) fn of(process: u32) -> Holder {
        let command = std::fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
        let shown = command.trim().chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c });
        Holder { process, command: shown.collect() }
    }
}

/// Finds in `/proc/locks` who has `file` locked; empty if the system does not tell.
fn holders_of(file: &File) -> Vec<Holder> {
    let (Ok(stat), Ok(table)) = (fstat(file), std::fs::read_to_string("/proc/locks")) else { return Vec::new() };
    let device = (rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
    table.lines().filter_map(|line| flock_owner(line, device, stat.st_ino)).map(Holder::of).collect()
}

fn flock_owner(line: &str, device: (u32, u32), inode: u64) -> Option<u32> {
    let ("FLOCK", process) = lock_on(line, device, inode)? else { return None };
    process.parse().ok()
}

/// Kind and process of a line like `3: FLOCK  ADVISORY  WRITE 2345 fe:00:131 0 EOF`, if it is about this file (proc(5)).
/// A line with `->` is someone who waits.
pub(crate) fn lock_on(line: &str, device: (u32, u32), inode: u64) -> Option<(&str, &str)> {
    let mut words = line.split_whitespace().skip(1);
    let kind = words.next().filter(|kind| *kind != "->")?;
    let (process, file) = (words.nth(2)?, words.next()?);
    let mut parts = file.split(':');
    let major = u32::from_str_radix(parts.next()?, 16).ok()?;
    let minor = u32::from_str_radix(parts.next()?, 16).ok()?;
    let same = (major, minor) == device && parts.next()?.parse() == Ok(inode);
    same.then_some((kind, process))
}

/// Why a lock could not be had.
#[derive(Debug)]
pub enum LockError {
    /// Somebody else kept it for all the time there was.
    Held {
        /// The disk.
        path: PathBuf,
        /// What was asked for.
        mode: LockMode,
        /// How long was waited.
        waited: Duration,
        /// Who, if the system tells.
        holders: Vec<Holder>,
    },
    /// The content of the disk cannot be claimed: somebody else has it.
    Claimed {
        /// The disk.
        path: PathBuf,
        /// Who, if the system tells.
        holders: Vec<Holder>,
    },
    /// The content of a plain file cannot be claimed: it is a block device, which may be mounted or mapped.
    Attached {
        /// The file.
        path: PathBuf,
        /// Its loop devices.
        devices: Vec<DeviceNumber>,
    },
    /// The directory of the lock files cannot be used.
    Directory {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others than its owner may write the directory of the lock files, so a lock there protects nothing.
    OpenToAll {
        /// Which.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The name of the disk leads to another file than when it was opened.
    Replaced {
        /// The name.
        path: PathBuf,
    },
    /// Anything else.
    Failed {
        /// What could not be done, such as `lock`.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl LockError {
    pub(crate) fn failed(doing: &'static str, disk: &FileDisk, source: io::Error) -> LockError {
        LockError::Failed { doing, path: disk.path().to_owned(), source }
    }

    fn held(disk: &FileDisk, mode: LockMode, waited: Duration, by: Option<&File>) -> LockError {
        let holders = by.map(holders_of).unwrap_or_default();
        LockError::Held { path: disk.path().to_owned(), mode, waited, holders }
    }

    /// What a person can do.
    pub fn hint(&self) -> String {
        match self {
            LockError::Held { holders, .. } => match holders.first() {
                Some(holder) => format!("wait for it, or see what it does: `ps -fp {}`", holder.process),
                None => "see who: `lslocks`".to_owned(),
            },
            LockError::Claimed { path, holders } => match holders.first() {
                Some(holder) => format!("end it first, or see what it does: `ps -fp {}`", holder.process),
                None => format!("see who: `fuser -v {0}`, `lsblk {0}`", path.display()),
            },
            LockError::Attached { devices, .. } => match devices.first() {
                Some(device) => {
                    format!(
                        "see what uses it: `lsblk /dev/block/{device}`; then let it go: `losetup -d /dev/block/{device}`"
                    )
                }
                None => "see which: `losetup -l`".to_owned(),
            },
            LockError::Directory { .. } => "run it as root".to_owned(),
            LockError::OpenToAll { path, .. } => format!("`chmod go-w {}`", path.display()),
            LockError::Replaced { .. } => "start again".to_owned(),
            LockError::Failed { .. } => "does the file system know locks? see flock(2)".to_owned(),
        }
    }
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::Held { path, mode, waited, holders } => {
                let purpose = match mode {
                    LockMode::Shared => "reading",
                    LockMode::Exclusive => "changing",
                };
                write!(f, "cannot lock {} for {purpose} its header: after {waited:?} ", path.display())?;
                match holders.first() {
                    Some(Holder { process, command }) => write!(f, "{command} (process {process}) still has it"),
                    None => write!(f, "another process still has it"),
                }
            }
            LockError::Claimed { path, holders } => match holders.first() {
                Some(Holder { process, command }) => {
                    write!(f, "{} is in use: {command} (process {process}) has it for itself", path.display())
                }
                None => write!(f, "{} is in use: another process, a mount or a mapping has it", path.display()),
            },
            LockError::Attached { path, devices } => {
                write!(f, "{} is in use: it is the loop device", path.display())?;
                devices.iter().try_for_each(|device| write!(f, " {device}"))
            }
            LockError::Directory { path, .. } => write!(f, "cannot use the lock directory {}", path.display()),
            LockError::OpenToAll { path, mode } => {
                write!(f, "the lock directory {} may be written by others (mode {mode:04o})", path.display())
            }
            LockError::Replaced { path } => write!(f, "{} was replaced while it was open", path.display()),
            LockError::Failed { doing, path, .. } => write!(f, "cannot {doing} {}", path.display()),
        }
    }
}

impl std::error::Error for LockError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            LockError::Directory { source, .. } | LockError::Failed { source, .. } => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use block::Bytes;
    use std::os::unix::fs::PermissionsExt;

    const NO_WAIT: Duration = Duration::ZERO;

    fn image(dir: &Path) -> FileDisk {
        FileDisk::create(dir.join("disk.img"), Bytes(4096)).unwrap()
    }

    #[test]
    fn readers_share_and_a_writer_is_alone() {
        let dir = tempfile::tempdir().unwrap();
        let disk = image(dir.path());
        let one = HeaderLock::acquire(&disk, LockMode::Shared, NO_WAIT).unwrap();
        let two = HeaderLock::acquire(&disk, LockMode::Shared, NO_WAIT).unwrap();
        let refused = HeaderLock::acquire(&disk, LockMode::Exclusive, PAUSE * 2).unwrap_err();
        let LockError::Held { holders, waited, .. } = &refused else { panic!("{refused:?}") };
        assert_eq!((holders[0].process, *waited), (std::process::id(), PAUSE * 2));
        assert!(refused.to_string().contains("for changing its header"), "{refused}");
        drop((one, two));
        let alone = HeaderLock::acquire(&disk, LockMode::Exclusive, NO_WAIT).unwrap();
        assert!(matches!(HeaderLock::acquire(&disk, LockMode::Shared, NO_WAIT), Err(LockError::Held { .. })));
        drop(alone);
        drop(HeaderLock::acquire(&disk, LockMode::Shared, NO_WAIT).unwrap());
    }

    #[test]
    fn a_lock_that_comes_free_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let disk = image(dir.path());
        let held = HeaderLock::acquire(&disk, LockMode::Exclusive, NO_WAIT).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| HeaderLock::acquire(&disk, LockMode::Exclusive, Duration::from_secs(60)));
            drop(held);
            drop(waiting.join().unwrap().unwrap());
        });
    }

    #[test]
    fn a_file_that_was_replaced_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let disk = image(dir.path());
        std::fs::rename(dir.path().join("disk.img"), dir.path().join("old.img")).unwrap();
        std::fs::write(dir.path().join("disk.img"), b"another").unwrap();
        let refused = HeaderLock::acquire(&disk, LockMode::Exclusive, NO_WAIT);
        assert!(matches!(refused, Err(LockError::Replaced { .. })), "{refused:?}");
    }

    /// The device's half, under a directory of our own: no device is needed to lock its number.
    fn device(base: &Path, mode: LockMode) -> Result<Found, LockError> {
        try_device(base, 7, 3, mode)
    }

    #[test]
    fn a_devices_lock_file_is_made_shared_and_removed_by_the_last() {
        let dir = tempfile::tempdir().unwrap();
        let name = dir.path().join("cryptsetup/L_7:3");
        let Ok(Found::Free(one)) = device(dir.path(), LockMode::Shared) else { panic!("not free") };
        let mode = std::fs::metadata(dir.path().join("cryptsetup")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        let Ok(Found::Free(two)) = device(dir.path(), LockMode::Shared) else { panic!("not shared") };
        let Ok(Found::Held(file)) = device(dir.path(), LockMode::Exclusive) else { panic!("not held") };
        assert_eq!(holders_of(&file)[0].process, std::process::id());
        drop(file);
        drop(one);
        assert!(name.exists(), "somebody still has it");
        drop(two);
        assert!(!name.exists());
    }

    #[test]
    fn a_lock_file_that_lost_its_name_is_no_lock() {
        let dir = tempfile::tempdir().unwrap();
        let Ok(Found::Free(one)) = device(dir.path(), LockMode::Exclusive) else { panic!("not free") };
        let named = one.named.as_ref().unwrap();
        assert!(named.is(&one.file));
        std::fs::remove_file(dir.path().join("cryptsetup/L_7:3")).unwrap();
        assert!(!named.is(&one.file));
        // The next one gets a lock on a new file, which the first must not take away.
        let Ok(Found::Free(two)) = device(dir.path(), LockMode::Exclusive) else { panic!("not free") };
        drop(one);
        assert!(two.named.as_ref().unwrap().is(&two.file));
    }

    #[test]
    fn a_lock_directory_that_protects_nothing_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let locks = dir.path().join("cryptsetup");
        std::fs::create_dir(&locks).unwrap();
        std::fs::set_permissions(&locks, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(device(dir.path(), LockMode::Shared), Err(LockError::OpenToAll { mode: 0o777, .. })));
        std::fs::remove_dir(&locks).unwrap();
        std::os::unix::fs::symlink("/tmp", &locks).unwrap();
        assert!(matches!(device(dir.path(), LockMode::Shared), Err(LockError::Directory { .. })));
        assert!(matches!(device(&dir.path().join("none"), LockMode::Shared), Err(LockError::Directory { .. })));
    }

    #[test]
    fn the_kernels_table_of_locks_is_read() {
        let line = "3: FLOCK  ADVISORY  WRITE 2345 fe:00:131 0 EOF";
        assert_eq!(flock_owner(line, (0xfe, 0), 131), Some(2345));
        for other in [
            "3: FLOCK  ADVISORY  WRITE 2345 fe:01:131 0 EOF",
            "3: FLOCK  ADVISORY  WRITE 2345 fe:00:132 0 EOF",
            "3: -> FLOCK  ADVISORY  WRITE 2345 fe:00:131 0 EOF",
            "3: POSIX  ADVISORY  WRITE 2345 fe:00:131 0 EOF",
            "3: FLOCK  ADVISORY  WRITE -1 fe:00:131 0 EOF",
            "3: FLOCK",
            "",
        ] {
            assert_eq!(flock_owner(other, (0xfe, 0), 131), None, "{other}");
        }
    }
}
