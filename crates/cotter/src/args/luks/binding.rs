//! `cotter luks bind`, `unbind`, `list` and `pass`

use super::device::{Ceilings, Device};
use super::key::KeySource;
use crate::args::{Format, Patience, Policy};
use clap::Args;

/// `cotter luks bind`
#[derive(Debug, Args)]
pub struct BindArgs {
    #[command(flatten)]
    pub device: Device,
    #[command(flatten)]
    pub key: KeySource,
    /// Use this keyslot [default: the lowest free one]
    #[arg(short = 's', long, value_name = "SLOT", value_parser = clap::value_parser!(u32).range(0..32))]
    pub slot: Option<u32>,
    /// Use this token id [default: the lowest free one]
    #[arg(short = 't', long, value_name = "TOKEN", value_parser = clap::value_parser!(u32).range(0..32))]
    pub token: Option<u32>,
    /// Ask nothing about the disk
    #[arg(short = 'f', long)]
    pub force: bool,
    /// Refuse to bind if the policy cannot be met right now
    #[arg(long)]
    pub require_proof: bool,
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

/// `cotter luks unbind`
#[derive(Debug, Args)]
pub struct UnbindArgs {
    #[command(flatten)]
    pub device: Device,
    /// The keyslot
    #[arg(short = 's', long, value_name = "SLOT")]
    pub slot: u32,
    /// Do not ask
    #[arg(short = 'f', long)]
    pub force: bool,
    /// Say what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub format: Format,
    #[command(flatten)]
    pub ceilings: Ceilings,
}

/// `cotter luks list`
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    pub device: Device,
    /// This keyslot only
    #[arg(short = 's', long, value_name = "SLOT")]
    pub slot: Option<u32>,
    #[command(flatten)]
    pub format: Format,
}

/// `cotter luks pass`
#[derive(Debug, Args)]
pub struct PassArgs {
    #[command(flatten)]
    pub device: Device,
    /// The keyslot
    #[arg(short = 's', long, value_name = "SLOT")]
    pub slot: u32,
    #[command(flatten)]
    pub patience: Patience,
    #[command(flatten)]
    pub ceilings: Ceilings,
}
