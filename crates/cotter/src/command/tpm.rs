//! `cotter tpm`: the TPM of this machine.

mod latch;

use crate::args::TpmCommand;
use crate::error::CommandError;

/// Carries out one of the commands.
pub fn run(which: TpmCommand) -> Result<(), CommandError> {
    match which {
        TpmCommand::Latch(args) => latch::run(&args),
    }
}
