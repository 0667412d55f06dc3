//! `cotter luks …`

mod binding;
mod device;
mod dump;
mod format;
mod lock;
mod unlock;

pub use binding::{BindArgs, ListArgs, PassArgs, UnbindArgs};
pub use device::{Ceilings, Device, KeyInstead, KeySource};
pub use dump::DumpArgs;
pub use format::{FormatArgs, LuksType, Pbkdf};
pub use lock::LockArgs;
pub use unlock::UnlockArgs;

use super::PINS;
use clap::Subcommand;

/// `cotter luks …`
#[derive(Debug, Subcommand)]
pub enum LuksCommand {
    /// Make a new LUKS2 volume
    Format(FormatArgs),
    /// Print what the header says
    Dump(DumpArgs),
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
