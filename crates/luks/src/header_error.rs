//! Why a disk has no header that can be read.

use crate::luks1::header::Luks1Error;
use crate::luks2::copy::CopyError;
use block::BlockError;
use std::fmt;

/// Why a disk has no header that can be read.
#[derive(Debug)]
pub enum HeaderError {
    /// There is no LUKS here.
    NotLuks,
    /// There is LUKS1, but its header cannot be used.
    Luks1 {
        /// What is wrong with it.
        source: Luks1Error,
    },
    /// There is a LUKS of a version that nobody knows.
    UnknownVersion {
        /// The version.
        version: u16,
    },
    /// There is LUKS2, but neither copy of the header can be used.
    Damaged {
        /// What is wrong with the first.
        primary: CopyError,
        /// What is wrong with the second.
        secondary: CopyError,
    },
    /// Only the second copy of a LUKS2 header can be used, and something else is there too. The copy may be what an older
    /// volume left behind.
    Ambiguous {
        /// What else is there.
        found: &'static str,
    },
    /// The disk could not be read.
    Disk {
        /// What happened.
        source: BlockError,
    },
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeaderError::NotLuks => f.write_str("there is no LUKS header"),
            HeaderError::Luks1 { .. } => f.write_str("the LUKS1 header is damaged"),
            HeaderError::UnknownVersion { version } => {
                write!(f, "this is a LUKS volume of the unknown version {version}")
            }
            HeaderError::Damaged { primary, secondary } => write!(
                f,
                "both copies of the LUKS2 header are damaged (primary: {}; secondary: {})",
                Causes(primary),
                Causes(secondary)
            ),
            HeaderError::Ambiguous { found } => {
                write!(f, "there is only the second copy of a LUKS2 header, and something else is there too: {found}")
            }
            HeaderError::Disk { .. } => f.write_str("the header cannot be read"),
        }
    }
}

/// An error and all that caused it: of two, `source` could name only one.
struct Causes<'a>(&'a dyn std::error::Error);

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        self.0.source().map_or(Ok(()), |source| write!(f, ": {}", Causes(source)))
    }
}

impl HeaderError {
    /// What a person can do next.
    pub fn hint(&self) -> &'static str {
        match self {
            HeaderError::NotLuks => "is it the right device or partition? `cotter image info FILE` lists partitions",
            HeaderError::UnknownVersion { .. } => "a newer program may know it",
            HeaderError::Damaged { .. } | HeaderError::Luks1 { .. } => {
                "restore a backup of the header: `cotter luks restore`"
            }
            HeaderError::Ambiguous { .. } => {
                "if that is what the disk is for, the LUKS2 header is a leftover; if not, after a backup of the disk, `cotter luks repair`"
            }
            HeaderError::Disk { .. } => "see the system's log for what the device reported",
        }
    }
}

impl std::error::Error for HeaderError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            HeaderError::Disk { source } => Some(source),
            HeaderError::Luks1 { source } => Some(source),
            _ => None,
        }
    }
}
