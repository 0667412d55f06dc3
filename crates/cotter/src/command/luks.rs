//! `cotter luks`: volumes on block devices and in plain files.

mod bind;
mod dump;
mod format;
pub mod list;
mod lock;
mod mapping;
mod unlock;

use crate::args::LuksCommand;
use crate::error::CommandError;

/// Carries out one of the commands.
pub fn run(which: LuksCommand) -> Result<(), CommandError> {
    match which {
        LuksCommand::Format(args) => format::run(&args),
        LuksCommand::Dump(args) => dump::run(&args),
        LuksCommand::Bind(args) => bind::bind(&args),
        LuksCommand::List(args) => list::run(&args),
        LuksCommand::Pass(args) => unlock::pass(&args),
        LuksCommand::Unbind(args) => bind::unbind(&args),
        LuksCommand::Unlock(args) => unlock::unlock(&args),
        LuksCommand::Lock(args) => lock::run(&args),
    }
}
