//! How the volume key is known to be the right one (LUKS1 on-disk format 1.2.3, section 4.3; LUKS2, section 3.4).
//!
//! `PBKDF2(key, salt, iterations)`, which in volumes of cryptsetup takes an eighth of a second. A key is asked for it when it
//! comes out of a slot, again when data is decrypted with it, and again for each change. So the key that was right is
//! remembered, as a hash that nothing can be learned from, and is not computed twice.

use crypto::kdf::pbkdf2;
use crypto::{Digest, Hash, Secret, VolumeKey};
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};

/// The digest of the volume key.
#[derive(Debug)]
pub(crate) struct KeyDigest {
    pub(crate) hash: Hash,
    pub(crate) iterations: NonZeroU32,
    pub(crate) salt: Vec<u8>,
    pub(crate) digest: Vec<u8>,
    /// [`KeyDigest::mark`] of the key that was right.
    right: Mutex<Option<Digest>>,
}

impl KeyDigest {
    pub(crate) fn new(hash: Hash, iterations: NonZeroU32, salt: Vec<u8>, digest: Vec<u8>) -> KeyDigest {
        KeyDigest { hash, iterations, salt, digest, right: Mutex::default() }
    }

    /// Whether this is the digest of `key`.
    pub(crate) fn fits(&self, key: &VolumeKey) -> bool {
        let mark = self.mark(key);
        if self.was_right(&mark) {
            return true;
        }
        let len = self.digest.len();
        let found = Secret::filled_by(len, |into| pbkdf2(self.hash, key.expose(), &self.salt, self.iterations, into));
        let fits = found.ct_eq(&self.digest);
        if fits {
            *self.right.lock().unwrap_or_else(PoisonError::into_inner) = Some(mark);
        }
        fits
    }

    fn was_right(&self, mark: &Digest) -> bool {
        let right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        right.as_ref().is_some_and(|right| Secret::copied_from(right.as_ref()).ct_eq(mark.as_ref()))
    }

    /// `SHA-256(digest || salt || key)`. The lengths of the first two do not change.
    fn mark(&self, key: &VolumeKey) -> Digest {
        Hash::Sha256.digest(&[&self.digest, &self.salt, key.expose()])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_key_that_was_right_is_not_computed_again() {
        let key = |byte| VolumeKey::new(Secret::copied_from(&[byte; 64]));
        let iterations = NonZeroU32::new(1000).unwrap();
        let mut right = vec![0; 20];
        pbkdf2(Hash::Sha512, key(1).expose(), b"salt", iterations, &mut right);
        let mut digest = KeyDigest::new(Hash::Sha512, iterations, b"salt".to_vec(), right);
        assert!(!digest.fits(&key(2)) && digest.fits(&key(1)) && !digest.fits(&key(2)));
        // With other iterations the same digest would be wrong: whoever says yes has remembered.
        digest.iterations = NonZeroU32::new(1001).unwrap();
        assert!(digest.fits(&key(1)) && !digest.fits(&key(2)));
        assert!(!format!("{digest:?}").contains("1, 1, 1, 1"));
    }
}
