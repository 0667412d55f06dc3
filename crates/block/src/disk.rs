//! Joint number two: what counts as a disk.

use crate::unit::Bytes;
use std::fmt;
use std::io;

/// A disk that can be read. Calls are positioned, so `&self`, and safe to share between threads.
pub trait BlockRead: Send + Sync {
    /// The disk's length. It does not change while the disk is open.
    fn len(&self) -> Bytes;

    /// Fills `into` with the bytes from `offset` on, all of them or an error.
    ///
    /// # Errors
    /// [`BlockError::BeyondEnd`] if any of it lies behind the end, before anything is read.
    fn read_at(&self, offset: Bytes, into: &mut [u8]) -> Result<(), BlockError>;

    /// Whether the disk has no bytes at all.
    fn is_empty(&self) -> bool {
        self.len() == Bytes(0)
    }
}

/// A disk that can be changed.
pub trait BlockWrite: BlockRead {
    /// Writes all of `from` at `offset`, or says why not. Durable only after [`BlockWrite::flush`].
    ///
    /// # Errors
    /// [`BlockError::BeyondEnd`] if any of it lies behind the end, before anything is written.
    fn write_at(&self, offset: Bytes, from: &[u8]) -> Result<(), BlockError>;

    /// Returns once everything written before is on stable storage.
    fn flush(&self) -> Result<(), BlockError>;
}

/// Why a disk did not do what was asked.
#[derive(Debug)]
pub enum BlockError {
    /// The request reaches behind the end of the disk.
    BeyondEnd {
        /// Where it begins.
        offset: Bytes,
        /// How long it is.
        length: Bytes,
        /// How long the disk is.
        disk: Bytes,
    },
    /// The medium or the system failed.
    Failed {
        /// What was being done, such as `read`.
        doing: &'static str,
        /// Where.
        offset: Bytes,
        /// What the system said.
        source: io::Error,
    },
}

impl BlockError {
    /// Refuses a request that reaches behind the end of a disk of `disk` bytes.
    pub fn check_range(offset: Bytes, length: usize, disk: Bytes) -> Result<(), BlockError> {
        let length = Bytes::from(length);
        match offset.checked_add(length) {
            Some(end) if end <= disk => Ok(()),
            _ => Err(BlockError::BeyondEnd { offset, length, disk }),
        }
    }
}

impl fmt::Display for BlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BlockError::BeyondEnd { offset, length, disk } => {
                write!(f, "{} bytes at {} reach behind the end of a disk of {} bytes", length.0, offset.0, disk.0)
            }
            BlockError::Failed { doing, offset, .. } => write!(f, "cannot {doing} at byte {}", offset.0),
        }
    }
}

impl std::error::Error for BlockError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            BlockError::BeyondEnd { .. } => None,
            BlockError::Failed { source, .. } => Some(source),
        }
    }
}

macro_rules! forward_disk {
    ($($pointer:ty),*) => {$(
        impl<D: BlockRead + ?Sized> BlockRead for $pointer {
            fn len(&self) -> Bytes {
                (**self).len()
            }
            fn read_at(&self, offset: Bytes, into: &mut [u8]) -> Result<(), BlockError> {
                (**self).read_at(offset, into)
            }
        }
        impl<D: BlockWrite + ?Sized> BlockWrite for $pointer {
            fn write_at(&self, offset: Bytes, from: &[u8]) -> Result<(), BlockError> {
                (**self).write_at(offset, from)
            }
            fn flush(&self) -> Result<(), BlockError> {
                (**self).flush()
            }
        }
    )*};
}

forward_disk!(&D, Box<D>, std::sync::Arc<D>);
