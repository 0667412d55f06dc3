//! The ciphers that are used on sectors, by the names that dm-crypt gives them.
//!
//! This list is the allow-list: a name that is not here is refused, letter for letter. In particular there is no null cipher
//! (CVE-2025-59054) and no `capi:` form, which lets a header choose the implementation.

use crypto::sector::{SectorCipher, SectorError};
use std::fmt;

/// A cipher for data and key areas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    /// `aes-xts-plain64`: AES-128 or AES-256 in XTS, tweaked by the 64-bit number of the 512-byte sector.
    AesXtsPlain64,
    /// `aes-cbc-essiv:sha256`: AES-128 or AES-256 in CBC; the IV is the sector number under AES with SHA-256(key) as key.
    AesCbcEssivSha256,
}

impl Cipher {
    /// Every cipher there is.
    pub const ALL: [Cipher; 2] = [Cipher::AesXtsPlain64, Cipher::AesCbcEssivSha256];

    /// The cipher of exactly this name.
    pub fn from_name(name: &str) -> Option<Cipher> {
        Cipher::ALL.into_iter().find(|cipher| cipher.name() == name)
    }

    /// Its name, as headers and dm-crypt write it.
    pub fn name(self) -> &'static str {
        match self {
            Cipher::AesXtsPlain64 => "aes-xts-plain64",
            Cipher::AesCbcEssivSha256 => "aes-cbc-essiv:sha256",
        }
    }

    /// The key lengths it takes, in bytes; the strongest last.
    pub fn key_lengths(self) -> &'static [u32] {
        match self {
            Cipher::AesXtsPlain64 => &[32, 64],
            Cipher::AesCbcEssivSha256 => &[16, 32],
        }
    }

    /// The cipher with its key, for sectors of this size.
    pub(crate) fn keyed(self, key: &[u8], sector: SectorSize) -> Result<SectorCipher, SectorError> {
        match self {
            Cipher::AesXtsPlain64 => SectorCipher::aes_xts_plain64(key, sector.bytes()),
            Cipher::AesCbcEssivSha256 => SectorCipher::aes_cbc_essiv_sha256(key, sector.bytes()),
        }
    }
}

impl fmt::Display for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How many bytes are encrypted as one: 512, 1024, 2048 or 4096.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SectorSize(u32);

impl SectorSize {
    /// 512 bytes: key areas always, data where the device is not a multiple of more.
    pub const SMALLEST: SectorSize = SectorSize(512);
    /// 4096 bytes: a page, the most that dm-crypt does.
    pub const LARGEST: SectorSize = SectorSize(4096);

    /// This size, if there is such a one.
    pub fn new(bytes: u64) -> Option<SectorSize> {
        u32::try_from(bytes).ok().filter(|b| matches!(b, 512 | 1024 | 2048 | 4096)).map(SectorSize)
    }

    /// In bytes.
    pub fn bytes(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_exact() {
        for cipher in Cipher::ALL {
            assert_eq!(Cipher::from_name(cipher.name()), Some(cipher));
        }
        for bad in [
            "",
            "AES-XTS-PLAIN64",
            "aes-xts-plain",
            "aes-xts-plain64 ",
            "cipher_null-ecb",
            "null",
            "capi:xts(aes)-plain64",
        ] {
            assert_eq!(Cipher::from_name(bad), None, "{bad}");
        }
    }

    #[test]
    fn sector_sizes_are_powers_of_two_from_512_to_4096() {
        let all: Vec<u64> = (0..10_000).filter(|n| SectorSize::new(*n).is_some()).collect();
        assert_eq!(all, [512, 1024, 2048, 4096]);
        assert_eq!(SectorSize::new(1 << 32 | 512), None);
    }
}
