//! `cotter tpm …`

use super::luks::{BindingChoice, Device};
use super::{Format, Patience};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `cotter tpm …`
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum TpmCommand {
    /// Extend a PCR, so that bindings with this latch open no more before the machine starts again
    #[command(after_long_help = LATCH)]
    Latch(LatchArgs),
    #[cfg(feature = "full")]
    /// Say what the TPM is, how it is, what its PCRs hold, and what the log of the boot explains of them
    Status(TpmStatusArgs),
    #[cfg(feature = "full")]
    /// Say whether a binding would open now, and if not, which PCR moved and what moved it
    #[command(after_long_help = EXPLAIN)]
    Explain(TpmExplainArgs),
    #[cfg(feature = "full")]
    /// Say what the PCRs will be after an update
    #[command(after_long_help = PREDICT)]
    Predict(PredictArgs),
    #[cfg(feature = "full")]
    /// Make a key that signs which values of PCRs are right, and print its public half
    Keygen(KeygenArgs),
}

// The log of the boot.
#[derive(Clone, Debug, Default, Args)]
pub struct LogFile {
    /// The log of what was measured [default: /sys/kernel/security/tpm0/binary_bios_measurements, for root alone]
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
}

// What an update will put there.
#[derive(Clone, Debug, Default, Args)]
pub struct UpdateArgs {
    /// The kernel that will be started
    #[arg(long, value_name = "FILE")]
    pub kernel: Option<PathBuf>,
    /// Its initramfs
    #[arg(long, visible_alias = "initrd", value_name = "FILE")]
    pub initramfs: Option<PathBuf>,
    /// The unified image that will be started
    #[arg(long, value_name = "FILE", conflicts_with_all = ["kernel", "initramfs"])]
    pub uki: Option<PathBuf>,
    /// Another file or program, and its place as the log has it: `/grub/grub.cfg=/boot/grub/grub.cfg`; may be given several times
    #[arg(long, value_name = "PLACE=FILE", value_parser = place_and_file)]
    pub file: Vec<(String, PathBuf)>,
    /// The whole content of Secure Boot's variable db: a signature list, or the file of efivarfs
    #[arg(long, value_name = "FILE")]
    pub db: Option<PathBuf>,
    /// The same of dbx
    #[arg(long, value_name = "FILE")]
    pub dbx: Option<PathBuf>,
    #[command(flatten)]
    pub log: LogFile,
}

fn place_and_file(text: &str) -> Result<(String, PathBuf), String> {
    let parts = text.split_once('=').filter(|(place, file)| !place.is_empty() && !file.is_empty());
    parts.map(|(place, file)| (place.to_owned(), file.into())).ok_or_else(|| "write it as PLACE=FILE".to_owned())
}

// `cotter tpm status`
#[derive(Debug, Args)]
pub struct TpmStatusArgs {
    #[command(flatten)]
    pub log: LogFile,
    /// The bank whose PCRs are shown [default: sha256 where the TPM has it]
    #[arg(long, value_name = "BANK")]
    pub bank: Option<String>,
    /// Show every event behind each PCR
    #[arg(short = 'v', long)]
    pub verbose: bool,
    #[command(flatten)]
    pub format: Format,
    #[command(flatten)]
    pub patience: Patience,
}

// `cotter tpm explain`
#[derive(Debug, Args)]
pub struct TpmExplainArgs {
    #[command(flatten)]
    pub device: Device,
    #[command(flatten)]
    pub which: BindingChoice,
    #[command(flatten)]
    pub log: LogFile,
    #[command(flatten)]
    pub format: Format,
    #[command(flatten)]
    pub patience: Patience,
}

const EXPLAIN: &str = "Exit codes:
  0  every part that the TPM decides would open now
  3  one would not
  1  it was not found out
The PCRs are compared, and whether this TPM sealed it, whether it is locked and where a counter stands is looked at. Nothing is unsealed, a PIN
is not tried, and the other shares of a threshold are not asked. Which event it was is told where that was kept when the binding was made, or
can be found by trying.";

// `cotter tpm predict`
#[derive(Debug, Args)]
pub struct PredictArgs {
    #[command(flatten)]
    pub update: UpdateArgs,
    /// The bank [default: sha256]
    #[arg(long, value_name = "BANK", default_value = "sha256")]
    pub bank: String,
    /// The PCRs [default: 4, 7, 9 and 11, as far as the log has them]
    #[arg(long, value_name = "PCRS", value_delimiter = ',', value_parser = clap::value_parser!(u8).range(0..24))]
    pub pcrs: Vec<u8>,
    #[command(flatten)]
    pub format: Format,
    #[command(flatten)]
    pub patience: Patience,
}

const PREDICT: &str = "The log of this boot is replayed with other parts in their places. PCR 4 (programs), 7 (Secure Boot), 9 (files of GRUB, the
initramfs) and 11 (unified images) can be predicted; without --pcrs it is said of every other PCR that an update moves that it cannot. All parts that
change have to be named. Without any, what is printed is what holds at the next start if nothing changes.

The values are those of the moment when volumes are opened, and are printed as `accept` and `pcr_digest` of a binding take them.

Exit codes:
  0  every PCR of --pcrs can be predicted; without it, every PCR that the update moves
  3  one cannot: it is named, with the reason
  1  nothing can be said: no log, or a file that is not what it should be";

// `cotter tpm keygen`
#[derive(Debug, Args)]
pub struct KeygenArgs {
    /// The new file, mode 0600: keep it on the encrypted root, or on another machine
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

// `cotter tpm latch`
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
