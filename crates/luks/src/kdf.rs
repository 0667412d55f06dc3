//! From a passphrase to the key of a key area (LUKS2 on-disk format, section 3.2.3).

use crypto::kdf::{Argon2Cost, Argon2Variant, KdfError, argon2, pbkdf2};
use crypto::{Hash, Passphrase, Secret};
use std::num::NonZeroU32;
use std::time::Duration;

/// The fewest PBKDF2 iterations that LUKS knows; slots whose passphrase is random, like those of Clevis, have no more.
pub const LEAST_ITERATIONS: NonZeroU32 = match NonZeroU32::new(1000) {
    Some(n) => n,
    None => NonZeroU32::MIN,
};

/// How slow a passphrase is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KdfCost {
    /// PBKDF2 with HMAC over `hash`. Only for passphrases that nobody can guess, and where memory is missing.
    Pbkdf2 {
        /// The hash.
        hash: Hash,
        /// How many rounds.
        iterations: NonZeroU32,
    },
    /// Argon2 (RFC 9106).
    Argon2 {
        /// Which of them; `Argon2id` unless there is a reason.
        variant: Argon2Variant,
        /// Memory, passes, lanes.
        cost: Argon2Cost,
    },
}

impl KdfCost {
    /// For random passphrases: PBKDF2 with the fewest iterations. Clevis takes the hash of the volume's first slot.
    pub fn random_passphrase(hash: Hash) -> KdfCost {
        KdfCost::Pbkdf2 { hash, iterations: LEAST_ITERATIONS }
    }

    /// For people: Argon2id.
    pub fn argon2id(cost: Argon2Cost) -> KdfCost {
        KdfCost::Argon2 { variant: Argon2Variant::Argon2id, cost }
    }

    /// How much memory it takes, in KiB.
    pub fn memory_kib(&self) -> u64 {
        match self {
            KdfCost::Pbkdf2 { .. } => 0,
            KdfCost::Argon2 { cost, .. } => cost.memory_kib.into(),
        }
    }

    /// The name in the header.
    pub fn name(&self) -> &'static str {
        match self {
            KdfCost::Pbkdf2 { .. } => "pbkdf2",
            KdfCost::Argon2 { variant: Argon2Variant::Argon2i, .. } => "argon2i",
            KdfCost::Argon2 { variant: Argon2Variant::Argon2id, .. } => "argon2id",
        }
    }
}

/// A cost and the salt it is used with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kdf {
    /// What it costs.
    pub cost: KdfCost,
    /// The salt.
    pub salt: Vec<u8>,
}

impl Kdf {
    /// Derives `len` bytes.
    ///
    /// # Errors
    /// Whatever Argon2 says: parameters outside RFC 9106, no memory, no threads. PBKDF2 never fails.
    pub fn derive(&self, passphrase: &Passphrase, len: usize) -> Result<Secret, KdfError> {
        Secret::try_filled_by(len, |into| match self.cost {
            KdfCost::Pbkdf2 { hash, iterations } => {
                pbkdf2(hash, passphrase.expose(), &self.salt, iterations, into);
                Ok(())
            }
            KdfCost::Argon2 { variant, cost } => argon2(variant, passphrase.expose(), &self.salt, cost, into),
        })
    }
}

/// One run of Argon2 that the caller has timed.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// What was run.
    pub cost: Argon2Cost,
    /// How long it took.
    pub took: Duration,
}

/// The fewest passes of a scaled cost: as cryptsetup, memory grows first, and passes only when memory is at its limit.
const LEAST_PASSES: u64 = 4;
/// The least memory of a scaled cost, in KiB (64 MiB), where the limit allows so much.
const LEAST_MEMORY_KIB: u64 = 64 << 10;

/// The cost that takes about `target` on the machine where `measured` was run, within `most_memory_kib`.
///
/// The time of Argon2 is taken to grow with memory times passes; the lanes stay. At least 4 passes and 64 MiB (or the limit,
/// if that is less) are given even where that takes longer than `target`.
pub fn scaled_argon2(measured: Measured, target: Duration, most_memory_kib: u32) -> Argon2Cost {
    let Argon2Cost { memory_kib, passes, lanes } = measured.cost;
    // RFC 9106: at least 8 KiB for each lane.
    let most = u64::from(most_memory_kib.max(lanes.saturating_mul(8)));
    let done = u128::from(memory_kib) * u128::from(passes);
    let blocks = done.saturating_mul(target.as_micros()) / measured.took.as_micros().max(1);
    let blocks = u64::try_from(blocks).unwrap_or(u64::MAX);
    let memory = (blocks / LEAST_PASSES).max(LEAST_MEMORY_KIB).min(most);
    let passes = (blocks / memory.max(1)).max(LEAST_PASSES);
    Argon2Cost {
        memory_kib: u32::try_from(memory).unwrap_or(u32::MAX),
        passes: u32::try_from(passes).unwrap_or(u32::MAX),
        lanes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaled(took_ms: u64, target_ms: u64, most_kib: u32) -> (u32, u32) {
        let cost = Argon2Cost { memory_kib: 65536, passes: 4, lanes: 4 };
        let measured = Measured { cost, took: Duration::from_millis(took_ms) };
        let found = scaled_argon2(measured, Duration::from_millis(target_ms), most_kib);
        assert_eq!(found.lanes, 4);
        (found.memory_kib, found.passes)
    }

    #[test]
    fn memory_grows_first_and_passes_after_it() {
        assert_eq!(scaled(100, 200, 1 << 20), (131_072, 4));
        assert_eq!(scaled(100, 3200, 1 << 20), (1 << 20, 8));
        assert_eq!(scaled(100, 10, 1 << 20), (65_536, 4));
        assert_eq!(scaled(100, 100, 1024), (1024, 256));
        assert_eq!(scaled(100, 1, 0), (32, 81));
    }

    #[test]
    fn no_time_measured_is_no_panic() {
        assert_eq!(scaled(0, 2000, 1 << 20).0, 1 << 20);
        let cost = Argon2Cost { memory_kib: 0, passes: 0, lanes: 0 };
        let measured = Measured { cost, took: Duration::ZERO };
        assert_eq!(scaled_argon2(measured, Duration::MAX, u32::MAX).passes, 4);
    }
}
