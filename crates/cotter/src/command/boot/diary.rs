//! What a stage does, written down as it is done: who kills it loses nothing of it.

use super::events::{one_line, say};
use super::handover::{Handover, Opening};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The file for the next stage, kept up to date.
pub struct Diary {
    directory: PathBuf,
    done: Mutex<Handover>,
}

impl Diary {
    /// Goes on with what the stage before has written. What cannot be read is told, and kept from harm until there is more to write.
    pub fn open(directory: &Path) -> Diary {
        let done = Handover::read(directory).unwrap_or_else(|error| {
            say(None, &one_line(&error));
            Handover::default()
        });
        Diary { directory: directory.to_owned(), done: Mutex::new(done) }
    }

    /// A volume was opened.
    pub fn opened(&self, opening: Opening) {
        let mut done = self.done();
        done.opened.push(opening);
        self.write(&done);
    }

    /// This was done to the network so far, and what the stage before has left.
    pub fn network(&self, changes: Vec<String>) {
        let mut done = self.done();
        let new: Vec<String> = changes.into_iter().filter(|change| !done.network.contains(change)).collect();
        if !new.is_empty() {
            done.network.extend(new);
            self.write(&done);
        }
    }

    fn done(&self) -> MutexGuard<'_, Handover> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, done: &Handover) {
        if let Err(error) = done.write(&self.directory) {
            say(None, &one_line(&error));
        }
    }
}
