//! `cotter tpm`: the TPM of this machine.

mod explain;
mod keygen;
mod latch;
pub mod log;
mod predict;
mod status;
pub mod update;

use crate::args::TpmCommand;
use crate::error::CommandError;

/// Carries out one of the commands.
pub fn run(which: TpmCommand) -> Result<(), CommandError> {
    match which {
        TpmCommand::Latch(args) => latch::run(&args),
        TpmCommand::Status(args) => status::run(&args),
        TpmCommand::Explain(args) => explain::run(&args),
        TpmCommand::Predict(args) => predict::run(&args),
        TpmCommand::Keygen(args) => keygen::run(&args),
    }
}
