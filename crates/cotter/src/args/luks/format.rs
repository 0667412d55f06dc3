//! `cotter luks format`

use super::device::{Device, KeySource};
use crate::args::Format;
use clap::{Args, ValueEnum};

/// Versions of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LuksType {
    Luks1,
    Luks2,
}

/// Key derivations of a person's passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Pbkdf {
    Argon2id,
    Argon2i,
    Pbkdf2,
}

/// `cotter luks format`
#[derive(Debug, Args)]
pub struct FormatArgs {
    #[command(flatten)]
    pub device: Device,
    #[command(flatten)]
    pub key: KeySource,
    /// Version of the format
    #[arg(long = "type", value_enum, default_value_t = LuksType::Luks2)]
    pub luks_type: LuksType,
    /// Cipher of the sectors
    #[arg(short = 'c', long, default_value = "aes-xts-plain64")]
    pub cipher: String,
    /// Bits of the volume key, both halves of an XTS key together [default: the cipher's largest]
    #[arg(short = 's', long, value_name = "BITS")]
    pub key_size: Option<u32>,
    /// Bytes of a sector: 512, 1024, 2048 or 4096 [default: 4096 where the volume's length allows it]
    #[arg(long, value_name = "BYTES")]
    pub sector_size: Option<u32>,
    /// Hash of the anti-forensic split and of PBKDF2
    #[arg(long, default_value = "sha256")]
    pub hash: String,
    /// How long the key derivation may take, in milliseconds
    #[arg(short = 'i', long, value_name = "MS", default_value_t = 2000)]
    pub iter_time: u32,
    /// Key derivation of the passphrase
    #[arg(long, value_enum, default_value_t = Pbkdf::Argon2id)]
    pub pbkdf: Pbkdf,
    /// Memory of the key derivation in KiB [default: half of the machine's, at most 1 GiB]
    #[arg(long, value_name = "KIB")]
    pub pbkdf_memory: Option<u32>,
    /// Threads of the key derivation [default: the machine's, at most 4]
    #[arg(long, value_name = "N")]
    pub pbkdf_parallel: Option<u32>,
    /// Iterations of the key derivation, instead of measuring them
    #[arg(long, value_name = "N")]
    pub pbkdf_force_iterations: Option<u32>,
    /// Label of the volume
    #[arg(long, default_value = "")]
    pub label: String,
    /// UUID of the volume, instead of a random one
    #[arg(long)]
    pub uuid: Option<String>,
    /// Overwrite what is known to be there: a file system, a partition table, another LUKS
    #[arg(long)]
    pub force: bool,
    /// Ask nothing. Only a person at a terminal is asked; a script has said what it wants
    #[arg(short = 'q', long)]
    pub quiet: bool,
    /// Say what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub format: Format,
}
