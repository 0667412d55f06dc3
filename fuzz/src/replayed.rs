//! Random bytes that are the same in every run, so that an input means the same again.

use crypto::{Random, RandomFailed};
use std::sync::atomic::{AtomicU64, Ordering};

/// A sequence of numbers (splitmix64) from a fixed beginning.
#[derive(Default)]
pub(crate) struct Replayed(AtomicU64);

impl Random for Replayed {
    fn fill(&self, into: &mut [u8]) -> Result<(), RandomFailed> {
        for piece in into.chunks_mut(8) {
            let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            piece.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes()[..piece.len()]);
        }
        Ok(())
    }
}
