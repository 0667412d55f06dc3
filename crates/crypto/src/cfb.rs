//! AES-128 in cipher feedback mode with segments of a whole block (NIST SP 800-38A, section 6.3): how a TPM hides the parameters of
//! its commands. It hides and nothing more: what was changed on the way shows in the command's HMAC.

use crate::Secret;
use crate::ffi::{AesKey, Direction};

/// Bytes of the key, and of the initialisation vector.
pub const KEY_LEN: usize = 16;
/// Bytes of a block.
const BLOCK: usize = 16;

/// The library takes no such key, which for 16 bytes does not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRefused;

/// `C[i] = P[i] xor E(key, C[i-1])` with `C[0] = iv`, in place; the last block may be short. `key_and_iv` is both, 32 bytes.
///
/// # Errors
/// [`KeyRefused`] for another length.
pub fn encrypt(key_and_iv: &Secret, text: &mut [u8]) -> Result<(), KeyRefused> {
    run(key_and_iv, text, Direction::Encrypt)
}

/// What [`encrypt`] did, undone.
///
/// # Errors
/// [`KeyRefused`] for another length.
pub fn decrypt(key_and_iv: &Secret, text: &mut [u8]) -> Result<(), KeyRefused> {
    run(key_and_iv, text, Direction::Decrypt)
}

fn run(key_and_iv: &Secret, text: &mut [u8], direction: Direction) -> Result<(), KeyRefused> {
    let (key, iv) = key_and_iv.expose().split_at_checked(KEY_LEN).ok_or(KeyRefused)?;
    let mut feedback: [u8; BLOCK] = iv.try_into().map_err(|_| KeyRefused)?;
    // Both ways need the forward cipher.
    let key = AesKey::new(key, Direction::Encrypt).map_err(|_| KeyRefused)?;
    for block in text.chunks_mut(BLOCK) {
        key.encrypt_block(&mut feedback);
        for (byte, next) in block.iter_mut().zip(&mut feedback) {
            let before = *byte;
            *byte ^= *next;
            *next = if direction == Direction::Encrypt { *byte } else { before };
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn unhex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
    }

    const KEY_AND_IV: &str = "2b7e151628aed2a6abf7158809cf4f3c000102030405060708090a0b0c0d0e0f";
    const PLAIN: &str = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";
    const CIPHER: &str = "3b3fd92eb72dad20333449f8e83cfb4ac8a64537a0b3a93fcde3cdad9f1ce58b26751f67a3cbb140b1808cf187a4f4dfc04b05357c5d1c0eeac4c66f9ff7f2e6";

    /// SP 800-38A, F.3.13 and F.3.14.
    #[test]
    fn nist_vector_both_ways() {
        let key = Secret::new(unhex(KEY_AND_IV));
        let mut text = unhex(PLAIN);
        encrypt(&key, &mut text).unwrap();
        assert_eq!(text, unhex(CIPHER));
        decrypt(&key, &mut text).unwrap();
        assert_eq!(text, unhex(PLAIN));
    }

    #[test]
    fn a_short_last_block_is_the_beginning_of_a_whole_one() {
        let key = Secret::new(unhex(KEY_AND_IV));
        for len in [0, 1, 15, 16, 17, 63] {
            let mut text = unhex(PLAIN)[..len].to_vec();
            encrypt(&key, &mut text).unwrap();
            assert_eq!(text, unhex(CIPHER)[..len], "{len}");
        }
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        for len in [0, 16, 31, 33] {
            assert_eq!(encrypt(&Secret::new(vec![1; len]), &mut [0; 4]), Err(KeyRefused), "{len}");
        }
    }
}
