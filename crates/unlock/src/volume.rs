//! The disk of a header, and how it is changed: computed without the lock, written under it, read back, taken back if need be.
//!
//! The lock is never held over a key derivation: the change is computed without it, and computed anew when the header turns out
//! to have changed meanwhile.

use crate::commit_error::{CommitError, RevertFailure, TRIES};
use block::BlockWrite;
use clevis::Cancel;
use crypto::Random;
use luks::{Accepted, Allowed, Applied, ApplyError, Edit, Header};
use std::error::Error;
use std::fmt;

/// Takes the write lock of the volume; it is held until what is returned is dropped.
pub type Exclusive<'a> = dyn Fn() -> Result<Box<dyn Send>, Box<dyn Error + Send + Sync>> + 'a;

/// A volume whose header is to be changed, and what the change needs from outside.
#[derive(Clone, Copy)]
pub struct Volume<'a> {
    /// The disk of the header.
    pub disk: &'a dyn BlockWrite,
    /// What a header must be to be changed.
    pub allowed: Allowed,
    /// The lock that others take too.
    pub exclusive: &'a Exclusive<'a>,
    /// The lock under which headers are read; it may be the same.
    pub reading: &'a Exclusive<'a>,
    /// Random numbers.
    pub random: &'a dyn Random,
    /// When to give up.
    pub cancel: &'a Cancel,
}

impl Volume<'_> {
    /// Reads the header and accepts it. The lock is held meanwhile: somebody else may be half way through writing it.
    pub(crate) fn accepted(&self) -> Result<Accepted, CommitError> {
        let held = (self.reading)().map_err(CommitError::Lock)?;
        let header = Header::read(&self.disk);
        drop(held);
        let header = header.map_err(CommitError::Header)?;
        header.accept(&self.allowed).map_err(CommitError::Refused)
    }

    /// Computes a change, takes the lock and writes it; anew if the header has changed in between.
    ///
    /// # Errors
    /// [`CommitError`]. The disk is then as it was, unless it is [`CommitError::Apply`] with [`ApplyError::HalfDone`].
    pub fn write<T>(
        &self,
        change: impl for<'h> Fn(&'h Accepted, &'h dyn Random) -> Result<(Edit<'h>, T), CommitError>,
    ) -> Result<(Applied, T), CommitError> {
        for _ in 0..TRIES {
            let header = self.accepted()?;
            let (edit, made) = change(&header, self.random)?;
            let held = (self.exclusive)().map_err(CommitError::Lock)?;
            self.alive()?;
            let applied = edit.apply(self.disk);
            drop(held);
            match applied {
                Ok(applied) => return Ok((applied, made)),
                Err(ApplyError::Changed { .. }) => {}
                Err(error) => return Err(CommitError::Apply(error)),
            }
        }
        Err(CommitError::Busy)
    }

    /// Writes a change as [`Volume::write`] does, then looks whether it does what it should: `prove` sees the header as the next
    /// start will. If it does not, or the person gives up, what was there before is put back.
    ///
    /// # Errors
    /// [`CommitError`], also whatever `prove` says. The disk is then as it was, unless it is [`CommitError::NotReverted`], or
    /// [`CommitError::Apply`] with [`ApplyError::HalfDone`].
    pub fn write_proved<T>(
        &self,
        change: impl for<'h> Fn(&'h Accepted, &'h dyn Random) -> Result<(Edit<'h>, T), CommitError>,
        prove: impl FnOnce(&Accepted, &T) -> Result<(), CommitError>,
    ) -> Result<T, CommitError> {
        let (applied, made) = self.write(change)?;
        let proved = self.accepted().and_then(|header| prove(&header, &made)).and_then(|()| self.alive());
        match proved {
            Ok(()) => Ok(made),
            Err(because) => Err(self.take_back(applied, because)),
        }
    }

    /// Puts back what was there before a change.
    fn take_back(&self, applied: Applied, because: CommitError) -> CommitError {
        let reverted = (self.exclusive)().map_err(RevertFailure::Lock).and_then(|held| {
            let reverted = applied.undo.revert(self.disk).map_err(RevertFailure::Revert);
            drop(held);
            reverted
        });
        match reverted {
            Ok(()) => because,
            Err(source) => CommitError::NotReverted { because: Box::new(because), source },
        }
    }

    fn alive(&self) -> Result<(), CommitError> {
        if self.cancel.is_cancelled() { Err(CommitError::Cancelled) } else { Ok(()) }
    }
}

impl fmt::Debug for Volume<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Volume").field("allowed", &self.allowed).finish_non_exhaustive()
    }
}
