//! `cotter luks fingerprint`

use super::device::Ceilings;
use super::key::KeyInstead;
use crate::args::{Format, Patience};
use clap::Args;
use std::path::PathBuf;

// `cotter luks fingerprint`
#[derive(Debug, Args)]
pub struct FingerprintArgs {
    /// A block device or a plain file that begins with a header; may be given several times, to find clones among them
    #[arg(short = 'd', long = "device", value_name = "DEV", required = true)]
    pub devices: Vec<PathBuf>,
    /// The header is in this file or on this device, apart from the data; with one DEV only
    #[arg(long, visible_alias = "header", value_name = "FILE")]
    pub detached_header: Option<PathBuf>,
    /// Open each volume too, by its bindings or with -k, and print the fingerprint of its volume key
    #[arg(long)]
    pub open: bool,
    #[command(flatten)]
    pub key: KeyInstead,
    #[command(flatten)]
    pub ceilings: Ceilings,
    #[command(flatten)]
    pub patience: Patience,
    #[command(flatten)]
    pub format: Format,
}
