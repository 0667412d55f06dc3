//! Passphrases to keys: PBKDF2 (RFC 8018, section 5.2) and Argon2 (RFC 9106).

use crate::hash::Hash;
use crate::mac::HmacKey;
use argon2::{Algorithm, Argon2, Params, Version};
use std::fmt;
use std::num::NonZeroU32;

/// Fills `into` with PBKDF2-HMAC of any hash.
pub fn pbkdf2(hash: Hash, passphrase: &[u8], salt: &[u8], iterations: NonZeroU32, into: &mut [u8]) {
    let rounds = iterations.get();
    match hash {
        // These keep the state after the padded key, which saves half of the compressions.
        Hash::Sha1 => pbkdf2::pbkdf2_hmac::<sha1::Sha1>(passphrase, salt, rounds, into),
        Hash::Sha256 => pbkdf2::pbkdf2_hmac::<sha2::Sha256>(passphrase, salt, rounds, into),
        Hash::Sha512 => pbkdf2::pbkdf2_hmac::<sha2::Sha512>(passphrase, salt, rounds, into),
        // Few headers name another, and those of this machine's own are none of them: the formula is enough.
        other => {
            let (key, len) = (HmacKey::new(other, passphrase), other.len());
            into.chunks_mut(len)
                .zip(1_u32..)
                .for_each(|(block, number)| pbkdf2_block(&key, salt, number, rounds, block));
        }
    }
}

/// `U1 ⊕ U2 ⊕ … ⊕ Uc`, where `U1 = HMAC(P, S ‖ number)` and each other `Ui = HMAC(P, Ui-1)`; the last block may be cut short.
fn pbkdf2_block(key: &HmacKey, salt: &[u8], number: u32, rounds: u32, into: &mut [u8]) {
    into.fill(0);
    let mut last = key.mac([salt, &number.to_be_bytes()]);
    for round in 0..rounds {
        if round > 0 {
            last = key.mac([last.as_ref(), &[]]);
        }
        into.iter_mut().zip(last.as_ref()).for_each(|(byte, last)| *byte ^= last);
    }
}

/// Which Argon2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Argon2Variant {
    Argon2i,
    Argon2id,
}

/// What one Argon2 computation costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argon2Cost {
    /// Memory in KiB, at least 8 for each lane.
    pub memory_kib: u32,
    /// Passes over the memory, at least 1.
    pub passes: u32,
    /// Lanes, which are threads here; 1 to 2^24 - 1.
    pub lanes: u32,
}

/// Why no key was derived.
#[derive(Clone, Debug)]
pub enum KdfError {
    /// The costs, the salt or the length are outside RFC 9106, section 3.1.
    Refused {
        /// What the library says.
        source: argon2::Error,
    },
    /// There is not enough memory.
    OutOfMemory {
        /// How much was wanted, in KiB.
        memory_kib: u32,
    },
    /// The threads could not be started.
    NoThreads {
        /// How many were wanted.
        lanes: u32,
    },
}

/// Fills `into` with Argon2 version 1.3 without secret and associated data, using one thread a lane.
///
/// The matrix is not wiped when it is given back: one of 32 MiB or more is returned to the kernel at once, a smaller one stays
/// in this process until its memory is used again.
///
/// # Errors
/// [`KdfError`]; memory that cannot be had is an error, not an abort.
pub fn argon2(
    variant: Argon2Variant,
    passphrase: &[u8],
    salt: &[u8],
    cost: Argon2Cost,
    into: &mut [u8],
) -> Result<(), KdfError> {
    let algorithm = match variant {
        Argon2Variant::Argon2i => Algorithm::Argon2i,
        Argon2Variant::Argon2id => Algorithm::Argon2id,
    };
    let refused = |source| match source {
        argon2::Error::OutOfMemory => KdfError::OutOfMemory { memory_kib: cost.memory_kib },
        source => KdfError::Refused { source },
    };
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(into.len())).map_err(refused)?;
    let argon2 = Argon2::new(algorithm, Version::V0x13, params);
    if cost.lanes == 1 {
        return argon2.hash_password_into(passphrase, salt, into).map_err(refused);
    }
    // The library's global pool would start a thread for every core of the machine.
    let threads = usize::try_from(cost.lanes).unwrap_or(usize::MAX).min(MOST_THREADS);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|_| KdfError::NoThreads { lanes: cost.lanes })?;
    pool.install(|| argon2.hash_password_into(passphrase, salt, into)).map_err(refused)
}

/// Threads for one computation; a header may ask for more lanes than any machine has cores.
const MOST_THREADS: usize = 64;

impl fmt::Display for KdfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KdfError::Refused { .. } => f.write_str("the key derivation's parameters are not allowed"),
            KdfError::OutOfMemory { memory_kib } => {
                write!(f, "the key derivation needs {} MiB of memory, which cannot be had", memory_kib.div_ceil(1024))
            }
            KdfError::NoThreads { lanes } => write!(f, "{lanes} threads for the key derivation could not be started"),
        }
    }
}

impl std::error::Error for KdfError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            KdfError::Refused { source } => Some(source),
            KdfError::OutOfMemory { .. } | KdfError::NoThreads { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    fn derive(hash: Hash, passphrase: &str, salt: &str, iterations: u32, len: usize) -> String {
        let mut out = vec![0; len];
        pbkdf2(hash, passphrase.as_bytes(), salt.as_bytes(), NonZeroU32::new(iterations).unwrap(), &mut out);
        hex(&out)
    }

    /// RFC 6070 for SHA-1, RFC 7914 section 11 for SHA-256.
    #[test]
    fn pbkdf2_matches_the_rfcs() {
        assert_eq!(derive(Hash::Sha1, "password", "salt", 2, 20), "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957");
        assert_eq!(derive(Hash::Sha1, "password", "salt", 4096, 20), "4b007901b765489abead49d926f721d065a429c1");
        assert_eq!(
            derive(Hash::Sha256, "passwd", "salt", 1, 64),
            "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783"
        );
    }

    /// The formula is what the library computes, with several blocks and a part of one.
    #[test]
    fn the_formula_is_the_librarys_function() {
        let mut ours = [0; 70];
        let key = HmacKey::new(Hash::Whirlpool, b"p");
        ours.chunks_mut(64).zip(1..).for_each(|(block, number)| pbkdf2_block(&key, b"s", number, 3, block));
        let mut theirs = [0; 70];
        pbkdf2::pbkdf2::<hmac::SimpleHmac<whirlpool::Whirlpool>>(b"p", b"s", 3, &mut theirs).unwrap();
        assert_eq!(ours, theirs);
        assert_eq!(derive(Hash::Whirlpool, "p", "s", 3, 70), hex(&theirs));
    }

    /// Three rounds over "password" and "salt", 40 bytes, as OpenSSL 3.0 computes them.
    #[test]
    fn pbkdf2_over_the_other_hashes_is_openssls() {
        for (hash, key) in [
            (Hash::Sha224, "947cf079cfc7f2016dcd7ec418840443edaabb90c496f98cabeec4bfb1a5a4aaff68cca92cf05a6d"),
            (Hash::Sha384, "1bfb451b6087e5d24eeffb57d7284448da95b581d35a1887d9a6e756af559b1fb4798a4529502f87"),
            (Hash::Sha512, "b6b07cb2cebf4ad84468391a543824fccffe0e0769dbe6bddf10a65673c4b648e612d44918f9ce9a"),
            (Hash::Sha3_224, "78f53c723000c6648b2685ceb66277b3bbc3830063b32ac0983a42f1c289f0975bc974581baea9fe"),
            (Hash::Sha3_256, "6677065466c97fdef1c15ae8d95020ca948334f53eceeafc6115ddf405f6d6a4f75ba13a75082d8d"),
            (Hash::Sha3_384, "3c7efe23b2a10f89837270324712c2e0bd8559d6c8ed070268239a2c2abb777b9adc611d71d2b533"),
            (Hash::Sha3_512, "cf022071b51477a7783157cbf39fe43377494e295da4d9bb8905117d0a4e998c6c930d02e1291e83"),
            (Hash::Ripemd160, "9ca4d509610a8b37dcf0f67242c5dce427aba359131da62169c0a7e6280f8455763db3bbd875de6a"),
            (Hash::Blake2b512, "0543fd2a48f0d9ecdec59863cf9234bfbb1d35cc76df3ae571a069591f95f29c1c4e14d8c194c951"),
            (Hash::Blake2s256, "9f84af2eacd0690a30558c9d31363c6828015792b820bd4fa8e4e7c4f179110d57ccc2453584cff9"),
            (Hash::Sm3, "f2a075c888a5188892c4860f9b33ad24a7fd5c5685b6f7a6bc12f76e2cd732e26b04243840242693"),
        ] {
            assert_eq!(derive(hash, "password", "salt", 3, 40), key, "{hash:?}");
        }
    }

    fn argon(variant: Argon2Variant, passes: u32, memory_kib: u32, lanes: u32, pass: &str, salt: &str) -> String {
        let mut out = [0; 32];
        let cost = Argon2Cost { memory_kib, passes, lanes };
        argon2(variant, pass.as_bytes(), salt.as_bytes(), cost, &mut out).unwrap();
        hex(&out)
    }

    /// Test vectors of the reference implementation (version 1.3), without secret and associated data.
    #[test]
    fn argon2_matches_the_reference_implementation() {
        use Argon2Variant::{Argon2i, Argon2id};
        for (variant, passes, memory, lanes, expected) in [
            (Argon2i, 2, 1 << 16, 1, "c1628832147d9720c5bd1cfd61367078729f6dfb6f8fea9ff98158e0d7816ed0"),
            (Argon2id, 2, 1 << 16, 1, "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7"),
            (Argon2id, 2, 1 << 8, 1, "9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe"),
            (Argon2id, 2, 1 << 8, 2, "6d093c501fd5999645e0ea3bf620d7b8be7fd2db59c20d9fff9539da2bf57037"),
        ] {
            assert_eq!(argon(variant, passes, memory, lanes, "password", "somesalt"), expected);
        }
    }

    #[test]
    fn impossible_costs_are_errors() {
        let mut out = [0; 32];
        for (memory_kib, passes, lanes) in [(7, 1, 1), (8, 0, 1), (8, 1, 0), (8, 1, 2), (64, 1, u32::MAX)] {
            let cost = Argon2Cost { memory_kib, passes, lanes };
            assert!(argon2(Argon2Variant::Argon2id, b"p", b"somesalt", cost, &mut out).is_err(), "{cost:?}");
        }
        let cost = Argon2Cost { memory_kib: 8, passes: 1, lanes: 1 };
        assert!(argon2(Argon2Variant::Argon2id, b"p", b"short", cost, &mut out).is_err());
    }
}
