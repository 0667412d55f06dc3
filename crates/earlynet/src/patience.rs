//! How long to wait for an answer before asking again.

use std::time::Duration;

/// Numbers that nobody else can foresee, from the caller's source: each call gives another one.
pub type Random<'a> = dyn FnMut() -> u64 + 'a;

/// Waits that double from one attempt to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// The first wait.
    pub first: Duration,
    /// The longest.
    pub most: Duration,
}

impl Patience {
    /// What RFC 2131 asks for (section 4.1): 4 seconds, doubled up to 64.
    pub const RFC_2131: Patience = Patience { first: Duration::from_secs(4), most: Duration::from_secs(64) };
    /// What klibc does, and what is right where a whole machine waits: 1 second at first. A switch that has just seen a carrier swallows the
    /// first packets as a rule.
    pub const EARLY: Patience = Patience { first: Duration::from_secs(1), most: Duration::from_secs(16) };

    /// How long to wait behind attempt `attempt` (from 0): up to a second or a quarter, whichever is less, more or less than doubled.
    pub fn wait(&self, attempt: u32, random: u64) -> Duration {
        let doubled = self.first.saturating_mul(1_u32.checked_shl(attempt).unwrap_or(u32::MAX)).min(self.most);
        let spread = (doubled / 4).min(Duration::from_secs(1));
        doubled.saturating_sub(spread) + part_of(spread.saturating_mul(2), random)
    }
}

/// A part of `whole` from nothing to nearly all, as the lower bits of `random` have it.
pub(crate) fn part_of(whole: Duration, random: u64) -> Duration {
    whole.saturating_mul(u32::from(crate::bytes::low_16(low_32(random)))) / 65536
}

/// The lower half.
pub(crate) fn low_32(value: u64) -> u32 {
    let [.., a, b, c, d] = value.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(patience: Patience, attempt: u32, least_ms: u64, most_ms: u64) {
        assert_eq!(patience.wait(attempt, 0), Duration::from_millis(least_ms), "{attempt}");
        let longest = patience.wait(attempt, u64::MAX);
        assert!(longest <= Duration::from_millis(most_ms) && longest > Duration::from_millis(most_ms - 1), "{attempt}");
    }

    /// The RFC's own numbers: 4, 8, 16, 32, 64 seconds, each a second more or less.
    #[test]
    fn waits_double() {
        for (attempt, seconds) in [(0, 4), (1, 8), (2, 16), (3, 32), (4, 64), (5, 64), (99, 64)] {
            check(Patience::RFC_2131, attempt, (seconds - 1) * 1000, (seconds + 1) * 1000);
        }
        check(Patience::EARLY, 0, 750, 1250);
        check(Patience::EARLY, 1, 1500, 2500);
        check(Patience::EARLY, 30, 15000, 17000);
    }
}
