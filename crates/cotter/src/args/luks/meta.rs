//! `cotter luks meta …`

use super::device::{Ceilings, Device};
use crate::args::Format;
use clap::{Args, ValueEnum};

/// What to do with LUKSMeta.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MetaAction {
    /// Say by the exit code alone whether there is LUKSMeta
    Test,
    /// Overwrite the whole gap with zeros
    Nuke,
    /// Make an empty LUKSMeta
    Init,
    /// Print what the slots have
    Show,
    /// Store standard input for a slot; without -s for the first that is free, whose number is printed
    Save,
    /// Print the data of a slot
    Load,
    /// Empty a slot
    Wipe,
}

/// The exit codes, for `--help`.
pub const META_EXIT: &str = "Exit codes, as those of luksmeta:
  0   done, or yes
  64  wrong usage, a slot that is none, the UUID of all zeros
  65  the slot has another UUID
  66  there is nothing on standard input
  69  the slot has data already (save), or none (load)
  71  something else
  72  no LUKSMeta, a damaged one, or not LUKS1
  73  no room
  74  the device or its header cannot be read
  77  the answer was no";

// `cotter luks meta`
#[derive(Debug, Args)]
pub struct MetaArgs {
    /// What to do
    #[arg(value_enum, value_name = "COMMAND")]
    pub action: MetaAction,
    #[command(flatten)]
    pub device: Device,
    /// The slot, from 0 to 7
    #[arg(short = 's', long, value_name = "SLOT")]
    pub slot: Option<u32>,
    /// What kind of data it is: must be so (load, wipe), will be so (save)
    #[arg(short = 'u', long)]
    pub uuid: Option<String>,
    /// Ask nothing
    #[arg(short = 'f', long)]
    pub force: bool,
    /// With init: first overwrite the whole gap with zeros
    #[arg(short = 'n', long)]
    pub nuke: bool,
    /// Do so although a keyslot stays whose passphrase nothing brings any more
    #[arg(long)]
    pub orphan: bool,
    #[command(flatten)]
    pub ceilings: Ceilings,
    /// Say what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub format: Format,
}
