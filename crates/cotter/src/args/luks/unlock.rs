//! `cotter luks unlock`

use super::device::{Ceilings, Device, KeyInstead};
use crate::args::Patience;
use clap::Args;

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
    #[command(flatten)]
    pub ceilings: Ceilings,
}
