//! `cotter luks config`

use super::device::{Ceilings, Device};
use super::slots::PriorityName;
use crate::args::Format;
use clap::{ArgGroup, Args, ValueEnum};

/// A flag that a header keeps for the mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FlagName {
    /// What the file system frees is told to the disk, and so to whoever can see the disk
    AllowDiscards,
    /// A request is encrypted by the processor that made it
    SameCpuCrypt,
    /// What has been encrypted is written by the processor that did it
    SubmitFromCryptCpus,
    /// Decrypted without a queue between
    NoReadWorkqueue,
    /// Encrypted without a queue between
    NoWriteWorkqueue,
}

// `cotter luks config`
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("change").required(true).multiple(true).args(["label", "subsystem", "priority", "flag", "no_flag"]))]
pub struct ConfigArgs {
    #[command(flatten)]
    pub device: Device,
    /// The label of the volume; '' for none
    #[arg(long)]
    pub label: Option<String>,
    /// The subsystem label of the volume; '' for none
    #[arg(long)]
    pub subsystem: Option<String>,
    /// When the keyslot named with -s is tried
    #[arg(long, value_enum, requires = "slot")]
    pub priority: Option<PriorityName>,
    /// The keyslot of --priority
    #[arg(
        short = 's',
        long,
        visible_alias = "key-slot",
        short_alias = 'S',
        value_name = "SLOT",
        requires = "priority"
    )]
    pub slot: Option<u32>,
    /// Map the volume with this flag from now on, as `cryptsetup open --persistent` does; may be given several times
    #[arg(long, value_enum, value_name = "FLAG")]
    pub flag: Vec<FlagName>,
    /// Map it without this flag; may be given several times
    #[arg(long, value_enum, value_name = "FLAG")]
    pub no_flag: Vec<FlagName>,
    #[command(flatten)]
    pub ceilings: Ceilings,
    /// Say what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub format: Format,
}
