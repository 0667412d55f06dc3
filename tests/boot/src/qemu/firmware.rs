//! What a machine starts with.

use std::fs;
use std::path::{Path, PathBuf};

const CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
const VARIABLES: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";

/// What a machine starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// SeaBIOS, which is quick.
    Bios,
    /// OVMF, a firmware of UEFI, without Secure Boot.
    Uefi,
}

impl Firmware {
    /// What makes it a part of a machine; its variables are in a file of this directory.
    pub(super) fn words(self, here: &Path) -> Vec<String> {
        if self == Firmware::Bios {
            return Vec::new();
        }
        let variables = here.join("variables");
        fs::write(&variables, read(VARIABLES)).expect("cannot write the variables of the firmware");
        let flash = |unit: u8, file: &Path, only: &str| {
            format!("if=pflash,format=raw,unit={unit}{only},file={}", file.display())
        };
        let [code, variables] = [flash(0, &PathBuf::from(CODE), ",readonly=on"), flash(1, &variables, "")];
        ["-drive".into(), code, "-drive".into(), variables].into()
    }
}

fn read(file: &str) -> Vec<u8> {
    fs::read(file).unwrap_or_else(|why| panic!("`{file}`: {why}; this provides it: cargo xtask setup"))
}
