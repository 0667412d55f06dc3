//! `cotter luks …`

mod binding;
mod config;
mod device;
mod dump;
mod fingerprint;
mod format;
mod identity;
mod kdf;
mod key;
mod list;
mod lock;
mod meta;
mod rebind;
mod reseal;
mod seal;
mod slots;
mod token;
mod unlock;
mod whole;

pub use binding::{BindArgs, BindingChoice, UnbindArgs};
pub use config::{ConfigArgs, FlagName};
pub use device::{Ceilings, Device, Quoted};
pub use dump::DumpArgs;
pub use fingerprint::FingerprintArgs;
pub use format::{FormatArgs, LuksType};
pub use identity::{Expect, IdentityArgs};
pub use kdf::{KdfArgs, Pbkdf};
pub use key::{KeyFilePart, KeyInstead, KeySource, NewKey, Opener};
pub use list::{ListArgs, PassArgs};
pub use lock::LockArgs;
pub use meta::{MetaAction, MetaArgs};
pub use rebind::{EditArgs, Rebinding, RegenArgs, ReportArgs};
pub use reseal::ResealArgs;
pub use seal::SealArgs;
pub use slots::{AddArgs, KillArgs, PasswdArgs, PriorityName};
pub use token::{TokenChoice, TokenCommand, TokenExportArgs, TokenImportArgs, TokenRemoveArgs};
pub use unlock::UnlockArgs;
pub use whole::{BackupArgs, EraseArgs, RepairArgs, RestoreArgs};

use super::PINS;
use clap::Subcommand;

/// `cotter luks …`
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum LuksCommand {
    /// Make a new LUKS volume
    Format(FormatArgs),
    /// Print what the header says
    Dump(DumpArgs),
    /// Add a passphrase
    Add(AddArgs),
    /// Change a passphrase
    Passwd(PasswdArgs),
    /// Remove a keyslot and overwrite its key material
    Kill(KillArgs),
    /// Set label, priorities and flags of a LUKS2 header
    Config(ConfigArgs),
    /// Export, import and remove tokens
    #[command(subcommand)]
    Token(TokenCommand),
    /// Write header and key material into a file
    Backup(BackupArgs),
    /// Put a backup of header and key material back
    Restore(RestoreArgs),
    /// Mend a header of which one copy is good, and wipe what interrupted changes have left
    Repair(RepairArgs),
    /// Destroy all keyslots, and print a certificate of it
    Erase(EraseArgs),
    /// Print fingerprints that tell clones: volumes that share their key
    Fingerprint(FingerprintArgs),
    /// Print what is to be expected of a volume, or put it into a list: where --expect names the list, no other disk passes for it
    Identity(IdentityArgs),
    /// LUKSMeta of a LUKS1 volume by hand, with the options and exit codes of luksmeta
    #[command(after_long_help = meta::META_EXIT)]
    Meta(MetaArgs),
    /// Bind a keyslot to a policy, so that the volume opens where the policy is met
    #[command(after_long_help = PINS)]
    Bind(BindArgs),
    /// Print which keyslots are bound, and to what
    #[command(after_long_help = list::LIST_EXIT)]
    List(ListArgs),
    /// Print the passphrase of a bound keyslot, without newline
    #[command(after_long_help = identity::EXPECT_EXIT)]
    Pass(PassArgs),
    /// Remove a binding and its keyslot
    Unbind(UnbindArgs),
    /// Make a binding anew: the same policy, the servers' keys of today, a new passphrase
    Regen(RegenArgs),
    /// Give a binding another configuration
    #[command(after_long_help = PINS)]
    Edit(EditArgs),
    /// Print which keys of a binding its servers no longer advertise: exit code 1 if there are any
    Report(ReportArgs),
    /// Let bindings open for what the PCRs will hold after an update, and for the old values no longer
    #[command(after_long_help = reseal::RESEAL)]
    Reseal(Box<ResealArgs>),
    /// Seal the header, so that changes by whoever has no key to the volume show
    Seal(SealArgs),
    /// Open the volume by its bindings, or by a passphrase, and map it in the kernel
    #[command(after_long_help = identity::EXPECT_EXIT)]
    Unlock(UnlockArgs),
    /// Close a mapping, once nobody uses it
    Lock(LockArgs),
}
