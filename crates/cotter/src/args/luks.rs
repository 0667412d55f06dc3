//! `cotter luks …`

#[cfg(feature = "full")]
mod binding;
mod choice;
#[cfg(feature = "full")]
mod config;
mod device;
#[cfg(feature = "full")]
mod dump;
#[cfg(feature = "full")]
mod fingerprint;
#[cfg(feature = "full")]
mod format;
mod identity;
#[cfg(feature = "full")]
mod kdf;
mod key;
mod list;
mod lock;
#[cfg(feature = "full")]
mod meta;
#[cfg(feature = "full")]
mod rebind;
#[cfg(feature = "full")]
mod reseal;
#[cfg(feature = "full")]
mod seal;
#[cfg(feature = "full")]
mod slots;
#[cfg(feature = "full")]
mod token;
mod unlock;
#[cfg(feature = "full")]
mod whole;

#[cfg(feature = "full")]
pub use binding::{BindArgs, UnbindArgs};
pub use choice::BindingChoice;
#[cfg(feature = "full")]
pub use config::{ConfigArgs, FlagName};
pub use device::{Ceilings, Device, Quoted};
#[cfg(feature = "full")]
pub use dump::DumpArgs;
#[cfg(feature = "full")]
pub use fingerprint::FingerprintArgs;
#[cfg(feature = "full")]
pub use format::{FormatArgs, LuksType};
pub use identity::Expect;
#[cfg(feature = "full")]
pub use identity::IdentityArgs;
#[cfg(feature = "full")]
pub use kdf::{KdfArgs, Pbkdf};
#[cfg(feature = "full")]
pub use key::NewKey;
pub use key::{KeyFilePart, KeyInstead, KeySource, Opener};
pub use list::{ListArgs, PassArgs};
pub use lock::LockArgs;
#[cfg(feature = "full")]
pub use meta::{MetaAction, MetaArgs};
#[cfg(feature = "full")]
pub use rebind::{EditArgs, Rebinding, RegenArgs, ReportArgs};
#[cfg(feature = "full")]
pub use reseal::ResealArgs;
#[cfg(feature = "full")]
pub use seal::SealArgs;
#[cfg(feature = "full")]
pub use slots::{AddArgs, KillArgs, PasswdArgs, PriorityName};
#[cfg(feature = "full")]
pub use token::{TokenChoice, TokenCommand, TokenExportArgs, TokenImportArgs, TokenRemoveArgs};
pub use unlock::{Requests, UnlockArgs};
#[cfg(feature = "full")]
pub use whole::{BackupArgs, EraseArgs, RepairArgs, RestoreArgs};

#[cfg(feature = "full")]
use super::pins::PINS;
use clap::Subcommand;

/// `cotter luks …`
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum LuksCommand {
    #[cfg(feature = "full")]
    /// Make a new LUKS volume
    Format(FormatArgs),
    #[cfg(feature = "full")]
    /// Print what the header says
    Dump(DumpArgs),
    #[cfg(feature = "full")]
    /// Add a passphrase
    Add(AddArgs),
    #[cfg(feature = "full")]
    /// Change a passphrase
    Passwd(PasswdArgs),
    #[cfg(feature = "full")]
    /// Remove a keyslot and overwrite its key material
    Kill(KillArgs),
    #[cfg(feature = "full")]
    /// Set label, priorities and flags of a LUKS2 header
    Config(ConfigArgs),
    #[cfg(feature = "full")]
    /// Export, import and remove tokens
    #[command(subcommand)]
    Token(TokenCommand),
    #[cfg(feature = "full")]
    /// Write header and key material into a file
    Backup(BackupArgs),
    #[cfg(feature = "full")]
    /// Put a backup of header and key material back
    Restore(RestoreArgs),
    #[cfg(feature = "full")]
    /// Mend a header of which one copy is good, and wipe what interrupted changes have left
    Repair(RepairArgs),
    #[cfg(feature = "full")]
    /// Destroy all keyslots, and print a certificate of it
    Erase(EraseArgs),
    #[cfg(feature = "full")]
    /// Print fingerprints that tell clones: volumes that share their key
    Fingerprint(FingerprintArgs),
    #[cfg(feature = "full")]
    /// Print what is to be expected of a volume, or put it into a list: where --expect names the list, no other disk passes for it
    Identity(IdentityArgs),
    #[cfg(feature = "full")]
    /// LUKSMeta of a LUKS1 volume by hand, with the options and exit codes of luksmeta
    #[command(after_long_help = meta::META_EXIT)]
    Meta(MetaArgs),
    #[cfg(feature = "full")]
    /// Bind a keyslot to a policy, so that the volume opens where the policy is met
    #[command(after_long_help = PINS)]
    Bind(BindArgs),
    #[cfg(feature = "full")]
    /// Print which keyslots are bound, and to what
    #[command(after_long_help = list::LIST_EXIT)]
    List(ListArgs),
    /// Print the passphrase of a bound keyslot, without newline
    #[command(after_long_help = identity::EXPECT_EXIT)]
    Pass(PassArgs),
    #[cfg(feature = "full")]
    /// Remove a binding and its keyslot
    Unbind(UnbindArgs),
    #[cfg(feature = "full")]
    /// Make a binding anew: the same policy, the servers' keys of today, a new passphrase
    Regen(RegenArgs),
    #[cfg(feature = "full")]
    /// Give a binding another configuration
    #[command(after_long_help = PINS)]
    Edit(EditArgs),
    #[cfg(feature = "full")]
    /// Print which keys of a binding its servers no longer advertise: exit code 1 if there are any
    Report(ReportArgs),
    #[cfg(feature = "full")]
    /// Let bindings open for what the PCRs will hold after an update, and for the old values no longer
    #[command(after_long_help = reseal::RESEAL)]
    Reseal(Box<ResealArgs>),
    #[cfg(feature = "full")]
    /// Seal the header, so that changes by whoever has no key to the volume show
    Seal(SealArgs),
    /// Open the volume by its bindings, or by a passphrase, and map it in the kernel
    #[command(after_long_help = identity::EXPECT_EXIT)]
    Unlock(UnlockArgs),
    /// Close a mapping, once nobody uses it
    Lock(LockArgs),
}
