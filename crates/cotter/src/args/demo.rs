//! `cotter demo`.

use clap::Args;

// `cotter demo`
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Keep the directory with the image and the keys, and say where it is
    #[arg(long)]
    pub keep: bool,
}
