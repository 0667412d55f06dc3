//! `cotter luks bind` and `unbind`

use super::choice::BindingChoice;
use super::device::{Ceilings, Device};
use super::key::{Opener, RemainingKey};
use crate::args::{Format, Goals, Patience, Policy};
use clap::Args;

// `cotter luks bind`
#[derive(Debug, Args)]
pub struct BindArgs {
    #[command(flatten)]
    pub device: Device,
    #[command(flatten)]
    pub opener: Opener,
    /// Use this keyslot [default: the lowest free one]
    #[arg(short = 's', long, visible_alias = "key-slot", short_alias = 'S', value_name = "SLOT", value_parser = clap::value_parser!(u32).range(0..32))]
    pub slot: Option<u32>,
    /// Use this token id [default: the lowest free one]
    #[arg(short = 't', long, value_name = "TOKEN", value_parser = clap::value_parser!(u32).range(0..32))]
    pub token: Option<u32>,
    /// Remove the keyslot that opened the volume, once the binding has been proved: the preset passphrase of an image
    #[arg(long)]
    pub replace: bool,
    /// With --replace: also if it is the last keyslot that a person can open
    #[arg(long, requires = "replace")]
    pub last_passphrase: bool,
    /// Make a recovery key too, in a keyslot of its own, and print it: both are there afterwards, or neither
    #[arg(long)]
    pub recovery: bool,
    /// Ask nothing about the disk
    #[arg(short = 'f', long)]
    pub force: bool,
    /// Refuse to bind if the policy cannot be met right now
    #[arg(long)]
    pub require_proof: bool,
    #[command(flatten)]
    pub goals: Goals,
    /// Say what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub policy: Policy,
    #[command(flatten)]
    pub patience: Patience,
    #[command(flatten)]
    pub format: Format,
    #[command(flatten)]
    pub ceilings: Ceilings,
}

// `cotter luks unbind`
#[derive(Debug, Args)]
pub struct UnbindArgs {
    #[command(flatten)]
    pub device: Device,
    #[command(flatten)]
    pub which: BindingChoice,
    #[command(flatten)]
    pub remaining: RemainingKey,
    /// Do not ask
    #[arg(short = 'f', long)]
    pub force: bool,
    /// Do so although nothing else is known to open the volume: what is left may be keyslots of bindings that were lost
    #[arg(long)]
    pub last_binding: bool,
    /// Say what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub format: Format,
    #[command(flatten)]
    pub ceilings: Ceilings,
}
