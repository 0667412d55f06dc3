//! The clock: the core takes times as arguments, and this is where they come from.

use clevis::Deadline;
use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant};

/// How long the processor has worked for this thread: what a measurement takes, whoever else is at work.
pub fn thread_time() -> Duration {
    read(ClockId::ThreadCPUTime)
}

fn read(clock: ClockId) -> Duration {
    let now = clock_gettime(clock);
    let (seconds, nanos) = (u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0));
    Duration::new(seconds, nanos)
}

/// How long ago the machine was started, by the clock that nobody sets and that stands while it sleeps.
pub fn since_start() -> Duration {
    read(ClockId::Monotonic)
}

/// The deadline `limit` from now; one too far for the clock is none.
pub fn deadline_after(limit: Duration) -> Deadline {
    Instant::now().checked_add(limit).map_or(Deadline::NEVER, Deadline::at)
}

/// Whether nobody waits any more.
pub fn is_past(deadline: Deadline) -> bool {
    deadline.instant().is_some_and(|until| until <= Instant::now())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn work_takes_time() {
        let before = thread_time();
        let mut worked = 0_u64;
        while thread_time() == before {
            worked += 1;
        }
        assert!(worked < u64::MAX && thread_time() > before);
    }

    #[test]
    fn a_deadline_lies_ahead_by_its_limit() {
        let before = Instant::now();
        let deadline = deadline_after(Duration::from_secs(60)).instant().unwrap();
        assert!(deadline >= before + Duration::from_secs(60));
        assert!(deadline <= Instant::now() + Duration::from_secs(60));
        assert_eq!(deadline_after(Duration::MAX), Deadline::NEVER);
        assert!(!is_past(Deadline::at(deadline)) && !is_past(Deadline::NEVER) && is_past(Deadline::at(before)));
    }
}
