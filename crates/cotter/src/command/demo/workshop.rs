//! The directory in which the demonstration happens.

use crate::error::CommandError;
use crate::private_dir::PrivateDir;
use std::path::{Path, PathBuf};

/// A private directory, because the demonstration's keys are in it.
pub struct Workshop(PrivateDir);

impl Workshop {
    /// Makes the directory.
    pub fn new(kept: bool) -> Result<Workshop, CommandError> {
        let directory = PrivateDir::new("cotter-demo")?;
        Ok(Workshop(if kept { directory.kept() } else { directory }))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The keys of the server.
    pub fn keys(&self) -> PathBuf {
        self.path().join("keys")
    }

    /// The disk image.
    pub fn image(&self) -> PathBuf {
        self.path().join("disk.img")
    }

    /// Whether it stays.
    pub fn is_kept(&self) -> bool {
        self.0.is_kept()
    }

    /// Removes it, and says so if that fails.
    pub fn close(&self) -> Result<(), CommandError> {
        self.0.close()
    }
}
