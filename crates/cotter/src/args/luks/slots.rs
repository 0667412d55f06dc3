//! `cotter luks add`, `kill` and `passwd`: the keyslots of people

use super::device::{Ceilings, Device};
use super::kdf::KdfArgs;
use super::key::{KeySource, NewKey, Opener, RemainingKey};
use crate::args::{Format, Patience};
use clap::{Args, ValueEnum};

/// When a keyslot is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PriorityName {
    /// First
    Prefer,
    /// After the preferred ones
    Normal,
    /// Only when it is named
    Ignore,
}

// `cotter luks add`
#[derive(Debug, Args)]
pub struct AddArgs {
    #[command(flatten)]
    pub device: Device,
    #[command(flatten)]
    pub opener: Opener,
    #[command(flatten)]
    pub new: NewKey,
    /// Use this keyslot [default: the lowest free one]
    #[arg(short = 's', long, visible_alias = "key-slot", short_alias = 'S', value_name = "SLOT")]
    pub slot: Option<u32>,
    /// When it is tried
    #[arg(long, value_enum)]
    pub priority: Option<PriorityName>,
    /// Hash of the anti-forensic split and of PBKDF2 [default: that of the first keyslot]
    #[arg(long)]
    pub hash: Option<String>,
    #[command(flatten)]
    pub kdf: KdfArgs,
    #[command(flatten)]
    pub ceilings: Ceilings,
    #[command(flatten)]
    pub patience: Patience,
    /// Say what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub format: Format,
}

// `cotter luks kill`
#[derive(Debug, Args)]
pub struct KillArgs {
    #[command(flatten)]
    pub device: Device,
    /// The keyslot
    #[arg(short = 's', long, visible_alias = "key-slot", short_alias = 'S', value_name = "SLOT")]
    pub slot: u32,
    #[command(flatten)]
    pub remaining: RemainingKey,
    /// Do so although it is the last keyslot that a person can open
    #[arg(long)]
    pub last_passphrase: bool,
    /// Ask nothing
    #[arg(short = 'q', long, visible_alias = "force", alias = "batch-mode", short_alias = 'f')]
    pub quiet: bool,
    #[command(flatten)]
    pub ceilings: Ceilings,
    /// Say what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub format: Format,
}

// `cotter luks passwd`
#[derive(Debug, Args)]
pub struct PasswdArgs {
    #[command(flatten)]
    pub device: Device,
    #[command(flatten)]
    pub key: KeySource,
    #[command(flatten)]
    pub new: NewKey,
    /// Change this keyslot [default: the one that the old passphrase opens]
    #[arg(short = 's', long, visible_alias = "key-slot", short_alias = 'S', value_name = "SLOT")]
    pub slot: Option<u32>,
    /// With no room for a second copy of the keyslot (LUKS1 with all eight in use, LUKS2 with a full keyslots area), write over the
    /// only one; if the power fails meanwhile, that keyslot is lost
    #[arg(long)]
    pub in_place: bool,
    /// Hash of the anti-forensic split and of PBKDF2 [default: that of the first keyslot]
    #[arg(long)]
    pub hash: Option<String>,
    #[command(flatten)]
    pub kdf: KdfArgs,
    #[command(flatten)]
    pub ceilings: Ceilings,
    /// Say what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub format: Format,
}
