//! How long the exchange in progress may still wait, and the one place where this client waits for a socket.

use clevis::{Cancel, Deadline, NetError};
use rustix::event::{PollFd, Timespec, poll};
use rustix::io::Errno;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a cancel is looked for while waiting; the port promises 50 ms.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(20);

/// As long as the limits allow: longer than any exchange.
pub(super) const LONG: Duration = Duration::from_secs(24 * 3600);

/// The limits of the exchange in progress. `ureq` hands no such thing down to a transport, so the transports of one agent
/// share it with the exchange that has the agent to itself.
#[derive(Clone, Debug)]
pub(super) struct Patience(Arc<Mutex<Limits>>);

#[derive(Clone, Debug)]
struct Limits {
    since: Instant,
    until: Instant,
    cancel: Cancel,
}

impl Patience {
    /// From `since` to `until`, or until `cancel`.
    pub(super) fn new(since: Instant, until: Instant, cancel: &Cancel) -> Patience {
        Patience(Arc::new(Mutex::new(Limits { since, until, cancel: cancel.clone() })))
    }

    /// New limits, for the next exchange over the same agent.
    pub(super) fn renew(&self, since: Instant, until: Instant, cancel: &Cancel) {
        let mut limits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *limits = Limits { since, until, cancel: cancel.clone() };
    }

    /// The limits, for what waits by itself.
    pub(super) fn limits(&self) -> (Deadline, Cancel) {
        let limits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (Deadline::at(limits.until), limits.cancel.clone())
    }

    /// How long to wait before looking again, or why to wait no more.
    pub(super) fn left(&self) -> Result<Duration, NetError> {
        let limits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if limits.cancel.is_cancelled() {
            return Err(NetError::Cancelled);
        }
        let left = limits.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(NetError::TimedOut { after: limits.until.saturating_duration_since(limits.since) });
        }
        Ok(left.min(LOOK_EVERY))
    }

    /// Waits until one of `sockets` is ready or `at_most` has passed, but never beyond the limits.
    pub(super) fn wait(&self, sockets: &mut [PollFd<'_>], at_most: Duration) -> Result<(), NetError> {
        let stop = Instant::now() + at_most;
        loop {
            let slice = self.left()?.min(stop.saturating_duration_since(Instant::now()));
            match poll(sockets, Some(&timespec(slice))) {
                Ok(0) if Instant::now() < stop => {}
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(NetError::Broken { source: io::Error::from(errno).into() }),
            }
        }
    }
}

fn timespec(slice: Duration) -> Timespec {
    // A slice is at most LOOK_EVERY, so the seconds always fit.
    Timespec { tv_sec: i64::try_from(slice.as_secs()).unwrap_or(i64::MAX), tv_nsec: slice.subsec_nanos().into() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rustix::event::PollFlags;
    use std::os::unix::net::UnixStream;

    #[test]
    fn waiting_ends_with_data_a_slice_a_deadline_or_a_cancel() {
        let (mut near, far) = UnixStream::pair().unwrap();
        let (now, cancel) = (Instant::now(), Cancel::new());
        let patience = Patience::new(now, now + Duration::from_millis(60), &cancel);
        let wait = |at_most| patience.wait(&mut [PollFd::new(&far, PollFlags::IN)], at_most);
        wait(Duration::from_millis(1)).unwrap();
        assert!(matches!(wait(LONG), Err(NetError::TimedOut { .. })));
        assert!(now.elapsed() >= Duration::from_millis(60));
        let now = Instant::now();
        patience.renew(now, now + Duration::from_secs(60), &cancel);
        io::Write::write_all(&mut near, b"x").unwrap();
        wait(LONG).unwrap();
        cancel.cancel();
        assert!(matches!(wait(LONG), Err(NetError::Cancelled)));
    }
}
