//! Randomness as a port, so that a test can replay it.

use std::fmt;

/// A source of unpredictable bytes.
pub trait Random: Sync {
    /// Fills `into` completely.
    ///
    /// # Errors
    /// [`RandomFailed`] if the source has none to give; nothing secret may be made then.
    fn fill(&self, into: &mut [u8]) -> Result<(), RandomFailed>;
}

/// AWS-LC's generator, seeded by the kernel's, which blocks until it has been seeded itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

/// The random generator gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RandomFailed;

impl Random for SystemRandom {
    fn fill(&self, into: &mut [u8]) -> Result<(), RandomFailed> {
        aws_lc_rs::rand::fill(into).map_err(|_| RandomFailed)
    }
}

impl fmt::Display for RandomFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the system's random generator failed")
    }
}

impl std::error::Error for RandomFailed {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn two_draws_differ() {
        let (mut a, mut b) = ([0; 32], [0; 32]);
        SystemRandom.fill(&mut a).unwrap();
        SystemRandom.fill(&mut b).unwrap();
        assert!(a != b && a != [0; 32]);
    }
}
