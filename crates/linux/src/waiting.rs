//! Waiting for sockets, in slices that let a cancel be seen.

use clevis::Deadline;
use rustix::event::{PollFd, Timespec, poll};
use std::time::{Duration, Instant};

/// How often a cancel is looked for; what waits promises 50 ms.
const LOOK_EVERY: Duration = Duration::from_millis(40);

/// Waits until one of `sockets` is ready, until `due` or `until`, and no longer than a cancel may go unnoticed.
pub(crate) fn wait(sockets: &mut [PollFd<'_>], due: Option<Instant>, until: Deadline) {
    wait_for(sockets, due, until, LOOK_EVERY);
}

/// The same with a longest slice of the caller's own.
pub(crate) fn wait_for(sockets: &mut [PollFd<'_>], due: Option<Instant>, until: Deadline, slice: Duration) {
    let now = Instant::now();
    let ends = due.into_iter().chain(until.instant()).map(|end| end.saturating_duration_since(now));
    let slice = ends.fold(slice, Duration::min);
    let seconds = i64::try_from(slice.as_secs()).unwrap_or(i64::MAX);
    let limit = Timespec { tv_sec: seconds, tv_nsec: slice.subsec_nanos().into() };
    // Interrupted, or without memory: whoever waits looks around and waits anew.
    let _ = poll(sockets, Some(&limit));
}
