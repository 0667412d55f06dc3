//! A mount namespace for one thread (unshare(2)).

use rustix::thread::{UnshareFlags, unshare_unsafe};
use std::io;

/// Gives the thread that calls a mount namespace, a root and a working directory of its own. The programs that it starts have them too; no
/// other thread notices.
///
/// # Errors
/// Those of the system: `EPERM` without the right to mount.
pub(crate) fn own_mount_namespace() -> io::Result<()> {
    // SAFETY: the one flag that is dangerous, `FILES`, takes descriptors from other threads; it is not set, so all of them stay shared.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS | UnshareFlags::FS) }?;
    Ok(())
}
