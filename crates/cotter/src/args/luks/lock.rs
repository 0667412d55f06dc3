//! `cotter luks lock`

use crate::args::Format;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

// `cotter luks lock`
#[derive(Debug, Args)]
pub struct LockArgs {
    /// The mapping, by its name in /dev/mapper
    #[arg(required_unless_present = "device")]
    pub name: Option<String>,
    /// The mapping, by the block device or plain file that its data is on
    #[arg(short = 'd', long, value_name = "DEV", conflicts_with = "name")]
    pub device: Option<PathBuf>,
    /// If it is in use, let the kernel close it when its last user leaves
    #[arg(long)]
    pub deferred: bool,
    /// If it is in use, wait this many seconds for its users
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=86_400))]
    pub timeout: u32,
    /// Say what would be closed and who uses it, and close nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub format: Format,
}

impl LockArgs {
    /// How long to wait.
    pub fn limit(&self) -> Duration {
        Duration::from_secs(self.timeout.into())
    }
}
