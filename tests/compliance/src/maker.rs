//! Whose program it is. Cotter keeps the forms of clevis, so one line of words drives both.

use crate::program::{Program, cotter, need};
use std::fmt;
use std::path::PathBuf;

/// Ours, or the original.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maker {
    /// This workspace.
    Ours,
    /// Debian's packages.
    Theirs,
}

impl Maker {
    /// Both, in the order of the tables.
    pub const BOTH: [Maker; 2] = [Maker::Ours, Maker::Theirs];

    /// `cotter` or `clevis`, for `encrypt`, `decrypt` and `luks bind|list|pass|unbind`.
    pub fn client(self) -> Program {
        Program::at(&self.client_file())
    }

    fn client_file(self) -> PathBuf {
        match self {
            Maker::Ours => cotter().to_owned(),
            Maker::Theirs => need("clevis"),
        }
    }

    /// Encrypts to a pin; trusts whoever answers.
    pub fn encrypt(self, pin: &str, config: &str, plaintext: &[u8]) -> Vec<u8> {
        self.client().args(["encrypt", pin, config, "-y"]).input(plaintext).succeed().stdout
    }

    /// Decrypts, or ends the test.
    pub fn decrypt(self, jwe: &[u8]) -> Vec<u8> {
        self.client().arg("decrypt").input(jwe).succeed().stdout
    }

    /// How a table names the client.
    pub fn client_name(self) -> &'static str {
        match self {
            Maker::Ours => "cotter",
            Maker::Theirs => "clevis",
        }
    }

    /// How a table names the server.
    pub fn server_name(self) -> &'static str {
        match self {
            Maker::Ours => "cotter serve",
            Maker::Theirs => "tangd",
        }
    }

    /// How a table names who changes a header.
    pub fn editor_name(self) -> &'static str {
        match self {
            Maker::Ours => "cotter luks",
            Maker::Theirs => "cryptsetup",
        }
    }

    /// How a table names who formatted a disk.
    pub fn format_name(self) -> &'static str {
        match self {
            Maker::Ours => "cotter luks format",
            Maker::Theirs => "cryptsetup",
        }
    }
}

impl fmt::Display for Maker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Maker::Ours => "ours",
            Maker::Theirs => "theirs",
        })
    }
}
