//! `cotter luks token …`

use super::device::{Ceilings, Device};
use crate::args::Format;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `cotter luks token …`
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum TokenCommand {
    /// Print a token as it stands in the header
    Export(TokenExportArgs),
    /// Put a token into the header
    Import(TokenImportArgs),
    /// Remove a token; the keyslots it serves stay
    Remove(TokenRemoveArgs),
}

// `cotter luks token export`
#[derive(Debug, Args)]
pub struct TokenExportArgs {
    #[command(flatten)]
    pub device: Device,
    #[command(flatten)]
    pub which: TokenChoice,
    /// Write it to this file instead of standard output; there must be nothing of that name
    #[arg(long, value_name = "FILE|-")]
    pub json_file: Option<PathBuf>,
    /// Say what would be written into the file, and write nothing
    #[arg(long, requires = "json_file")]
    pub dry_run: bool,
    #[command(flatten)]
    pub format: Format,
}

// Which token: by its number, or by the keyslot it serves.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
pub struct TokenChoice {
    /// The number of the token
    #[arg(short = 't', long = "token-id", visible_alias = "token", value_name = "TOKEN")]
    #[arg(value_parser = clap::value_parser!(u32).range(0..32))]
    pub token: Option<u32>,
    /// The token that serves this keyslot
    #[arg(short = 's', long, visible_alias = "key-slot", short_alias = 'S', value_name = "SLOT")]
    pub slot: Option<u32>,
}

// `cotter luks token import`
#[derive(Debug, Args)]
pub struct TokenImportArgs {
    #[command(flatten)]
    pub device: Device,
    /// Use this number [default: the lowest free one]
    #[arg(short = 't', long = "token-id", visible_alias = "token", value_name = "TOKEN")]
    #[arg(value_parser = clap::value_parser!(u32).range(0..32))]
    pub token: Option<u32>,
    /// Let it serve this keyslot too
    #[arg(short = 's', long, visible_alias = "key-slot", short_alias = 'S', value_name = "SLOT")]
    pub slot: Option<u32>,
    /// Read it from this file instead of standard input
    #[arg(long, value_name = "FILE|-")]
    pub json_file: Option<PathBuf>,
    /// Put it in the place of the token of this number
    #[arg(long, requires = "token")]
    pub token_replace: bool,
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

// `cotter luks token remove`
#[derive(Debug, Args)]
pub struct TokenRemoveArgs {
    #[command(flatten)]
    pub device: Device,
    #[command(flatten)]
    pub which: TokenChoice,
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
