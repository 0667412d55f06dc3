//! `cotter tpm …`

use super::{Format, Patience};
use clap::{Args, Subcommand};

/// `cotter tpm …`
#[derive(Debug, Subcommand)]
pub enum TpmCommand {
    /// Extend a PCR, so that bindings with this latch open no more before the machine starts again
    #[command(after_long_help = LATCH)]
    Latch(LatchArgs),
}

/// `cotter tpm latch`
#[derive(Debug, Args)]
pub struct LatchArgs {
    /// The PCR, one of those that nothing but a start of the machine sets back
    #[arg(long, value_name = "N", default_value_t = clevis::pins::LATCH_PCR, value_parser = clap::value_parser!(u8).range(8..=15))]
    pub pcr: u8,
    #[command(flatten)]
    pub format: Format,
    #[command(flatten)]
    pub patience: Patience,
}

const LATCH: &str = "The PCR is extended in every bank that the TPM has, with that bank's hash of the text `cotter: latch`. Doing it again
changes the PCR again and nothing else: what was shut stays shut.

Run it in the initramfs after every volume was opened. Only bindings of the pin cotter-tpm2 with `latch` are shut by it: in the others the
PCR is in no policy. After kexec or soft-reboot the PCR is what it was: a person is asked for a passphrase.";
