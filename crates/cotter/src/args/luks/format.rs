//! `cotter luks format`

use super::device::Device;
use super::kdf::KdfArgs;
use super::key::KeySource;
use crate::args::Format;
use clap::{ArgAction, Args, ValueEnum};

/// Versions of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LuksType {
    Luks1,
    Luks2,
}

// `cotter luks format`
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct FormatArgs {
    /// Print help. It has no short form here: `-h` is the hash, as with cryptsetup
    #[arg(long, action = ArgAction::Help)]
    pub help: Option<bool>,
    #[command(flatten)]
    pub device: Device,
    #[command(flatten)]
    pub key: KeySource,
    /// Version of the format
    #[arg(short = 'M', long = "type", value_enum, default_value_t = LuksType::Luks2)]
    pub luks_type: LuksType,
    /// Cipher of the sectors
    #[arg(short = 'c', long, default_value = "aes-xts-plain64")]
    pub cipher: String,
    /// Bits of the volume key, both halves of an XTS key together [default: the cipher's largest]
    #[arg(short = 's', long, value_name = "BITS")]
    pub key_size: Option<u32>,
    /// Bytes of a sector: 512, 1024, 2048 or 4096 [default: 4096 where the volume's length allows it]
    #[arg(long, value_name = "BYTES")]
    pub sector_size: Option<u32>,
    /// Hash of the anti-forensic split and of PBKDF2
    #[arg(short = 'h', long, default_value = "sha256")]
    pub hash: String,
    #[command(flatten)]
    pub kdf: KdfArgs,
    /// Label of the volume (LUKS2)
    #[arg(long, default_value = "")]
    pub label: String,
    /// Subsystem label of the volume (LUKS2)
    #[arg(long, default_value = "")]
    pub subsystem: String,
    /// UUID of the volume, instead of a random one
    #[arg(long)]
    pub uuid: Option<String>,
    /// Where the data begins, in sectors of 512 bytes [default: 2 MiB with LUKS1, 16 MiB with LUKS2, the beginning with a
    /// detached header]
    #[arg(short = 'o', long, value_name = "SECTORS", conflicts_with = "align_payload")]
    pub offset: Option<u64>,
    /// Let the data begin at a multiple of so many sectors of 512 bytes
    #[arg(long, value_name = "SECTORS")]
    pub align_payload: Option<u64>,
    /// Size of each of the two header copies, such as 64k: from 16k to 4M (LUKS2). It stays for ever; the usual 16k take six
    /// bindings to a key server beside a passphrase, 64k all of the 31 that there can be
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub luks2_metadata_size: Option<u64>,
    /// Size of the area for key material, such as 4M (LUKS2)
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub luks2_keyslots_size: Option<u64>,
    /// Overwrite what is known to be there: a file system, a partition table, another LUKS
    #[arg(long)]
    pub force: bool,
    /// Ask nothing. Only a person at a terminal is asked; a script has said what it wants
    #[arg(short = 'q', long, alias = "batch-mode")]
    pub quiet: bool,
    /// Say what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub format: Format,
}

/// Bytes, or with a suffix the usual powers of 1024.
fn size(text: &str) -> Result<u64, String> {
    let wrong = || "write it in bytes, or as 64k, 16M, 1G".to_owned();
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let shift = match unit {
        "" => 0,
        "k" | "K" | "KiB" => 10,
        "M" | "MiB" => 20,
        "G" | "GiB" => 30,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_bytes_or_powers_of_1024() {
        for (text, expected) in [("0", 0), ("16384", 16384), ("16k", 16384), ("4M", 4 << 20), ("1GiB", 1 << 30)] {
            assert_eq!(size(text), Ok(expected), "{text}");
        }
        for bad in ["", "k", "-1", "1.5M", "1T", "1kB", "99999999999999999999", "18446744073709551615k", "é"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
