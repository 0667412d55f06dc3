//! What sealing leaves in a TPM beside the JWE.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use tpm2::NvIndex;

/// The counters that were defined for JWEs. Whoever gives up a JWE takes them back: [`crate::measured::take_back`].
#[derive(Debug, Default)]
pub struct Made {
    rehearsed: AtomicBool,
    counters: Mutex<Vec<NvIndex>>,
}

impl Made {
    /// Nothing so far.
    pub const fn new() -> Made {
        Made { rehearsed: AtomicBool::new(false), counters: Mutex::new(Vec::new()) }
    }

    /// From here on nothing is defined: what would be is noted alone, and a JWE goes without it.
    pub fn rehearse(&self) {
        self.rehearsed.store(true, Ordering::Relaxed);
    }

    /// Whether nothing shall be defined.
    pub fn is_rehearsed(&self) -> bool {
        self.rehearsed.load(Ordering::Relaxed)
    }

    /// The counters that were defined, or would be.
    pub fn counters(&self) -> Vec<NvIndex> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same, and forgets them.
    pub fn take(&self) -> Vec<NvIndex> {
        std::mem::take(&mut *self.counters.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes one.
    pub(crate) fn note(&self, index: NvIndex) {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner).push(index);
    }
}
