//! What became of each copy of a LUKS2 header when it was read.

use crate::luks2::binary_header::BinaryError;
use crate::luks2::json::MetadataError;
use block::BlockError;
use std::fmt;
use uuid::Uuid;

/// What was found of one copy of the header.
#[derive(Debug)]
pub enum CopyState {
    /// It is whole and the newest there is.
    Good,
    /// It is whole, but the other one is newer: an update was interrupted.
    Older {
        /// Its sequence number.
        sequence: u64,
    },
    /// It is whole and has the sequence number of the other one, and yet says something else: a restored header, or two
    /// programs at once.
    Different {
        /// The sequence number of both.
        sequence: u64,
    },
    /// It is whole and has another UUID: that of another volume, which was written over this one, or the other way round.
    Foreign {
        /// Its UUID.
        uuid: Uuid,
        /// Its sequence number.
        sequence: u64,
    },
    /// It cannot be used.
    Damaged {
        /// Why not.
        error: CopyError,
    },
}

/// Why one copy of the header cannot be used.
#[derive(Debug)]
pub enum CopyError {
    /// The disk could not be read there, or ends before it.
    Disk {
        /// What happened.
        source: BlockError,
    },
    /// It begins well, but the JSON behind could not be read, or the disk ends in it.
    JsonArea {
        /// What happened.
        source: BlockError,
    },
    /// The first 4096 bytes are not a header.
    Binary {
        /// Why not.
        source: BinaryError,
    },
    /// The checksum is wrong.
    Checksum,
    /// The JSON is wrong.
    Metadata {
        /// What is wrong.
        source: MetadataError,
    },
}

impl CopyError {
    /// Whether what was found began like a LUKS header.
    pub(crate) fn has_magic(&self) -> bool {
        match self {
            CopyError::Binary { source } => *source != BinaryError::WrongMagic,
            CopyError::JsonArea { .. } | CopyError::Checksum | CopyError::Metadata { .. } => true,
            CopyError::Disk { .. } => false,
        }
    }
}

impl fmt::Display for CopyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CopyState::Good => f.write_str("good"),
            CopyState::Older { sequence } => write!(f, "older (sequence number {sequence})"),
            CopyState::Different { sequence } => write!(f, "different (sequence number {sequence} like the other one)"),
            CopyState::Foreign { uuid, sequence } => {
                write!(f, "of another volume (UUID {uuid}, sequence number {sequence})")
            }
            CopyState::Damaged { error } => write!(f, "damaged: {error}"),
        }
    }
}

impl fmt::Display for CopyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CopyError::Disk { .. } => f.write_str("it cannot be read"),
            CopyError::JsonArea { .. } => f.write_str("its JSON area cannot be read"),
            CopyError::Binary { .. } => f.write_str("it is not a LUKS2 header"),
            CopyError::Checksum => f.write_str("its checksum is wrong"),
            CopyError::Metadata { .. } => f.write_str("its metadata is wrong"),
        }
    }
}

impl std::error::Error for CopyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            CopyError::Disk { source } | CopyError::JsonArea { source } => Some(source),
            CopyError::Binary { source } => Some(source),
            CopyError::Checksum => None,
            CopyError::Metadata { source } => Some(source),
        }
    }
}
