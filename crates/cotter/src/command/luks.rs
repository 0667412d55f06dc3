//! `cotter luks`: volumes on block devices and in plain files.

mod add;
mod bind;
mod change;
mod config;
mod dump;
mod fingerprint;
mod format;
mod kdf;
mod kill;
pub mod list;
mod lock;
mod mapping;
mod meta;
mod passwd;
mod token;
mod unlock;

use crate::args::LuksCommand;
use crate::error::CommandError;

/// Carries out one of the commands.
pub fn run(which: LuksCommand) -> Result<(), CommandError> {
    match which {
        LuksCommand::Format(args) => format::run(&args),
        LuksCommand::Dump(args) => dump::run(&args),
        LuksCommand::Add(args) => add::run(&args),
        LuksCommand::Passwd(args) => passwd::run(&args),
        LuksCommand::Kill(args) => kill::run(&args),
        LuksCommand::Config(args) => config::run(&args),
        LuksCommand::Token(which) => token::run(which),
        LuksCommand::Fingerprint(args) => fingerprint::run(&args),
        LuksCommand::Meta(which) => meta::run(which),
        LuksCommand::Bind(args) => bind::bind(&args),
        LuksCommand::List(args) => list::run(&args),
        LuksCommand::Pass(args) => unlock::pass(&args),
        LuksCommand::Unbind(args) => bind::unbind(&args),
        LuksCommand::Unlock(args) => unlock::unlock(&args),
        LuksCommand::Lock(args) => lock::run(&args),
    }
}
