//! Why a volume cannot be made.

use crate::cipher::Cipher;
use crate::edit_error::EditError;
use crate::header::Version;
use crate::luks1::header::Luks1Error;
use crate::luks2::json::MetadataError;
use crate::refused::Refused;
use crate::undo::ApplyError;
use block::{BlockError, Bytes};
use crypto::RandomFailed;
use std::fmt;

/// Why a volume cannot be made, or was not.
#[derive(Debug)]
pub enum FormatError {
    /// The cipher does not take a key of that length.
    KeyLength {
        /// The cipher.
        cipher: Cipher,
        /// The length, in bytes.
        found: u32,
    },
    /// This version of the format has no such thing.
    NotInThisVersion {
        /// What it has not.
        what: &'static str,
        /// The version.
        version: Version,
    },
    /// The data's beginning is not a multiple of 4096.
    Misaligned {
        /// What was asked for.
        offset: Bytes,
    },
    /// The data would begin further on than the header can say.
    OffsetTooLarge {
        /// What was asked for.
        offset: Bytes,
    },
    /// The area for key material is not a multiple of 4096, too small for one slot, or too large for what lies around it.
    KeyslotsSize {
        /// What was asked for.
        found: Bytes,
        /// The least that would do.
        least: Bytes,
        /// The most.
        most: Bytes,
    },
    /// There is no room for a slot between the header and the data.
    OffsetTooSmall {
        /// What was asked for.
        offset: Bytes,
        /// The least that would do.
        least: Bytes,
    },
    /// The disk ends before the first sector of data does.
    DiskTooSmall {
        /// How long the disk is.
        disk: Bytes,
        /// How long it would have to be.
        least: Bytes,
    },
    /// A label is longer than 47 bytes, or holds a NUL.
    Label,
    /// The disk is not the one that the plan is for.
    OtherDisk,
    /// There were no random bytes.
    Random {
        /// What went wrong.
        source: RandomFailed,
    },
    /// The cost of the passphrase or the like is not allowed.
    Refused {
        /// What is not.
        source: Refused,
    },
    /// The header would be wrong.
    Metadata {
        /// What would be.
        source: MetadataError,
    },
    /// The LUKS1 header would be wrong.
    Luks1 {
        /// What would be.
        source: Luks1Error,
    },
    /// The slot could not be made.
    Keyslot {
        /// Why not.
        source: EditError,
    },
    /// The disk failed while its beginning was wiped. What was there is lost.
    Disk {
        /// What went wrong.
        source: BlockError,
    },
    /// The header could not be written. What was there is lost.
    Apply {
        /// What went wrong.
        source: ApplyError,
    },
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FormatError::KeyLength { cipher, found } => write!(f, "{cipher} does not take a key of {found} bytes"),
            FormatError::NotInThisVersion { what, version } => write!(f, "{version} has no {what}"),
            FormatError::Misaligned { offset } => {
                write!(f, "the data cannot begin at {}: not a multiple of 4096", offset.0)
            }
            FormatError::OffsetTooLarge { offset } => {
                write!(f, "the data cannot begin at {}: the header cannot say so", offset.0)
            }
            FormatError::KeyslotsSize { found, least, most } => write!(
                f,
                "the area for key material cannot have {} bytes: a multiple of 4096 from {} to {}",
                found.0, least.0, most.0
            ),
            FormatError::OffsetTooSmall { offset, least } => {
                write!(f, "the data cannot begin at {}: header and one slot take {} bytes", offset.0, least.0)
            }
            FormatError::DiskTooSmall { disk, least } => {
                write!(f, "the disk has {} bytes, and {} are the least", disk.0, least.0)
            }
            FormatError::Label => f.write_str("a label has at most 47 bytes, and no NUL"),
            FormatError::OtherDisk => f.write_str("the disk has another length than the one the plan was made for"),
            FormatError::Random { .. } => f.write_str("there are no random bytes"),
            FormatError::Refused { .. } => f.write_str("such a volume would not be accepted"),
            FormatError::Metadata { .. } | FormatError::Luks1 { .. } => f.write_str("the header would not be right"),
            FormatError::Keyslot { .. } => f.write_str("the slot could not be made; nothing was written"),
            FormatError::Disk { .. } => {
                f.write_str("the beginning of the disk could not be overwritten; what was there is lost")
            }
            FormatError::Apply { .. } => f.write_str("the header could not be written; what was there is lost"),
        }
    }
}

impl std::error::Error for FormatError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            FormatError::Random { source } => Some(source),
            FormatError::Refused { source } => Some(source),
            FormatError::Metadata { source } => Some(source),
            FormatError::Luks1 { source } => Some(source),
            FormatError::Keyslot { source } => Some(source),
            FormatError::Disk { source } => Some(source),
            FormatError::Apply { source } => Some(source),
            _ => None,
        }
    }
}
