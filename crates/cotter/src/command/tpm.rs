//! `cotter tpm`: the TPM of this machine.

mod bank;
mod explain;
#[cfg(feature = "full")]
mod keygen;
mod latch;
pub mod log;
#[cfg(feature = "full")]
mod predict;
mod status;
#[cfg(feature = "full")]
pub mod update;

use crate::args::TpmCommand;
use crate::error::CommandError;

/// Carries out one of the commands.
pub fn run(which: TpmCommand) -> Result<(), CommandError> {
    match which {
        TpmCommand::Latch(args) => latch::run(&args),
        TpmCommand::Status(args) => status::run(&args),
        TpmCommand::Explain(args) => explain::run(&args),
        #[cfg(feature = "full")]
        TpmCommand::Predict(args) => predict::run(&args),
        #[cfg(feature = "full")]
        TpmCommand::Keygen(args) => keygen::run(&args),
    }
}
