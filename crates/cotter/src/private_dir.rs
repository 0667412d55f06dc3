//! A directory that is nobody else's: mode 0700, in memory where there is such a place, gone afterwards.

use crate::error::CommandError;
use crypto::{Random, SystemRandom};
use std::fs::{DirBuilder, remove_dir_all};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// A directory of mode 0700. Dropped, it is removed, unless it was kept.
pub struct PrivateDir {
    path: PathBuf,
    kept: bool,
}

impl PrivateDir {
    /// Makes it, with a name that begins so. A place that is not on a disk is preferred.
    pub fn new(name: &str) -> Result<PrivateDir, CommandError> {
        let places = [std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from), Some(PathBuf::from("/dev/shm"))];
        let places = places.into_iter().flatten().chain([std::env::temp_dir()]);
        let mut failed = None;
        for place in places {
            match make(&place, name) {
                Ok(path) => return Ok(PrivateDir { path, kept: false }),
                Err(error) => failed = Some(error),
            }
        }
        let source = failed.unwrap_or_else(|| io::Error::from(io::ErrorKind::NotFound));
        Err(CommandError::failed("cannot make a temporary directory", source).hint("set TMPDIR"))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lets it stay.
    #[must_use]
    pub fn kept(mut self) -> PrivateDir {
        self.kept = true;
        self
    }

    /// Whether it stays.
    pub fn is_kept(&self) -> bool {
        self.kept
    }

    /// Removes it, and says so if that fails.
    pub fn close(&self) -> Result<(), CommandError> {
        if self.kept {
            return Ok(());
        }
        let what = || format!("cannot remove {}", self.path.display());
        remove_dir_all(&self.path).map_err(|source| CommandError::failed(what(), source))
    }
}

impl Drop for PrivateDir {
    fn drop(&mut self) {
        if !self.kept {
            // After `close` it is gone already; after a failure, the failure is what is reported.
            let _ = remove_dir_all(&self.path);
        }
    }
}

fn make(place: &Path, name: &str) -> io::Result<PathBuf> {
    let mut number = [0; 8];
    SystemRandom.fill(&mut number).map_err(io::Error::other)?;
    let path = place.join(format!("{name}-{:016x}", u64::from_ne_bytes(number)));
    DirBuilder::new().mode(0o700).create(&path)?;
    Ok(path)
}
