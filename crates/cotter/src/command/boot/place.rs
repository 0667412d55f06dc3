//! Where things lie while a machine starts.

use std::path::{Path, PathBuf};

/// What `dropbear-initramfs` and its kin leave while somebody may be logged in.
pub const REMOTE_SHELLS: [&str; 2] = ["/run/dropbear.pid", "/run/tinysshd.pid"];

/// The number of the agent's process.
pub fn pid_file(directory: &Path) -> PathBuf {
    directory.join("agent.pid")
}
