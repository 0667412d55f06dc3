//! The way to a TPM: one command out, one answer in.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::{Duration, Instant};

/// Longest answer that a transport hands over, in bytes. No command here has one a third as long.
pub const LONGEST_ANSWER: usize = 4096;

/// A TPM that can be talked to.
pub trait Transport: Sync {
    /// Begins a conversation. Nobody else of this process talks to the TPM until it is dropped: a TPM without a resource manager holds
    /// three objects, which is enough for one.
    ///
    /// # Errors
    /// [`TransportError`] if there is no TPM, or nobody could be waited for any longer.
    fn begin<'a>(&'a self, patience: &Patience<'_>) -> Result<Box<dyn Conversation + 'a>, TransportError>;
}

/// One conversation with a TPM.
pub trait Conversation {
    /// Sends `command` whole and brings the answer whole, at most [`LONGEST_ANSWER`] bytes: as many as its header says, nothing else in it
    /// is looked at. It ends when `patience` does, within 50 ms; the TPM may then still be at work.
    ///
    /// # Errors
    /// [`TransportError`].
    fn exchange(&mut self, command: &[u8], patience: &Patience<'_>) -> Result<Vec<u8>, TransportError>;

    /// Has `command` said when the TPM is done with the one that was given up, however late that is; nobody hears its answer. Whether it
    /// will be: a line on which something can be said at once does not need it.
    fn say_later(&mut self, _command: &[u8]) -> bool {
        false
    }

    /// Lets this much time pass: the TPM asked for the same command again later.
    ///
    /// # Errors
    /// [`TransportError::TimedOut`] and [`TransportError::Cancelled`] if `patience` ends before.
    fn pause(&mut self, time: Duration, patience: &Patience<'_>) -> Result<(), TransportError>;
}

/// How long to wait for a TPM. The clock belongs to the edge, so this crate only carries the values.
#[derive(Clone, Copy)]
pub struct Patience<'a> {
    /// Until then.
    pub until: Option<Instant>,
    /// And no longer than this for one command.
    pub at_most: Option<Duration>,
    /// And not when this says so.
    pub cancelled: &'a (dyn Fn() -> bool + Sync),
}

/// Why a command brought no answer.
#[derive(Debug)]
pub enum TransportError {
    /// This machine has no TPM, or the kernel has no driver for it.
    NoDevice,
    /// The setting that says where the TPM is cannot be followed.
    Setting {
        /// The environment variable.
        variable: &'static str,
        /// What it says.
        value: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The place is named, and no conversation can be begun there.
    Open {
        /// The device or the socket.
        place: String,
        /// Why not.
        source: io::Error,
    },
    /// The line broke, or what came over it is no answer of a TPM.
    Broken {
        /// How.
        source: io::Error,
    },
    /// The answer is longer than [`LONGEST_ANSWER`].
    TooLong,
    /// Time is up.
    TimedOut {
        /// How long the command had.
        after: Duration,
    },
    /// Somebody else answered first, or the person gave up.
    Cancelled,
}

impl fmt::Debug for Patience<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Patience({:?}, {:?})", self.until, self.at_most)
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TransportError::NoDevice => f.write_str("there is no TPM 2.0 device on this machine"),
            TransportError::Setting { variable, value, why } => write!(f, "{variable}={}: {why}", value.escape_debug()),
            TransportError::Open { place, .. } => write!(f, "the TPM at {} cannot be used", place.escape_debug()),
            TransportError::Broken { .. } => f.write_str("the TPM gave no whole answer"),
            TransportError::TooLong => write!(f, "the TPM's answer is longer than {LONGEST_ANSWER} bytes"),
            TransportError::TimedOut { after } => {
                write!(f, "the TPM gave no answer within {:.1} s", after.as_secs_f64())
            }
            TransportError::Cancelled => f.write_str("cancelled"),
        }
    }
}

impl Error for TransportError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            TransportError::Open { source, .. } | TransportError::Broken { source } => Some(source),
            TransportError::NoDevice
            | TransportError::Setting { .. }
            | TransportError::TooLong
            | TransportError::TimedOut { .. }
            | TransportError::Cancelled => None,
        }
    }
}
