//! `cotter luks list` and `pass`

use super::choice::BindingChoice;
use super::device::{Ceilings, Device};
use super::identity::Expect;
use crate::args::{Format, Patience};
use clap::Args;

/// The exit codes of the question, for `--help`.
pub const LIST_EXIT: &str = "Exit codes of -s SLOT --expect PIN CFG:
  0  the keyslot is bound to this policy
  3  it is not bound
  4  it is bound to another policy
  5  what it is bound to cannot be read
Without --expect, and if the disk cannot be read: 0 and 1.";

// `cotter luks list`
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    pub device: Device,
    /// This keyslot only
    #[arg(short = 's', long, visible_alias = "key-slot", short_alias = 'S', value_name = "SLOT")]
    pub slot: Option<u32>,
    /// The keyslot that this token binds only (LUKS2)
    #[arg(short = 't', long, value_name = "TOKEN", conflicts_with = "slot")]
    #[arg(value_parser = clap::value_parser!(u32).range(0..32))]
    pub token: Option<u32>,
    /// Print the names of the pins that are used, also inside thresholds, each once
    #[arg(short = 'p', long)]
    pub pins: bool,
    /// Say by the exit code whether the keyslot is bound to this policy
    #[arg(long, num_args = 2, value_names = ["PIN", "CFG"], requires = "slot", conflicts_with = "pins")]
    pub expect: Vec<String>,
    /// Say of each binding what it protects from
    #[arg(short = 'v', long, conflicts_with_all = ["pins", "expect"])]
    pub verbose: bool,
    #[command(flatten)]
    pub format: Format,
}

// `cotter luks pass`
#[derive(Debug, Args)]
pub struct PassArgs {
    #[command(flatten)]
    pub device: Device,
    #[command(flatten)]
    pub which: BindingChoice,
    /// For a keyslot that systemd has enrolled with signed PCRs: the signatures, as `luks unlock` takes them
    #[arg(long, value_name = "FILE")]
    pub tpm2_signature: Option<String>,
    #[command(flatten)]
    pub expect: Expect,
    #[command(flatten)]
    pub patience: Patience,
    #[command(flatten)]
    pub ceilings: Ceilings,
}
