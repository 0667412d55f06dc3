//! Thumbprints of keys (RFC 7638), by the names that José gives the hashes.

use crate::b64;
use crypto::Hash;
use std::fmt;

/// A thumbprint: the base64url of a hash over the members that make a key what it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Thumbprint(String);

/// A hash for thumbprints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThumbprintHash {
    /// SHA-1: file names of servers before tang 9, and old bindings.
    S1,
    /// SHA-224.
    S224,
    /// SHA-256: what everything new uses.
    S256,
    /// SHA-384.
    S384,
    /// SHA-512.
    S512,
}

impl ThumbprintHash {
    /// All five, in the order in which a server lists them.
    pub const ALL: [ThumbprintHash; 5] = [Self::S1, Self::S224, Self::S256, Self::S384, Self::S512];

    /// Its name in José, such as `S256`.
    pub fn name(self) -> &'static str {
        match self {
            Self::S1 => "S1",
            Self::S224 => "S224",
            Self::S256 => "S256",
            Self::S384 => "S384",
            Self::S512 => "S512",
        }
    }

    /// The hash that José calls `name`.
    pub fn from_name(name: &str) -> Option<ThumbprintHash> {
        Self::ALL.into_iter().find(|hash| hash.name() == name)
    }

    /// How many characters its thumbprints have: 27, 38, 43, 64, 86. No two are alike, so a thumbprint's length tells its hash.
    pub fn characters(self) -> usize {
        (self.hash().len() * 4).div_ceil(3)
    }

    /// The hash whose thumbprints have the length of `text`.
    pub fn of_text(text: &str) -> Option<ThumbprintHash> {
        Self::ALL.into_iter().find(|hash| hash.characters() == text.len())
    }

    fn hash(self) -> Hash {
        match self {
            Self::S1 => Hash::Sha1,
            Self::S224 => Hash::Sha224,
            Self::S256 => Hash::Sha256,
            Self::S384 => Hash::Sha384,
            Self::S512 => Hash::Sha512,
        }
    }
}

impl Thumbprint {
    /// The hash over `parts`, which together are the canonical JSON of a key (RFC 7638 section 3.2).
    pub(crate) fn over(hash: ThumbprintHash, parts: &[&[u8]]) -> Thumbprint {
        Thumbprint(b64::encode(hash.hash().digest(parts).as_ref()))
    }

    /// The characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ThumbprintHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl AsRef<str> for Thumbprint {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Thumbprint {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_thumbprint_tells_its_hash() {
        for hash in ThumbprintHash::ALL {
            let thumbprint = Thumbprint::over(hash, &[b"any"]);
            assert_eq!(ThumbprintHash::of_text(thumbprint.as_str()), Some(hash));
            assert_eq!(ThumbprintHash::from_name(hash.name()), Some(hash));
        }
        assert_eq!(ThumbprintHash::of_text(""), None);
        assert_eq!(ThumbprintHash::from_name("S-256"), None);
    }
}
