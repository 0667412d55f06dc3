//! What sort of encryption a line is about.

use std::fmt;

/// What sort of encryption an entry says the device has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// LUKS of either version.
    Luks,
    /// dm-crypt without a header.
    Plain,
    /// TrueCrypt or VeraCrypt.
    Tcrypt,
    /// BitLocker.
    Bitlk,
    /// FileVault 2.
    Fvault2,
    /// Nothing is said; the device itself tells.
    Unstated,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Luks => "luks",
            Kind::Plain => "plain",
            Kind::Tcrypt => "tcrypt",
            Kind::Bitlk => "bitlk",
            Kind::Fvault2 => "fvault2",
            Kind::Unstated => "unstated",
        })
    }
}
