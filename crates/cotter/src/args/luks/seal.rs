//! `cotter luks seal`

use super::device::{Ceilings, Device};
use super::key::Opener;
use crate::args::{Format, Patience};
use clap::Args;

// `cotter luks seal`
#[derive(Debug, Args)]
pub struct SealArgs {
    #[command(flatten)]
    pub device: Device,
    #[command(flatten)]
    pub opener: Opener,
    /// Only say what the seal tells: exit code 0 if the header is as it was sealed, 1 if not, or if there is no seal
    #[arg(long)]
    pub check: bool,
    /// Say what would be written, and write nothing
    #[arg(long, conflicts_with = "check")]
    pub dry_run: bool,
    #[command(flatten)]
    pub patience: Patience,
    #[command(flatten)]
    pub ceilings: Ceilings,
    #[command(flatten)]
    pub format: Format,
}
