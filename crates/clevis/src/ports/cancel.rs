//! When to stop waiting: at a time, or because somebody else has answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// The time after which nobody waits any more. It covers a whole exchange, not one read of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// No limit of the caller's. A port may still have one of its own.
    pub const NEVER: Deadline = Deadline(None);

    /// Wait until `when`. The clock belongs to the edge, so this crate only carries the value.
    pub fn at(when: Instant) -> Deadline {
        Deadline(Some(when))
    }

    /// The moment, unless there is none.
    pub fn instant(self) -> Option<Instant> {
        self.0
    }

    /// Whichever comes first.
    #[must_use]
    pub fn earlier(self, other: Deadline) -> Deadline {
        match (self.0, other.0) {
            (Some(a), Some(b)) => Deadline(Some(a.min(b))),
            (a, b) => Deadline(a.or(b)),
        }
    }
}

/// A flag that ends waiting. Whoever waits looks at it at least every 50 ms.
///
/// A child ends with its parent, but not the other way round: a threshold stops its own children and nobody else's.
#[derive(Clone, Debug)]
pub struct Cancel(Arc<Flag>);

#[derive(Debug)]
struct Flag {
    raised: AtomicBool,
    parent: Option<Cancel>,
}

impl Cancel {
    /// A flag of its own, not raised.
    pub fn new() -> Cancel {
        Cancel::under(None)
    }

    /// A flag that counts as raised when this one is.
    pub fn child(&self) -> Cancel {
        Cancel::under(Some(self.clone()))
    }

    /// Raises the flag; it cannot be lowered.
    pub fn cancel(&self) {
        self.0.raised.store(true, Ordering::Release);
    }

    /// Whether this flag, or one above it, is raised.
    pub fn is_cancelled(&self) -> bool {
        let mut next = Some(self);
        while let Some(Cancel(flag)) = next {
            if flag.raised.load(Ordering::Acquire) {
                return true;
            }
            next = flag.parent.as_ref();
        }
        false
    }

    fn under(parent: Option<Cancel>) -> Cancel {
        Cancel(Arc::new(Flag { raised: AtomicBool::new(false), parent }))
    }
}

impl Default for Cancel {
    fn default() -> Cancel {
        Cancel::new()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_parent_reaches_all_and_a_child_only_its_own() {
        let top = Cancel::new();
        let (left, right) = (top.child(), top.child());
        let below = left.child();
        left.cancel();
        assert!(left.is_cancelled() && below.is_cancelled());
        assert!(!top.is_cancelled() && !right.is_cancelled());
        top.clone().cancel();
        assert!(right.is_cancelled());
    }

    #[test]
    fn the_earlier_deadline_stands() {
        let now = Instant::now();
        let later = Deadline::at(now + Duration::from_secs(1));
        assert_eq!(later.earlier(Deadline::at(now)).instant(), Some(now));
        assert_eq!(Deadline::NEVER.earlier(later), later);
        assert_eq!(later.earlier(Deadline::NEVER), later);
        assert_eq!(Deadline::NEVER.earlier(Deadline::NEVER).instant(), None);
    }
}
