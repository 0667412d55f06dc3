//! `cotter image …`

use super::luks::{Ceilings, Expect, KeyInstead};
use super::{Format, Patience};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `cotter image …`
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum ImageCommand {
    /// Print the partitions of an image and which of them are encrypted
    Info(InfoArgs),
    /// Write the decrypted content to standard output
    Cat(CatArgs),
    /// Serve the decrypted content over NBD on a UNIX socket
    Serve(ExportArgs),
}

// Which volume of an image, and how it is opened.
#[derive(Clone, Debug, Args)]
pub struct Volume {
    /// A disk image or a block device
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Number of the partition, from 1 [default: the only encrypted one]
    #[arg(long, value_name = "N")]
    pub partition: Option<u32>,
    /// The header is in this file or on this device, apart from the data
    #[arg(long, visible_alias = "header", value_name = "HEADER")]
    pub detached_header: Option<PathBuf>,
    #[command(flatten)]
    pub key: KeyInstead,
    #[command(flatten)]
    pub expect: Expect,
    #[command(flatten)]
    pub ceilings: Ceilings,
    #[command(flatten)]
    pub patience: Patience,
}

// `cotter image info`
#[derive(Debug, Args)]
pub struct InfoArgs {
    /// A disk image or a block device
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    #[command(flatten)]
    pub format: Format,
}

// `cotter image cat`
#[derive(Debug, Args)]
pub struct CatArgs {
    #[command(flatten)]
    pub volume: Volume,
}

// `cotter image serve`
#[derive(Debug, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    pub volume: Volume,
    /// The socket; it is made with mode 0600 and removed at the end
    #[arg(long, value_name = "PATH")]
    pub socket: PathBuf,
    /// Let clients write
    #[arg(long)]
    pub read_write: bool,
}
