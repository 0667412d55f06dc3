//! `cotter luks format`

use super::device::Device;
use super::kdf::KdfArgs;
use super::key::KeySource;
use crate::args::Format;
use clap::{ArgAction, Args, ValueEnum};

/// Versions of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LuksType {
    Luks1,
    Luks2,
}

/// `cotter luks format`
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct FormatArgs {
    /// Print help. It has no short form here: `-h` is the hash, as with cryptsetup
    #[arg(long, action = ArgAction::Help)]
    pub help: Option<bool>,
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
    #[arg(short = 'h', long, default_value = "sha256")]
    pub hash: String,
    #[command(flatten)]
    pub kdf: KdfArgs,
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
