//! AES-256-GCM (NIST SP 800-38D), the only content encryption of Clevis.

use crate::Secret;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use std::fmt;

/// Length of the key in bytes.
pub const KEY_LEN: usize = 32;
/// Length of the initialisation vector in bytes.
pub const IV_LEN: usize = 12;
/// Length of the authentication tag in bytes.
pub const TAG_LEN: usize = 16;

/// A key ready for use.
pub struct A256Gcm(LessSafeKey);

/// Why nothing was encrypted or decrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AeadError {
    /// The key does not have 32 bytes.
    WrongKeyLength {
        /// How many it has.
        found: usize,
    },
    /// The tag does not fit: another key, or changed bytes.
    NotAuthentic,
    /// The text is longer than the mode allows.
    TooLong,
}

impl A256Gcm {
    /// A cipher for one key of 32 bytes.
    ///
    /// # Errors
    /// [`AeadError::WrongKeyLength`].
    pub fn new(key: &Secret) -> Result<A256Gcm, AeadError> {
        let unbound = UnboundKey::new(&AES_256_GCM, key.expose());
        unbound.map(|key| A256Gcm(LessSafeKey::new(key))).map_err(|_| AeadError::WrongKeyLength { found: key.len() })
    }

    /// Encrypts `plaintext`; returns the ciphertext, of the same length, and the tag. An `iv` is used once for a key.
    ///
    /// # Errors
    /// [`AeadError::TooLong`].
    pub fn seal(&self, iv: &[u8; IV_LEN], aad: &[u8], plaintext: &[u8]) -> Result<(Vec<u8>, [u8; TAG_LEN]), AeadError> {
        // Encrypted in place: once this returns, no plaintext is left in the buffer.
        let mut text = plaintext.to_vec();
        let nonce = Nonce::assume_unique_for_key(*iv);
        let sealed = self.0.seal_in_place_separate_tag(nonce, Aad::from(aad), &mut text);
        let tag = sealed.map_err(|_| AeadError::TooLong)?;
        Ok((text, tag.as_ref().try_into().map_err(|_| AeadError::TooLong)?))
    }

    /// Decrypts `ciphertext`; the plaintext exists only if `tag` fits all of it and `aad`.
    ///
    /// # Errors
    /// [`AeadError::NotAuthentic`].
    pub fn open(
        &self,
        iv: &[u8; IV_LEN],
        aad: &[u8],
        ciphertext: &[u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<Secret, AeadError> {
        Secret::try_filled_by(ciphertext.len(), |plaintext| {
            let nonce = Nonce::assume_unique_for_key(*iv);
            self.0.open_separate_gather(nonce, Aad::from(aad), ciphertext, tag, plaintext)
        })
        .map_err(|_| AeadError::NotAuthentic)
    }
}

impl fmt::Debug for A256Gcm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("A256Gcm(..)")
    }
}

impl fmt::Display for AeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AeadError::WrongKeyLength { found } => write!(f, "a key of {found} bytes where A256GCM wants {KEY_LEN}"),
            AeadError::NotAuthentic => f.write_str("the authentication tag does not fit"),
            AeadError::TooLong => f.write_str("too much text for one A256GCM message"),
        }
    }
}

impl std::error::Error for AeadError {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn unhex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
    }

    /// The Galois/Counter Mode of Operation (McGrew, Viega), appendix B, test cases 14 and 16.
    #[test]
    fn known_answers() {
        let zero = A256Gcm::new(&Secret::new(vec![0; 32])).unwrap();
        let (ciphertext, tag) = zero.seal(&[0; 12], b"", &[0; 16]).unwrap();
        assert_eq!(ciphertext, unhex("cea7403d4d606b6e074ec5d3baf39d18"));
        assert_eq!(tag.to_vec(), unhex("d0d1c8a799996bf0265b98b5d48ab919"));

        let key = Secret::new(unhex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"));
        let iv: [u8; 12] = unhex("cafebabefacedbaddecaf888").try_into().unwrap();
        let plain = unhex(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        );
        let aad = unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
        let (ciphertext, tag) = A256Gcm::new(&key).unwrap().seal(&iv, &aad, &plain).unwrap();
        assert_eq!(ciphertext[..16], unhex("522dc1f099567d07f47f37a32a84427d"));
        assert_eq!(tag.to_vec(), unhex("76fc6ece0f4e1768cddf8853bb2d551b"));
        assert!(A256Gcm::new(&key).unwrap().open(&iv, &aad, &ciphertext, &tag).unwrap().ct_eq(&plain));
    }

    #[test]
    fn any_flipped_byte_is_refused() {
        let key = A256Gcm::new(&Secret::new(vec![7; 32])).unwrap();
        let (ciphertext, tag) = key.seal(&[1; 12], b"head", b"body").unwrap();
        for i in 0..4 {
            let mut bad = ciphertext.clone();
            bad[i] ^= 1;
            assert_eq!(key.open(&[1; 12], b"head", &bad, &tag).unwrap_err(), AeadError::NotAuthentic);
        }
        for i in 0..16 {
            let mut bad = tag;
            bad[i] ^= 1;
            assert!(key.open(&[1; 12], b"head", &ciphertext, &bad).is_err());
        }
        assert!(key.open(&[1; 12], b"heaD", &ciphertext, &tag).is_err());
        assert!(key.open(&[2; 12], b"head", &ciphertext, &tag).is_err());
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        assert_eq!(A256Gcm::new(&Secret::new(vec![0; 16])).unwrap_err(), AeadError::WrongKeyLength { found: 16 });
    }
}
