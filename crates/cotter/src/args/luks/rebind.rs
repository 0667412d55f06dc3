//! `cotter luks regen`, `edit` and `report`: bindings made anew in their place

use super::choice::BindingChoice;
use super::device::{Ceilings, Device};
use super::key::KeyInstead;
use crate::args::{Format, Patience};
use clap::Args;

// What is common to making a binding anew.
#[derive(Debug, Args)]
pub struct Rebinding {
    #[command(flatten)]
    pub device: Device,
    #[command(flatten)]
    pub which: BindingChoice,
    #[command(flatten)]
    pub key: KeyInstead,
    /// With no room for a second copy of the keyslot (LUKS1 with all eight in use, LUKS2 with a full keyslots area), write over the
    /// only one; if the power fails meanwhile, that keyslot is lost
    #[arg(long)]
    pub in_place: bool,
    /// Trust the servers' keys without asking. Whether to go on is another question, which -q of `regen` and `report` and -c of
    /// `edit` leave out
    #[arg(short = 'y', long)]
    pub yes: bool,
    #[command(flatten)]
    pub patience: Patience,
    #[command(flatten)]
    pub ceilings: Ceilings,
    /// Say what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub format: Format,
}

// `cotter luks regen`
#[derive(Debug, Args)]
pub struct RegenArgs {
    #[command(flatten)]
    pub rebinding: Rebinding,
    /// Do not ask whether to go on
    #[arg(short = 'q', long, alias = "batch-mode")]
    pub quiet: bool,
    /// Ask whether to trust the servers' keys even where the old ones vouch for them: an old signing key may have been stolen. The
    /// TPM's parent key is believed then too: it may be another TPM
    #[arg(long, conflicts_with = "yes")]
    pub ask: bool,
}

// `cotter luks edit`
#[derive(Debug, Args)]
pub struct EditArgs {
    #[command(flatten)]
    pub rebinding: Rebinding,
    /// The new configuration, in JSON; without it $VISUAL, $EDITOR or vi is started on the old one
    #[arg(short = 'c', long, value_name = "CFG")]
    pub config: Option<String>,
    /// Another pin, for which the configuration is
    #[arg(long, value_name = "PIN", requires = "config")]
    pub pin: Option<String>,
    /// Also if nothing has changed
    #[arg(short = 'f', long)]
    pub force: bool,
}

// `cotter luks report`
#[derive(Debug, Args)]
pub struct ReportArgs {
    #[command(flatten)]
    pub rebinding: Rebinding,
    /// Make the binding anew if keys were rotated, as `cotter luks regen -q` does
    #[arg(short = 'r', long)]
    pub regen: bool,
    /// Do not ask whether to make it anew
    #[arg(short = 'q', long, alias = "batch-mode")]
    pub quiet: bool,
}
