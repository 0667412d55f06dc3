//! How long the command under way may still take.

use rustix::event::{PollFd, Timespec, poll};
use rustix::io::Errno;
use std::io;
use std::time::{Duration, Instant};
use tpm2::{Patience, TransportError};

/// How often a cancel is looked for while waiting; the port promises 50 ms.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How often what nothing tells is looked at: whether another thread is done, whether a queue has room.
pub(super) const GLANCE: Duration = Duration::from_millis(2);
/// The longest that any command may take, as the kernel's driver has it for the making of a key.
const LONGEST: Duration = Duration::from_secs(300);

/// The limits of one command.
pub(super) struct Waiting<'a> {
    since: Instant,
    until: Instant,
    patience: &'a Patience<'a>,
}

impl<'a> Waiting<'a> {
    /// From now on.
    pub(super) fn new(patience: &'a Patience<'a>) -> Waiting<'a> {
        let since = Instant::now();
        let own = since + patience.at_most.map_or(LONGEST, |at_most| at_most.min(LONGEST));
        Waiting { since, until: patience.until.map_or(own, |until| until.min(own)), patience }
    }

    /// How long to wait before looking again, or why to wait no more.
    pub(super) fn left(&self) -> Result<Duration, TransportError> {
        if (self.patience.cancelled)() {
            return Err(TransportError::Cancelled);
        }
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(TransportError::TimedOut { after: self.until.saturating_duration_since(self.since) });
        }
        Ok(left.min(LOOK_EVERY))
    }

    /// Waits until the socket is ready.
    pub(super) fn poll(&self, mut ready: PollFd<'_>) -> Result<(), TransportError> {
        loop {
            let slice = self.left()?;
            // A slice is at most LOOK_EVERY.
            let slice = Timespec { tv_sec: 0, tv_nsec: slice.subsec_nanos().into() };
            match poll(std::slice::from_mut(&mut ready), Some(&slice)) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(errno) => return Err(TransportError::Broken { source: io::Error::from(errno) }),
            }
        }
    }
}
