//! `cotter luks`: volumes on block devices and in plain files.

#[cfg(feature = "full")]
mod add;
#[cfg(feature = "full")]
mod backup;
#[cfg(feature = "full")]
mod bind;
mod change;
pub mod chosen;
#[cfg(feature = "full")]
mod config;
#[cfg(feature = "full")]
mod dump;
#[cfg(feature = "full")]
mod edit;
#[cfg(feature = "full")]
mod erase;
#[cfg(feature = "full")]
mod fingerprint;
#[cfg(feature = "full")]
mod format;
#[cfg(feature = "full")]
mod identity;
#[cfg(feature = "full")]
mod kdf;
#[cfg(feature = "full")]
mod kill;
#[cfg(feature = "full")]
pub mod list;
mod lock;
mod mapping;
#[cfg(feature = "full")]
mod meta;
mod pass;
#[cfg(feature = "full")]
mod passwd;
#[cfg(feature = "full")]
mod rebind;
#[cfg(feature = "full")]
mod regen;
#[cfg(feature = "full")]
mod repair;
#[cfg(feature = "full")]
mod report;
#[cfg(feature = "full")]
mod reseal;
#[cfg(feature = "full")]
mod seal;
#[cfg(feature = "full")]
mod token;
#[cfg(feature = "full")]
mod unbind;
pub mod unlock;

use crate::args::LuksCommand;
use crate::error::CommandError;

/// Carries out one of the commands.
pub fn run(which: LuksCommand) -> Result<(), CommandError> {
    match which {
        #[cfg(feature = "full")]
        LuksCommand::Format(args) => format::run(&args),
        #[cfg(feature = "full")]
        LuksCommand::Dump(args) => dump::run(&args),
        #[cfg(feature = "full")]
        LuksCommand::Add(args) => add::run(&args),
        #[cfg(feature = "full")]
        LuksCommand::Passwd(args) => passwd::run(&args),
        #[cfg(feature = "full")]
        LuksCommand::Kill(args) => kill::run(&args),
        #[cfg(feature = "full")]
        LuksCommand::Config(args) => config::run(&args),
        #[cfg(feature = "full")]
        LuksCommand::Meta(args) => meta::run(&args),
        #[cfg(feature = "full")]
        LuksCommand::Token(which) => token::run(which),
        #[cfg(feature = "full")]
        LuksCommand::Backup(args) => backup::backup(&args),
        #[cfg(feature = "full")]
        LuksCommand::Restore(args) => backup::restore(&args),
        #[cfg(feature = "full")]
        LuksCommand::Repair(args) => repair::run(&args),
        #[cfg(feature = "full")]
        LuksCommand::Erase(args) => erase::run(&args),
        #[cfg(feature = "full")]
        LuksCommand::Fingerprint(args) => fingerprint::run(&args),
        #[cfg(feature = "full")]
        LuksCommand::Identity(args) => identity::run(&args),
        #[cfg(feature = "full")]
        LuksCommand::Bind(args) => bind::run(&args),
        #[cfg(feature = "full")]
        LuksCommand::List(args) => list::run(&args),
        LuksCommand::Pass(args) => pass::run(&args),
        #[cfg(feature = "full")]
        LuksCommand::Unbind(args) => unbind::run(&args),
        #[cfg(feature = "full")]
        LuksCommand::Regen(args) => regen::run(&args),
        #[cfg(feature = "full")]
        LuksCommand::Edit(args) => edit::run(&args),
        #[cfg(feature = "full")]
        LuksCommand::Report(args) => report::run(&args),
        #[cfg(feature = "full")]
        LuksCommand::Reseal(args) => reseal::run(&args),
        #[cfg(feature = "full")]
        LuksCommand::Seal(args) => seal::run(&args),
        LuksCommand::Unlock(args) => unlock::unlock(&args),
        LuksCommand::Lock(args) => lock::run(&args),
    }
}
