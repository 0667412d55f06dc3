//! `cotter luks`: volumes on block devices and in plain files.

mod add;
mod backup;
mod bind;
mod change;
pub mod chosen;
mod config;
mod dump;
mod edit;
mod erase;
mod fingerprint;
mod format;
mod identity;
mod kdf;
mod kill;
pub mod list;
mod lock;
mod mapping;
mod meta;
mod pass;
mod passwd;
mod rebind;
mod regen;
mod repair;
mod report;
mod reseal;
mod seal;
mod token;
mod unbind;
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
        LuksCommand::Identity(args) => identity::run(&args),
        LuksCommand::Bind(args) => bind::run(&args),
        LuksCommand::List(args) => list::run(&args),
        LuksCommand::Pass(args) => pass::run(&args),
        LuksCommand::Unbind(args) => unbind::run(&args),
        LuksCommand::Regen(args) => regen::run(&args),
        LuksCommand::Edit(args) => edit::run(&args),
        LuksCommand::Report(args) => report::run(&args),
        LuksCommand::Reseal(args) => reseal::run(&args),
        LuksCommand::Seal(args) => seal::run(&args),
        LuksCommand::Unlock(args) => unlock::unlock(&args),
        LuksCommand::Lock(args) => lock::run(&args),
    }
}
