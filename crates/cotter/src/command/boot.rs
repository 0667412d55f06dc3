//! `cotter boot`: what a machine needs while it starts.

mod agent;
mod check;
mod images;
mod install;
mod mount_points;
mod network;
mod prove;
mod remove;
mod search;
mod status;
mod system;
mod target;
mod volumes;

use crate::args::BootCommand;
use crate::error::CommandError;

/// Carries out one of the commands.
pub fn run(which: BootCommand) -> Result<(), CommandError> {
    match which {
        BootCommand::Agent(args) => agent::run(&args),
        BootCommand::Network(args) => network::run(&args),
        BootCommand::Install(args) => install::run(&args),
        BootCommand::Status(args) => status::run(&args),
        BootCommand::Check(args) => check::run(&args),
        BootCommand::Remove(args) => remove::run(&args),
        BootCommand::Prove(args) => prove::run(&args),
    }
}
