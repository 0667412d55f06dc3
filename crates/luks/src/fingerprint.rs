//! Fingerprints that tell clones: volumes that were copied from one image share their volume key, so whoever opens one may
//! read all of them.

use crate::accept::Accepted;
use crypto::{Hash, VolumeKey, hmac};
use std::fmt;

/// Of a header: SHA-256("cotter header fingerprint v1" ‖ salt of the digest ‖ digest of the volume key).
///
/// No key is needed. It is the same for headers that were copied, whatever was changed in them since but the volume key; it
/// differs for volumes that share a key but were made apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HeaderFingerprint([u8; 32]);

/// Of a volume key: HMAC-SHA256(volume key, "cotter volume key fingerprint v1").
///
/// It tells nothing of the key, and may be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyFingerprint([u8; 32]);

impl HeaderFingerprint {
    /// The fingerprint of this header.
    pub fn of(header: &Accepted) -> HeaderFingerprint {
        let digest = header.digest();
        HeaderFingerprint(bytes(&Hash::Sha256.digest(&[b"cotter header fingerprint v1", &digest.salt, &digest.digest])))
    }
}

impl KeyFingerprint {
    /// The fingerprint of this key.
    pub fn of(key: &VolumeKey) -> KeyFingerprint {
        KeyFingerprint(bytes(&hmac(Hash::Sha256, key.expose(), &[b"cotter volume key fingerprint v1"])))
    }

    /// One that was printed: 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<KeyFingerprint> {
        let mut bytes = [0; 32];
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return None;
        }
        let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Some(KeyFingerprint(bytes))
    }
}

/// The bytes of a digest of SHA-256.
pub(crate) fn bytes(digest: &crypto::Digest) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    bytes
}

fn hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// 64 hexadecimal digits.
impl fmt::Display for HeaderFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

/// 64 hexadecimal digits.
impl fmt::Display for KeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}
