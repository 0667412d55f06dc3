//! `cotter tpm`: the TPM of this machine.

#[cfg(feature = "full")]
mod bank;
#[cfg(feature = "full")]
mod explain;
#[cfg(feature = "full")]
mod keygen;
mod latch;
#[cfg(feature = "full")]
pub mod log;
#[cfg(feature = "full")]
mod predict;
#[cfg(feature = "full")]
mod status;
#[cfg(feature = "full")]
pub mod update;

use crate::args::TpmCommand;
use crate::error::CommandError;

/// Carries out one of the commands.
pub fn run(which: TpmCommand) -> Result<(), CommandError> {
    match which {
        TpmCommand::Latch(args) => latch::run(&args),
        #[cfg(feature = "full")]
        TpmCommand::Status(args) => status::run(&args),
        #[cfg(feature = "full")]
        TpmCommand::Explain(args) => explain::run(&args),
        #[cfg(feature = "full")]
        TpmCommand::Predict(args) => predict::run(&args),
        #[cfg(feature = "full")]
        TpmCommand::Keygen(args) => keygen::run(&args),
    }
}
