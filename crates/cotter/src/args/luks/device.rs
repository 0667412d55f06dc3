//! What nearly every command takes: the volume, and what it may cost to open it.

use clap::Args;
use std::path::PathBuf;

/// The volume that a command works on.
#[derive(Clone, Debug, Args)]
pub struct Device {
    /// A block device or a plain file
    #[arg(short = 'd', long = "device", value_name = "DEV")]
    pub path: PathBuf,
    /// The header is in this file or on this device, apart from the data of DEV
    #[arg(long, visible_alias = "header", value_name = "FILE")]
    pub detached_header: Option<PathBuf>,
}

/// The words that name it, for a command line that is told.
impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "-d {}", self.path.display())?;
        match &self.detached_header {
            Some(header) => write!(f, " --detached-header {}", header.display()),
            None => Ok(()),
        }
    }
}

/// The most that a keyslot may cost. A header is no more to be trusted than whoever can write to the disk.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct Ceilings {
    /// Refuse a header with a keyslot that wants more memory [default: 4 GiB; a keyslot that wants more than is free is not
    /// tried, unless this is given]
    #[arg(long, value_name = "KIB")]
    pub max_memory: Option<u32>,
    /// Refuse a header with more iterations of PBKDF2 [default: 200 million, some minutes of SHA-256]
    #[arg(long, value_name = "N")]
    pub max_iterations: Option<u32>,
}
