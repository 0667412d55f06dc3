//! The log of what was measured: recorded ones, cut and damaged ones, and what they predict.
//!
//! `vectors/event_log/make` has recorded them: OVMF, GRUB or a unified image, and a Debian kernel under QEMU with swtpm.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod hostile;
mod prediction;
mod recorded;
mod update;

use crypto::Hash;
use tpm2::event_log::EventLog;

fn vector(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/vectors/event_log/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn log(name: &str) -> EventLog {
    EventLog::read(&vector(&format!("{name}.log")))
}

/// What the TPM held when the log was read: `sha256 7 HEX` a line.
fn pcrs(name: &str, bank: Hash) -> Vec<(u8, Vec<u8>)> {
    let text = String::from_utf8(vector(&format!("{name}.pcrs"))).unwrap();
    let words = text.lines().map(|line| line.split(' ').collect::<Vec<&str>>());
    let of_bank = words.filter(|words| words[0] == bank.luks_name());
    of_bank.map(|words| (words[1].parse().unwrap(), bytes(words[2]))).collect()
}

fn pcr(name: &str, number: u8) -> Vec<u8> {
    pcrs(name, Hash::Sha256).into_iter().find(|(pcr, _)| *pcr == number).unwrap().1
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}
