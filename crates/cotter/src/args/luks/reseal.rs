//! `cotter luks reseal`

use super::device::{Ceilings, Device};
use super::key::KeyInstead;
use crate::args::{Format, Patience, UpdateArgs};
use clap::Args;
use std::path::PathBuf;

// `cotter luks reseal`
#[derive(Debug, Args)]
pub struct ResealArgs {
    #[command(flatten)]
    pub device: Option<Device>,
    /// This keyslot [default: every one that is bound to PCRs]
    #[arg(short = 's', long, visible_alias = "key-slot", short_alias = 'S', value_name = "SLOT")]
    pub slot: Option<u32>,
    #[command(flatten)]
    pub key: KeyInstead,
    #[command(flatten)]
    pub update: UpdateArgs,
    /// Sign the new values with this key (`cotter tpm keygen`), for bindings that have its public half in `signed`; nothing is unsealed
    #[arg(long, value_name = "FILE")]
    pub sign: Option<PathBuf>,
    /// Accept the old values no longer: after the update was started once
    #[arg(long)]
    pub drop_old: bool,
    /// Count the TPM's counter of signed bindings one further, so that approvals that somebody has copied open nothing;
    /// those that are here stay good, unless --drop-old is given
    #[arg(long, requires = "sign")]
    pub revoke: bool,
    /// For every volume of /etc/crypttab, as a package manager calls it: with the kernel of this version and all boot files that are others than
    /// those that were started. It asks nothing, and never fails
    #[arg(long, value_name = "VERSION", num_args = 0..=1, group = "unattended", conflicts_with_all = ["path", "slot", "key_file"])]
    pub hook: Option<Option<String>>,
    /// Once after each start, for --hook: compare the boot files on the disk with what was measured, and note in /run/cotter/boot-files that
    /// they are the same
    #[arg(long, group = "unattended", conflicts_with_all = ["path", "slot", "key_file", "sign"])]
    pub at_start: bool,
    /// With --hook or --at-start: the files of the system are below this directory
    #[arg(long, value_name = "DIR", requires = "unattended", default_value = "/")]
    pub root: PathBuf,
    /// With no room for a second copy of the keyslot, write over the only one; if the power fails meanwhile, that keyslot is lost
    #[arg(long)]
    pub in_place: bool,
    #[command(flatten)]
    pub patience: Patience,
    #[command(flatten)]
    pub ceilings: Ceilings,
    /// Approve what runs now without asking, although nobody has approved it until now
    #[arg(short = 'y', long, requires = "sign", conflicts_with = "unattended")]
    pub yes: bool,
    /// Say what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub format: Format,
}

pub const RESEAL: &str = "Before an update, give it --kernel FILE and --initramfs FILE; after the restart, --drop-old.

Bindings of the pin cotter-tpm2 with `signed` need the signing key alone (--sign). Those with values of their own are bound anew, by the TPM
while the old values hold or by a passphrase (-k), and accept at most eight sets of values. Bindings of the pin tpm2 accept one set: it is said
what will happen. What cannot be predicted is said, and nothing is written for it.

--hook signs in a start that --at-start has found to be that of the files on the disk, and kernels that the encrypted root vouches for. What it does
not do it says; its exit code is 0.";
