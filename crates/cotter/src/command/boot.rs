//! `cotter boot`: what a machine needs while it starts.

mod agent;
mod ahead;
mod attended;
mod bell;
#[cfg(feature = "full")]
mod check;
mod daemon;
mod diary;
mod end;
mod events;
mod handover;
#[cfg(feature = "full")]
mod images;
#[cfg(feature = "full")]
mod install;
mod key;
mod map;
#[cfg(feature = "full")]
mod mount_points;
mod network;
mod place;
mod prove;
#[cfg(feature = "full")]
mod remove;
mod search;
mod serve;
#[cfg(feature = "full")]
mod status;
#[cfg(feature = "full")]
mod system;
#[cfg(feature = "full")]
mod target;
#[cfg(feature = "full")]
mod volumes;
mod wire;

use crate::args::BootCommand;
use crate::error::CommandError;

/// Carries out one of the commands.
pub fn run(which: BootCommand) -> Result<(), CommandError> {
    match which {
        BootCommand::Agent(args) => agent::run(&args),
        BootCommand::End(args) => end::run(&args),
        BootCommand::Map(args) => map::run(&args),
        BootCommand::Key(args) => key::run(&args),
        BootCommand::Network(args) => network::run(&args),
        #[cfg(feature = "full")]
        BootCommand::Install(args) => install::run(&args),
        #[cfg(feature = "full")]
        BootCommand::Status(args) => status::run(&args),
        #[cfg(feature = "full")]
        BootCommand::Check(args) => check::run(&args),
        #[cfg(feature = "full")]
        BootCommand::Remove(args) => remove::run(&args),
        BootCommand::Prove(args) => prove::run(&args),
    }
}
