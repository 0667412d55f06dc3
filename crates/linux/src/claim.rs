//! Having the content of a disk for oneself, for as long as it is changed: two servers that write one image would ruin it.
//!
//! On a plain file it is a lock on all its bytes of the kind that QEMU uses (`F_OFD_SETLK`; QEMU locks bytes 100 to 300, each
//! for one use of an image), so QEMU and we keep each other out too. It does not meet [`crate::HeaderLock`], which is
//! `flock`: header changes still go by turns. Only NFS makes byte ranges of `flock`, so there the header of a claimed image
//! cannot be locked either. Loop devices, and with them mounts and mappings of the file, lock nothing, so they are looked for: a
//! file that is a block device is claimed by nobody else. A block device is held with `O_EXCL`, as a mount or a mapping holds it.

use crate::disk::{Access, FileDisk};
use crate::lock::{Holder, LockError, lock_on, reopen};
use crate::loop_device::LoopDevice;
use crate::sys::lock_all_bytes;
use rustix::fs::{OFlags, fstat};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a loop device may take to let its file go: udev looks at a device when somebody has closed it.
const MOMENT: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(20);

/// The right to change the content of one disk, until it is dropped.
#[derive(Debug)]
#[must_use = "the disk is claimed until this is dropped"]
pub struct Claim {
    /// What the kernel has the claim by. None if the disk itself holds it ([`Access::Alone`]).
    _held: Option<File>,
}

impl FileDisk {
    /// Claims the content of this disk against every other claim, QEMU, and on a block device whatever mounts or maps it.
    /// It must be allowed to write it. Nobody is waited for: a claim may last for days. (A loop device that is on its way out has
    /// half a second.)
    ///
    /// A device that was opened [`Access::Alone`] is claimed by that, until it is closed.
    ///
    /// # Errors
    /// [`LockError::Claimed`], [`LockError::Attached`]; [`LockError::Replaced`] and [`LockError::Failed`] as for [`crate::HeaderLock::acquire`].
    pub fn claim(&self) -> Result<Claim, LockError> {
        let held = match (self.is_device(), self.access()) {
            (true, Access::Alone) => None,
            (true, _) => Some(device(self)?),
            (false, _) => Some(plain_file(self)?),
        };
        Ok(Claim { _held: held })
    }
}

fn device(disk: &FileDisk) -> Result<File, LockError> {
    reopen(disk, OFlags::RDWR | OFlags::EXCL).map_err(|error| match error {
        LockError::Failed { path, source, .. } if source.kind() == ErrorKind::ResourceBusy => {
            LockError::Claimed { path, holders: Vec::new() }
        }
        other => other,
    })
}

fn plain_file(disk: &FileDisk) -> Result<File, LockError> {
    let file = reopen(disk, OFlags::RDWR)?;
    match lock_all_bytes(&file) {
        // In this order: who makes a loop device of it claims it meanwhile.
        Ok(true) => not_attached(disk).map(|()| file),
        Ok(false) => {
            let holders = holders_of(&file).unwrap_or_default();
            Err(LockError::Claimed { path: disk.path().to_owned(), holders })
        }
        Err(source) => Err(LockError::failed("lock", disk, source)),
    }
}

fn not_attached(disk: &FileDisk) -> Result<(), LockError> {
    let until = Instant::now() + MOMENT;
    loop {
        let devices = LoopDevice::all_of(disk);
        if devices.is_empty() {
            return Ok(());
        }
        if Instant::now() >= until {
            return Err(LockError::Attached { path: disk.path().to_owned(), devices });
        }
        sleep(PAUSE);
    }
}

/// Who has a byte range of `file` locked. Such a lock belongs to no process, so `/proc/locks` has no number for it; the
/// description of every open file tells its locks (proc(5), `fdinfo`), for those processes that we may look at.
fn holders_of(file: &File) -> io::Result<Vec<Holder>> {
    let stat = fstat(file)?;
    let device = (rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
    let holds = |text: &str| {
        let mut locks = text.lines().filter_map(|line| lock_on(line.strip_prefix("lock:")?, device, stat.st_ino));
        locks.any(|(kind, _)| matches!(kind, "OFDLCK" | "POSIX"))
    };
    let mut holders = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if has_open(&entry.path().join("fdinfo"), holds) {
            holders.push(Holder::of(process));
        }
    }
    Ok(holders)
}

/// Whether the description of any file in this directory is what is looked for. A process that ends meanwhile has none.
fn has_open(fdinfo: &Path, holds: impl Fn(&str) -> bool) -> bool {
    let Ok(files) = fs::read_dir(fdinfo) else { return false };
    files.flatten().any(|file| fs::read_to_string(file.path()).is_ok_and(|text| holds(&text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::{HeaderLock, LockMode};
    use block::Bytes;
    use std::time::Duration;

    #[test]
    fn a_claimed_file_is_nobody_elses_until_it_is_let_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk.img");
        let disk = FileDisk::create(&path, Bytes(4096)).unwrap();
        let claim = disk.claim().unwrap();
        for other in [&disk, &FileDisk::open(&path, Access::Alone).unwrap()] {
            let refused = other.claim().unwrap_err();
            let LockError::Claimed { holders, .. } = &refused else { panic!("{refused:?}") };
            assert_eq!(holders.iter().map(|holder| holder.process).collect::<Vec<_>>(), [std::process::id()]);
            assert!(refused.to_string().contains("has it for itself"), "{refused}");
            assert!(refused.hint().contains(&format!("ps -fp {}", std::process::id())));
        }
        drop(claim);
        drop(disk.claim().unwrap());
    }

    #[test]
    fn a_claim_and_a_header_lock_do_not_meet() {
        let dir = tempfile::tempdir().unwrap();
        let disk = FileDisk::create(dir.path().join("disk.img"), Bytes(4096)).unwrap();
        let claim = disk.claim().unwrap();
        let lock = HeaderLock::acquire(&disk, LockMode::Exclusive, Duration::ZERO).unwrap();
        drop(claim);
        drop(disk.claim().unwrap());
        assert!(HeaderLock::acquire(&disk, LockMode::Shared, Duration::ZERO).is_err(), "the lock is still held");
        drop(lock);
    }

    #[test]
    fn a_file_that_was_replaced_is_not_claimed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk.img");
        let disk = FileDisk::create(&path, Bytes(4096)).unwrap();
        fs::rename(&path, dir.path().join("old.img")).unwrap();
        assert!(matches!(disk.claim(), Err(LockError::Failed { doing: "open", .. })));
        fs::write(&path, b"another").unwrap();
        assert!(matches!(disk.claim(), Err(LockError::Replaced { .. })));
    }
}
