//! `cotter luks`: volumes on block devices and in plain files.

mod add;
mod backup;
mod bind;
mod change;
mod config;
mod dump;
mod erase;
mod fingerprint;
mod format;
mod kdf;
mod kill;
pub mod list;
mod lock;
mod mapping;
mod meta;
mod passwd;
mod repair;
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
        LuksCommand::Meta(args) => meta::run(&args),
        LuksCommand::Token(which) => token::run(which),
        LuksCommand::Backup(args) => backup::backup(&args),
        LuksCommand::Restore(args) => backup::restore(&args),
        LuksCommand::Repair(args) => repair::run(&args),
        LuksCommand::Erase(args) => erase::run(&args),
        LuksCommand::Fingerprint(args) => fingerprint::run(&args),
        LuksCommand::Bind(args) => bind::bind(&args),
        LuksCommand::List(args) => list::run(&args),
        LuksCommand::Pass(args) => unlock::pass(&args),
        LuksCommand::Unbind(args) => bind::unbind(&args),
        LuksCommand::Unlock(args) => unlock::unlock(&args),
        LuksCommand::Lock(args) => lock::run(&args),
    }
}
