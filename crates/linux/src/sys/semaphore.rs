//! System V semaphores, one to a set: how udev tells that it has done its work (semget(2), semctl(2)).

use std::ffi::c_int;
use std::io;

/// Commands of semctl(2) that the C library's binding leaves out (`linux/sem.h`).
const GETVAL: c_int = 12;
const SETVAL: c_int = 16;

/// A semaphore of ours, removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Semaphore {
    number: c_int,
}

impl Semaphore {
    /// Makes a semaphore with this key and value that only its owner may use.
    ///
    /// # Errors
    /// What the kernel says: `AlreadyExists` if the key is taken, `ENOSYS` without semaphores, `ENOSPC` with too many.
    pub(crate) fn create(key: u32, value: u16) -> io::Result<Semaphore> {
        let flags = libc::IPC_CREAT | libc::IPC_EXCL | 0o600;
        // SAFETY: numbers only.
        let number = checked(unsafe { libc::semget(key.cast_signed(), 1, flags) })?;
        let semaphore = Semaphore { number };
        // SAFETY: numbers only; the kernel takes the fourth as an int for this command.
        checked(unsafe { libc::semctl(number, 0, SETVAL, c_int::from(value)) })?;
        Ok(semaphore)
    }

    /// Its value; `None` once somebody else has removed it.
    ///
    /// # Errors
    /// Whatever else the kernel says.
    pub(crate) fn value(&self) -> io::Result<Option<c_int>> {
        // SAFETY: numbers only.
        match checked(unsafe { libc::semctl(self.number, 0, GETVAL) }) {
            Ok(value) => Ok(Some(value)),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EIDRM | libc::EINVAL)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Drop for Semaphore {
    fn drop(&mut self) {
        // SAFETY: numbers only. One that is gone already makes it fail, which is as good.
        unsafe {
            libc::semctl(self.number, 0, libc::IPC_RMID);
        }
    }
}

fn checked(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
