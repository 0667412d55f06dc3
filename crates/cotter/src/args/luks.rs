//! `cotter luks …`

use super::{Format, PINS, Patience, Policy};
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// `cotter luks …`
#[derive(Debug, Subcommand)]
pub enum LuksCommand {
    /// Make a new LUKS2 volume
    Format(FormatArgs),
    /// Print what the header says
    Dump(DumpArgs),
    /// Bind a keyslot to a policy, so that the volume opens where the policy is met
    #[command(after_long_help = PINS)]
    Bind(BindArgs),
    /// Print which keyslots are bound, and to what
    List(ListArgs),
    /// Print the passphrase of a bound keyslot, without newline
    Pass(PassArgs),
    /// Remove a binding and its keyslot
    Unbind(UnbindArgs),
    /// Open the volume by its bindings
    Unlock(UnlockArgs),
}

/// The volume that a command works on.
#[derive(Clone, Debug, Args)]
pub struct Device {
    /// A block device or a plain file
    #[arg(short = 'd', long = "device", value_name = "DEV")]
    pub path: PathBuf,
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

/// `cotter luks dump`
#[derive(Debug, Args)]
pub struct DumpArgs {
    #[command(flatten)]
    pub device: Device,
    #[command(flatten)]
    pub format: Format,
}

/// `cotter luks bind`
#[derive(Debug, Args)]
pub struct BindArgs {
    #[command(flatten)]
    pub device: Device,
    #[command(flatten)]
    pub key: KeySource,
    /// Use this keyslot [default: the lowest free one]
    #[arg(short = 's', long, value_name = "SLOT", value_parser = clap::value_parser!(u32).range(0..32))]
    pub slot: Option<u32>,
    /// Use this token id [default: the lowest free one]
    #[arg(short = 't', long, value_name = "TOKEN", value_parser = clap::value_parser!(u32).range(0..32))]
    pub token: Option<u32>,
    /// Ask nothing about the disk
    #[arg(short = 'f', long)]
    pub force: bool,
    /// Refuse to bind if the policy cannot be met right now
    #[arg(long)]
    pub require_proof: bool,
    /// Say what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub policy: Policy,
    #[command(flatten)]
    pub patience: Patience,
    #[command(flatten)]
    pub format: Format,
}

/// `cotter luks list`
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    pub device: Device,
    /// This keyslot only
    #[arg(short = 's', long, value_name = "SLOT")]
    pub slot: Option<u32>,
    #[command(flatten)]
    pub format: Format,
}

/// `cotter luks pass`
#[derive(Debug, Args)]
pub struct PassArgs {
    #[command(flatten)]
    pub device: Device,
    /// The keyslot
    #[arg(short = 's', long, value_name = "SLOT")]
    pub slot: u32,
    #[command(flatten)]
    pub patience: Patience,
}

/// `cotter luks unbind`
#[derive(Debug, Args)]
pub struct UnbindArgs {
    #[command(flatten)]
    pub device: Device,
    /// The keyslot
    #[arg(short = 's', long, value_name = "SLOT")]
    pub slot: u32,
    /// Do not ask
    #[arg(short = 'f', long)]
    pub force: bool,
    /// Say what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub format: Format,
}

/// `cotter luks unlock`
#[derive(Debug, Args)]
pub struct UnlockArgs {
    #[command(flatten)]
    pub device: Device,
    #[command(flatten)]
    pub key: KeyInstead,
    /// Print the passphrase that opened a keyslot, without newline. Mapping the volume in the kernel is not there yet, so this
    /// must be given
    #[arg(long)]
    pub print_key: bool,
    /// This keyslot only
    #[arg(short = 's', long, value_name = "SLOT")]
    pub slot: Option<u32>,
    #[command(flatten)]
    pub patience: Patience,
}
