//! Commands about a header as a whole: `cotter luks backup`, `restore`, `repair`, `erase`.

use super::device::Device;
use crate::args::Format;
use clap::Args;
use std::path::PathBuf;

// `cotter luks backup`
#[derive(Debug, Args)]
pub struct BackupArgs {
    #[command(flatten)]
    pub device: Device,
    /// The file to make; nothing that exists is overwritten
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Say what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub format: Format,
}

// `cotter luks restore`
#[derive(Debug, Args)]
pub struct RestoreArgs {
    #[command(flatten)]
    pub device: Device,
    /// A backup, by this program or by `cryptsetup luksHeaderBackup`
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Restore although the disk does not show that it is the same volume
    #[arg(long)]
    pub force: bool,
    /// Ask nothing. Only a person at a terminal is asked
    #[arg(short = 'q', long, alias = "batch-mode")]
    pub quiet: bool,
    /// Say what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub format: Format,
}

// `cotter luks repair`
#[derive(Debug, Args)]
pub struct RepairArgs {
    #[command(flatten)]
    pub device: Device,
    /// Overwrite every place for key material that no keyslot is in, not only what an interrupted change is known to have left; with
    /// LUKS1 also the data of Clevis for keyslots that are not in use, which an older backup of the header may need
    #[arg(long)]
    pub wipe_unused: bool,
    /// Bring the header back although something else is recognised on the disk, or its copies contradict each other: one is lost then
    #[arg(long)]
    pub force: bool,
    /// Say what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub format: Format,
}

// `cotter luks erase`
#[derive(Debug, Args)]
pub struct EraseArgs {
    #[command(flatten)]
    pub device: Device,
    /// Ask nothing. Only a person at a terminal is asked; a script has said what it wants
    #[arg(short = 'q', long, alias = "batch-mode")]
    pub quiet: bool,
    /// Say what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub format: Format,
}
