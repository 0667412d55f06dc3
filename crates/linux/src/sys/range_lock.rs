//! Locks on byte ranges that belong to an open file description (`F_OFD_SETLK` in fcntl(2)): they end when it is closed, like
//! those of flock(2), and the two kinds do not meet.

use rustix::io::Errno;
use std::ffi::c_short;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Locks every byte that `file` has or will have against all others. False if somebody else has locked any of them.
///
/// # Errors
/// What the kernel says: `file` is not open for writing, or its file system knows no locks.
pub(crate) fn lock_all_bytes(file: &File) -> io::Result<bool> {
    // SAFETY: all zero bytes are a valid flock: from the first byte to the last there will ever be, and no process, as the
    // call demands.
    let mut range: libc::flock = unsafe { std::mem::zeroed() };
    #[allow(clippy::cast_possible_truncation, reason = "the kernel's constant is 1, and the field is that small")]
    {
        range.l_type = libc::F_WRLCK as c_short;
    }
    // SAFETY: the descriptor is open, and the kernel only reads `range`, which outlives the call.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &range) } == 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    match Errno::from_io_error(&error) {
        Some(Errno::AGAIN | Errno::ACCESS) => Ok(false),
        _ => Err(error),
    }
}
