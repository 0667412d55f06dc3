//! HMAC (RFC 2104) over any of the hashes: `H((K ⊕ opad) ‖ H((K ⊕ ipad) ‖ text))`.
//!
//! The formula itself over [`Hash::digest`], where a library would bring the whole of it once for each of fourteen hashes: 85,000 bytes of code,
//! in a program that images for the start of a machine carry.

use crate::hash::{Digest, Hash};
use zeroize::Zeroize;

/// The longest block of the hashes, in bytes: that of SHA3-224.
const LONGEST_BLOCK: usize = 144;

/// A key, padded to a block of its hash: `K ⊕ ipad` and `K ⊕ opad`. Wiped when dropped.
pub(crate) struct HmacKey {
    hash: Hash,
    inner: [u8; LONGEST_BLOCK],
    outer: [u8; LONGEST_BLOCK],
}

impl HmacKey {
    /// Keys longer than a block are hashed first.
    pub(crate) fn new(hash: Hash, key: &[u8]) -> HmacKey {
        let mut padded = HmacKey { hash, inner: [0x36; LONGEST_BLOCK], outer: [0x5c; LONGEST_BLOCK] };
        if key.len() > block_len(hash) {
            padded.add(hash.digest(&[key]).as_ref());
        } else {
            padded.add(key);
        }
        padded
    }

    fn add(&mut self, key: &[u8]) {
        let pads = self.inner.iter_mut().zip(&mut self.outer);
        for ((inner, outer), byte) in pads.zip(key) {
            *inner ^= byte;
            *outer ^= byte;
        }
    }

    /// `HMAC(K, parts[0] ‖ parts[1])`
    pub(crate) fn mac(&self, parts: [&[u8]; 2]) -> Digest {
        self.mac_of(&[self.block(&self.inner), parts[0], parts[1]])
    }

    /// With the padded key in front.
    fn mac_of(&self, parts: &[&[u8]]) -> Digest {
        self.hash.digest(&[self.block(&self.outer), self.hash.digest(parts).as_ref()])
    }

    fn block<'a>(&self, padded: &'a [u8]) -> &'a [u8] {
        padded.get(..block_len(self.hash)).unwrap_or(padded)
    }
}

impl Drop for HmacKey {
    fn drop(&mut self) {
        self.inner.zeroize();
        self.outer.zeroize();
    }
}

/// `HMAC(key, parts[0] ‖ parts[1] ‖ …)`
pub fn hmac(hash: Hash, key: &[u8], parts: &[&[u8]]) -> Digest {
    let key = HmacKey::new(hash, key);
    let parts: Vec<&[u8]> = [key.block(&key.inner)].into_iter().chain(parts.iter().copied()).collect();
    key.mac_of(&parts)
}

/// What a hash takes in at once, in bytes (for SHA-3 its rate; FIPS 202, table 3).
fn block_len(hash: Hash) -> usize {
    match hash {
        Hash::Sha1 | Hash::Sha224 | Hash::Sha256 | Hash::Ripemd160 | Hash::Whirlpool | Hash::Blake2s256 | Hash::Sm3 => {
            64
        }
        Hash::Sha384 | Hash::Sha512 | Hash::Blake2b512 => 128,
        Hash::Sha3_224 => 144,
        Hash::Sha3_256 => 136,
        Hash::Sha3_384 => 104,
        Hash::Sha3_512 => 72,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::with_hash;
    use digest::{FixedOutput, KeyInit, Update};
    use hmac::SimpleHmac;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// RFC 4231 test case 2 and, for a key longer than a block, case 6; RFC 2202 case 2 for SHA-1.
    #[test]
    fn hmac_matches_rfc_4231_and_2202() {
        let jefe = |hash| hex(hmac(hash, b"Jefe", &[b"what do ya want ", b"for nothing?"]).as_ref());
        assert_eq!(jefe(Hash::Sha1), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        assert_eq!(jefe(Hash::Sha256), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert!(jefe(Hash::Sha512).starts_with("164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"));
        let long = hmac(Hash::Sha256, &[0xaa; 131], &[b"Test Using Larger Than Block-Size Key - Hash Key First"]);
        assert_eq!(hex(long.as_ref()), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    }

    /// Every hash, with keys that are empty, short, as long as its block, and longer by one.
    #[test]
    fn every_hash_agrees_with_the_library() {
        for hash in Hash::ALL {
            for len in [0, 1, block_len(hash) - 1, block_len(hash), block_len(hash) + 1, 300] {
                let key: Vec<u8> = (0..=255).cycle().skip(7).take(len).collect();
                let theirs = with_hash!(hash, D => {
                    let mut state = SimpleHmac::<D>::new_from_slice(&key).unwrap();
                    state.update(b"some text");
                    state.finalize_fixed().to_vec()
                });
                assert_eq!(hmac(hash, &key, &[b"some", b" text"]).as_ref(), theirs, "{hash:?} {len}");
                assert_eq!(HmacKey::new(hash, &key).mac([b"some ", b"text"]).as_ref(), theirs, "{hash:?} {len}");
            }
        }
    }
}
