//! How many files a process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;

/// Raises the soft limit to the hard one and returns it; `None` is no limit.
///
/// The soft limit is 1024 for the sake of programs that use select(2), which this one does not; systemd's hard limit is
/// 524,288.
///
/// # Errors
/// What the kernel says; it has no reason to refuse.
pub fn allow_many_open_files() -> io::Result<Option<u64>> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    Ok(maximum)
}
