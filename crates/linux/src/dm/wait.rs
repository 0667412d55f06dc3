//! Waiting for others: users of a mapping that leave it, udev that has not come round yet.

use clevis::{Cancel, Deadline};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Longest time between two looks, so that a cancel is noticed in time.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// How long to wait for others.
#[derive(Clone, Copy, Debug)]
pub struct Wait<'a> {
    /// No longer than this.
    pub until: Deadline,
    /// Nor after this was raised.
    pub cancel: &'a Cancel,
}

impl Wait<'_> {
    /// The same, but at most `limit` from now.
    pub(super) fn at_most(self, limit: Duration) -> Self {
        let limited = Instant::now().checked_add(limit).map_or(Deadline::NEVER, Deadline::at);
        Wait { until: self.until.earlier(limited), cancel: self.cancel }
    }

    /// Pauses, at most 50 ms, and says whether there is time for another look. At its end there always is a last one.
    pub(super) fn pause(&self, pause: Duration) -> bool {
        if self.cancel.is_cancelled() {
            return false;
        }
        let left = self.until.instant().map(|until| until.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return false;
        }
        sleep(pause.min(LONGEST_PAUSE).min(left.unwrap_or(Duration::MAX)));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_at_its_deadline_and_with_a_cancel() {
        let cancel = Cancel::new();
        let over = Wait { until: Deadline::at(Instant::now()), cancel: &cancel };
        assert!(!over.pause(Duration::from_secs(9)));
        let wait = Wait { until: Deadline::NEVER, cancel: &cancel };
        assert!(wait.pause(Duration::ZERO));
        assert!(!wait.at_most(Duration::ZERO).pause(Duration::ZERO));
        let short = wait.at_most(Duration::from_millis(3));
        let start = Instant::now();
        while short.pause(Duration::from_secs(9)) {}
        assert!(start.elapsed() >= Duration::from_millis(3));
        cancel.cancel();
        assert!(!wait.pause(Duration::from_secs(9)));
    }
}
