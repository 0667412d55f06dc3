//! `cotter boot`: what a machine needs while it starts.

mod agent;
mod network;
mod search;

use crate::args::BootCommand;
use crate::error::CommandError;

/// Carries out one of the commands.
pub fn run(which: BootCommand) -> Result<(), CommandError> {
    match which {
        BootCommand::Agent(args) => agent::run(&args),
        BootCommand::Network(args) => network::run(&args),
    }
}
