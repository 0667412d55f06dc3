//! `cotter luks meta …`: the options of luksmeta.

use super::device::Device;
use crate::args::Format;
use clap::{Args, Subcommand};

/// `cotter luks meta …`
#[derive(Debug, Subcommand)]
pub enum MetaCommand {
    /// Say by the exit code whether there is LUKSMeta: 0 or 72
    Test(MetaTestArgs),
    /// Overwrite the whole gap between key material and data with zeros
    Nuke(MetaNukeArgs),
    /// Make an empty LUKSMeta; one that is there stays as it is
    Init(MetaInitArgs),
    /// Print what is stored for each keyslot
    Show(MetaShowArgs),
    /// Store standard input for a keyslot
    Save(MetaSaveArgs),
    /// Print what is stored for a keyslot
    Load(MetaLoadArgs),
    /// Remove what is stored for a keyslot, and overwrite it with zeros
    Wipe(MetaWipeArgs),
}

/// How something is changed.
#[derive(Clone, Copy, Debug, Args)]
pub struct Changing {
    /// Say what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub format: Format,
}

/// `cotter luks meta test`
#[derive(Debug, Args)]
pub struct MetaTestArgs {
    #[command(flatten)]
    pub device: Device,
}

/// `cotter luks meta nuke`
#[derive(Debug, Args)]
pub struct MetaNukeArgs {
    #[command(flatten)]
    pub device: Device,
    /// Ask nothing
    #[arg(short = 'f', long)]
    pub force: bool,
    #[command(flatten)]
    pub changing: Changing,
}

/// `cotter luks meta init`
#[derive(Debug, Args)]
pub struct MetaInitArgs {
    #[command(flatten)]
    pub device: Device,
    /// Ask nothing
    #[arg(short = 'f', long)]
    pub force: bool,
    /// Overwrite the gap with zeros first
    #[arg(short = 'n', long)]
    pub nuke: bool,
    #[command(flatten)]
    pub changing: Changing,
}

/// `cotter luks meta show`
#[derive(Debug, Args)]
pub struct MetaShowArgs {
    #[command(flatten)]
    pub device: Device,
    /// Only the UUID of this keyslot's data, if there is any
    #[arg(short = 's', long, value_name = "SLOT")]
    pub slot: Option<u32>,
    #[command(flatten)]
    pub format: Format,
}

/// `cotter luks meta save`
#[derive(Debug, Args)]
pub struct MetaSaveArgs {
    #[command(flatten)]
    pub device: Device,
    /// For this keyslot [default: the first that is neither in use nor has data; its number is printed]
    #[arg(short = 's', long, value_name = "SLOT")]
    pub slot: Option<u32>,
    /// What kind of data it is
    #[arg(short = 'u', long)]
    pub uuid: String,
    #[command(flatten)]
    pub changing: Changing,
}

/// `cotter luks meta load`
#[derive(Debug, Args)]
pub struct MetaLoadArgs {
    #[command(flatten)]
    pub device: Device,
    /// Of this keyslot
    #[arg(short = 's', long, value_name = "SLOT")]
    pub slot: u32,
    /// Only if it is of this kind
    #[arg(short = 'u', long)]
    pub uuid: Option<String>,
}

/// `cotter luks meta wipe`
#[derive(Debug, Args)]
pub struct MetaWipeArgs {
    #[command(flatten)]
    pub device: Device,
    /// Of this keyslot
    #[arg(short = 's', long, value_name = "SLOT")]
    pub slot: u32,
    /// Only if it is of this kind
    #[arg(short = 'u', long)]
    pub uuid: Option<String>,
    /// Ask nothing
    #[arg(short = 'f', long)]
    pub force: bool,
    #[command(flatten)]
    pub changing: Changing,
}
