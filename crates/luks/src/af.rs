//! The anti-forensic splitter: a key spread over many stripes, so that losing any one of them loses the key
//! (LUKS1 on-disk format 1.2.3, section 2.4; LUKS2 on-disk format, section 3.2.2, `"type":"luks1"`).
//!
//! With stripes `s_1 .. s_n` as long as the key, `d_0 = 0`, `d_i = H(d_{i-1} xor s_i)` for `i < n`, the key is
//! `d_{n-1} xor s_n`. `H` is [`diffuse`].

use crypto::{Hash, Random, RandomFailed, Secret};
use zeroize::Zeroizing;

/// How many stripes a keyslot has. LUKS knows no other number.
pub const STRIPES: u32 = 4000;

/// How many bytes the stripes of a key take, if that can be said.
pub(crate) fn split_len(key_len: usize) -> Option<usize> {
    key_len.checked_mul(usize::try_from(STRIPES).ok()?)
}

/// Splits `key`: all stripes but the last are random.
pub(crate) fn split(hash: Hash, key: &Secret, random: &dyn Random) -> Result<Secret, RandomFailed> {
    let len = split_len(key.len()).ok_or(RandomFailed)?;
    Secret::try_filled_by(len, |stripes| {
        let (free, last) = stripes.split_at_mut(len - key.len());
        random.fill(free)?;
        let state = diffused(hash, free, key.len());
        for ((to, d), k) in last.iter_mut().zip(state.iter()).zip(key.expose()) {
            *to = d ^ k;
        }
        Ok(())
    })
}

/// Puts a key of `key_len` bytes together again. `stripes` is as long as [`split_len`] says; more is not looked at, and
/// less gives another key.
pub(crate) fn merge(hash: Hash, stripes: &[u8], key_len: usize) -> Secret {
    let end = split_len(key_len).unwrap_or(usize::MAX).min(stripes.len());
    let start = end.saturating_sub(key_len);
    let (free, last) = stripes.split_at(start);
    let state = diffused(hash, free, key_len);
    Secret::filled_by(key_len, |key| {
        for ((to, d), s) in key.iter_mut().zip(state.iter()).zip(last) {
            *to = d ^ s;
        }
    })
}

/// `d_{n-1}` over these stripes.
fn diffused(hash: Hash, stripes: &[u8], key_len: usize) -> Zeroizing<Vec<u8>> {
    let mut state = Zeroizing::new(vec![0; key_len]);
    for stripe in stripes.chunks_exact(key_len.max(1)) {
        for (to, s) in state.iter_mut().zip(stripe) {
            *to ^= s;
        }
        diffuse(hash, &mut state);
    }
    state
}

/// `H`: the block in pieces as long as the hash's output, piece `i` becoming `hash(BE32(i) || piece)`, the last one cut off.
fn diffuse(hash: Hash, block: &mut [u8]) {
    for (i, piece) in (0u32..).zip(block.chunks_mut(hash.len())) {
        let digest = hash.digest(&[&i.to_be_bytes(), piece]);
        for (to, d) in piece.iter_mut().zip(digest.as_ref()) {
            *to = *d;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crypto::SystemRandom;

    #[test]
    fn a_key_comes_back_under_every_hash_and_length() {
        for hash in Hash::ALL {
            for len in [16, 32, 64] {
                let key = Secret::try_filled_by(len, |b| SystemRandom.fill(b)).unwrap();
                let mut stripes = split(hash, &key, &SystemRandom).unwrap().expose().to_vec();
                assert!(merge(hash, &stripes, len).ct_eq(key.expose()), "{hash:?} {len}");
                stripes.extend([1, 2, 3]);
                assert!(merge(hash, &stripes, len).ct_eq(key.expose()), "what lies behind does not count");
                stripes[0] ^= 1;
                assert!(!merge(hash, &stripes, len).ct_eq(key.expose()), "every stripe counts");
            }
        }
    }

    #[test]
    fn fewer_bytes_than_stripes_are_no_panic() {
        for len in [0, 1, 31, 32, 33, 1000] {
            assert_eq!(merge(Hash::Sha256, &vec![7; len], 32).len(), 32);
        }
        assert_eq!(merge(Hash::Sha256, &[], 0).len(), 0);
    }
}
