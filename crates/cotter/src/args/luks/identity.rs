//! `cotter luks identity`, and what a volume has to be.

use super::device::{Ceilings, Device};
use super::key::KeyInstead;
use crate::args::Patience;
use clap::Args;
use std::path::PathBuf;

/// The exit codes of what opens a volume, for `--help`.
pub const EXPECT_EXIT: &str = "Exit codes:
  0  it is done
  1  it is not
  2  the words of the command make no sense together
  3  the volume is not the one that it should be, see --expect: do not use it";

// What the volume has to be.
#[derive(Clone, Debug, Default, Args)]
pub struct Expect {
    /// Refuse a volume that has the UUID of one in this list and another key, and a disk that is none: somebody else's disk in the place
    /// of yours [default: /etc/cotter/volumes.json, if it is there]
    #[arg(long, value_name = "FILE")]
    pub expect: Option<PathBuf>,
    /// Refuse a volume that is not in the list, too, before anybody is asked for anything
    #[arg(long)]
    pub only_expected: bool,
}

// `cotter luks identity`
#[derive(Debug, Args)]
pub struct IdentityArgs {
    #[command(flatten)]
    pub device: Device,
    #[command(flatten)]
    pub key: KeyInstead,
    /// Add it to the list of expected volumes in this file, which is made if it is not there
    #[arg(long, value_name = "FILE")]
    pub add: Option<PathBuf>,
    /// With --add: in the place of another key that is expected of this UUID
    #[arg(long, requires = "add")]
    pub replace: bool,
    /// What people call the volume
    #[arg(long)]
    pub name: Option<String>,
    #[command(flatten)]
    pub patience: Patience,
    #[command(flatten)]
    pub ceilings: Ceilings,
}
