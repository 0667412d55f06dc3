//! Keys that the kernel keeps (keyrings(7), add_key(2), keyctl(2)).

use std::ffi::{CStr, c_int, c_long};
use std::io;

/// The keyring of the thread that calls, which the kernel makes when it is first used (`KEY_SPEC_THREAD_KEYRING`).
const THREAD_KEYRING: c_int = -1;
/// `KEYCTL_REVOKE` and `KEYCTL_UNLINK` of `linux/keyctl.h`.
const REVOKE: c_int = 3;
const UNLINK: c_int = 9;

/// Number of a key in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyNumber(c_int);

/// Puts a key of the type `logon`, which no process can read back, into this thread's keyring. One of the same description
/// there is given the new content.
///
/// # Errors
/// What the kernel says: `ENOSYS` without keyrings, `EDQUOT` with too many keys.
pub(crate) fn add_logon_key(description: &CStr, content: &[u8]) -> io::Result<KeyNumber> {
    // SAFETY: both texts end in zero, the content is as long as is said, and the kernel copies all three.
    let number = unsafe {
        libc::syscall(
            libc::SYS_add_key,
            c"logon".as_ptr(),
            description.as_ptr(),
            content.as_ptr(),
            content.len(),
            THREAD_KEYRING,
        )
    };
    let number = checked(number)?;
    c_int::try_from(number).map(KeyNumber).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// Makes the key useless for everybody and wipes its content, whoever else may refer to it.
///
/// # Errors
/// What the kernel says.
pub(crate) fn revoke_key(key: KeyNumber) -> io::Result<()> {
    // SAFETY: numbers only.
    checked(unsafe { libc::syscall(libc::SYS_keyctl, REVOKE, key.0) }).map(drop)
}

/// Takes the key out of this thread's keyring; without any other reference it is gone.
///
/// # Errors
/// What the kernel says: `ENOENT` in another thread than the one that added it.
pub(crate) fn unlink_key(key: KeyNumber) -> io::Result<()> {
    // SAFETY: numbers only.
    checked(unsafe { libc::syscall(libc::SYS_keyctl, UNLINK, key.0, THREAD_KEYRING) }).map(drop)
}

fn checked(result: c_long) -> io::Result<c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
