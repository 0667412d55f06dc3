//! The second look at a header, between opening a volume and using it.
//!
//! Opening takes seconds, over a network too. What is mapped afterwards must be what was judged before: a header that somebody has
//! changed meanwhile is not used, whatever it says now.

use block::BlockRead;
use luks::{Accepted, Header, HeaderError};
use std::fmt;

/// Why an opened volume is not used.
#[derive(Debug)]
pub enum RecheckError {
    /// The header cannot be read a second time.
    Unreadable {
        /// What is there instead.
        source: HeaderError,
    },
    /// The header is another than the one that was accepted.
    Changed,
}

/// Reads the header of `disk` again and compares it with the one that was accepted, to the last byte of both of its copies. Call it
/// after the volume was opened and right before it is mapped or served, on the disk of the header, which need not be that of the data.
///
/// # Errors
/// [`RecheckError`]: then the volume is not to be used; opening it anew judges the header that is there now.
pub fn recheck(disk: &dyn BlockRead, accepted: &Accepted) -> Result<(), RecheckError> {
    let now = Header::read(disk).map_err(|source| RecheckError::Unreadable { source })?;
    if now.is_same(accepted.header()) { Ok(()) } else { Err(RecheckError::Changed) }
}

impl RecheckError {
    /// One thing to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            RecheckError::Unreadable { .. } => "see what is there now: `cotter luks dump`",
            RecheckError::Changed => "see who changes it, and try again: `cotter luks dump` shows what is there now",
        }
    }
}

impl fmt::Display for RecheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RecheckError::Unreadable { .. } => "the header could not be read a second time, so the volume is not used",
            RecheckError::Changed => "the header was changed after it was accepted, so the volume is not used",
        })
    }
}

impl std::error::Error for RecheckError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            RecheckError::Unreadable { source } => Some(source),
            RecheckError::Changed => None,
        }
    }
}
