//! `cotter luks …`

mod binding;
mod config;
mod device;
mod dump;
mod fingerprint;
mod format;
mod kdf;
mod key;
mod lock;
mod meta;
mod slots;
mod token;
mod unlock;
mod whole;

pub use binding::{BindArgs, ListArgs, PassArgs, UnbindArgs};
pub use config::{ConfigArgs, FlagName};
pub use device::{Ceilings, Device};
pub use dump::DumpArgs;
pub use fingerprint::FingerprintArgs;
pub use format::{FormatArgs, LuksType};
pub use kdf::{KdfArgs, Pbkdf};
pub use key::{KeyInstead, KeySource, NewKey, Opener};
pub use lock::LockArgs;
pub use meta::{MetaAction, MetaArgs};
pub use slots::{AddArgs, KillArgs, PasswdArgs, PriorityName};
pub use token::{TokenChoice, TokenCommand, TokenExportArgs, TokenImportArgs, TokenRemoveArgs};
pub use unlock::UnlockArgs;
pub use whole::{BackupArgs, EraseArgs, RepairArgs, RestoreArgs};

use super::PINS;
use clap::Subcommand;

/// `cotter luks …`
#[derive(Debug, Subcommand)]
pub enum LuksCommand {
    /// Make a new LUKS2 volume
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
    /// LUKSMeta of a LUKS1 volume by hand, with the options and exit codes of luksmeta
    #[command(after_long_help = meta::META_EXIT)]
    Meta(MetaArgs),
    /// Bind a keyslot to a policy, so that the volume opens where the policy is met
    #[command(after_long_help = PINS)]
    Bind(BindArgs),
    /// Print which keyslots are bound, and to what
    List(ListArgs),
    /// Print the passphrase of a bound keyslot, without newline
    Pass(PassArgs),
    /// Remove a binding and its keyslot
    Unbind(UnbindArgs),
    /// Open the volume by its bindings, or by a passphrase, and map it in the kernel
    Unlock(UnlockArgs),
    /// Close a mapping, once nobody uses it
    Lock(LockArgs),
}
