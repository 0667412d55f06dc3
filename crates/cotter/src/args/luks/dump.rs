//! `cotter luks dump`

use super::device::Device;
use crate::args::Format;
use clap::Args;

// `cotter luks dump`
#[derive(Debug, Args)]
pub struct DumpArgs {
    #[command(flatten)]
    pub device: Device,
    #[command(flatten)]
    pub format: Format,
}
