//! Keeping what is in memory there.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use std::io;

/// No core dump, and no other process of the same user may read this one's memory (core(5), `PR_SET_DUMPABLE` in prctl(2)).
/// To be called before anything secret is in memory.
///
/// # Errors
/// What the kernel says; it has no reason to refuse.
pub fn forbid_dumps() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}
