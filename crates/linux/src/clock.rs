//! The clock: the core takes times as arguments, and this is where they come from.

use clevis::Deadline;
use std::time::{Duration, Instant};

/// The deadline `limit` from now; one too far for the clock is none.
pub fn deadline_after(limit: Duration) -> Deadline {
    Instant::now().checked_add(limit).map_or(Deadline::NEVER, Deadline::at)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_deadline_lies_ahead_by_its_limit() {
        let before = Instant::now();
        let deadline = deadline_after(Duration::from_secs(60)).instant().unwrap();
        assert!(deadline >= before + Duration::from_secs(60));
        assert!(deadline <= Instant::now() + Duration::from_secs(60));
        assert_eq!(deadline_after(Duration::MAX), Deadline::NEVER);
    }
}
