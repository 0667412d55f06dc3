//! What nearly every command takes: the volume, the keys, the ceilings.

use clap::Args;
use std::path::PathBuf;

/// The volume that a command works on.
#[derive(Clone, Debug, Args)]
pub struct Device {
    /// A block device or a plain file
    #[arg(short = 'd', long = "device", value_name = "DEV")]
    pub path: PathBuf,
    /// The header is in this file or on this device, apart from the data of DEV
    #[arg(long, value_name = "FILE")]
    pub detached_header: Option<PathBuf>,
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

/// Where a person's passphrase comes from.
#[derive(Clone, Debug, Args)]
pub struct KeySource {
    /// Read the passphrase from a file, all of it; `-` reads the first line of standard input. Without this it is asked for on
    /// a terminal, and read from standard input elsewhere
    #[arg(short = 'k', long = "key-file", value_name = "FILE|-")]
    pub key_file: Option<PathBuf>,
}

/// A person's passphrase in place of the bindings.
#[derive(Clone, Debug, Args)]
pub struct KeyInstead {
    /// Open with this passphrase instead of by the bindings: all of a file, or with `-` the first line of standard input, asked
    /// for on a terminal
    #[arg(short = 'k', long = "key-file", value_name = "FILE|-")]
    pub key_file: Option<PathBuf>,
}

impl KeyInstead {
    /// The source of the passphrase, if there is to be one.
    pub fn source(&self) -> Option<KeySource> {
        self.key_file.clone().map(|file| KeySource { key_file: Some(file) })
    }
}
