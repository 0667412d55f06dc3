//! A copy of a header with its key material, as `cryptsetup luksHeaderBackup` writes it.

use crate::header::Header;
use crate::header_error::HeaderError;
use crate::refused::Refused;
use crate::{luks1, luks2};
use block::{BlockError, BlockRead, Bytes, MemoryDisk};
use std::fmt;

/// The longest backup there can be: two headers of 4 MiB and 128 MiB of key material.
const LARGEST: u64 = (2 * 4 + 128) << 20;

/// The beginning of a disk up to the end of the key material. What it opens is protected by the passphrases alone.
pub struct Backup {
    bytes: Vec<u8>,
    header: Header,
}

/// Why there is no backup.
#[derive(Debug)]
pub enum BackupError {
    /// There is no header that can be read.
    Header {
        /// What is there instead.
        source: HeaderError,
    },
    /// The header says that key material lies where it must not: in the data, or behind the end of the disk.
    Refused {
        /// Whose.
        source: Refused,
    },
    /// The key material reaches farther than any does.
    TooLong,
    /// It is cut off.
    TooShort {
        /// How long it is.
        found: Bytes,
        /// How long it should be.
        expected: Bytes,
    },
    /// Somebody has changed the header while it was read.
    Changed,
    /// The disk could not be read.
    Disk {
        /// What went wrong.
        source: BlockError,
    },
}

impl Backup {
    /// More bytes than this no backup has; whoever reads a file need not read further.
    pub const LARGEST: Bytes = Bytes(LARGEST);

    /// Copies the header of `disk`, byte for byte: a copy of it that is damaged stays so. The caller holds the volume's lock,
    /// at least to read.
    ///
    /// # Errors
    /// [`BackupError`].
    pub fn read(disk: &dyn BlockRead) -> Result<Backup, BackupError> {
        let found = Header::read(disk).map_err(|source| BackupError::Header { source })?;
        if let Header::Luks1(header) = &found {
            luks1::accept::accept_areas_on(header, disk.len()).map_err(|source| BackupError::Refused { source })?;
        }
        let mut bytes = vec![0; usize::try_from(length(&found)?.0).unwrap_or(usize::MAX)];
        let there = bytes.len().min(usize::try_from(disk.len().0).unwrap_or(usize::MAX));
        // The last page may reach behind the end of the disk.
        let part = bytes.get_mut(..there).unwrap_or_default();
        disk.read_at(Bytes(0), part).map_err(|source| BackupError::Disk { source })?;
        if let Header::Luks1(header) = &found {
            luks1::backup::clean(header, &mut bytes);
        }
        let backup = Backup::parse(bytes)?;
        if backup.header.is_copied_from(&found) { Ok(backup) } else { Err(BackupError::Changed) }
    }

    /// Takes the bytes of a backup; what stands behind it is cut off.
    ///
    /// # Errors
    /// [`BackupError`].
    pub fn parse(bytes: Vec<u8>) -> Result<Backup, BackupError> {
        let disk = MemoryDisk::from(bytes);
        let header = Header::read(&disk).map_err(|source| BackupError::Header { source })?;
        let (mut bytes, expected) = (disk.to_vec(), length(&header)?);
        let found = Bytes::from(bytes.len());
        if found < expected {
            return Err(BackupError::TooShort { found, expected });
        }
        bytes.truncate(usize::try_from(expected.0).unwrap_or(usize::MAX));
        Ok(Backup { bytes, header })
    }

    /// The header in it.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// All of it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// How long a backup is. Never longer than the longest.
fn length(header: &Header) -> Result<Bytes, BackupError> {
    let length = match header {
        Header::Luks1(header) => luks1::backup::length(header).map_err(|source| BackupError::Refused { source })?,
        Header::Luks2(header) => Some(luks2::backup::length(header)),
    };
    length.filter(|length| *length <= Backup::LARGEST).ok_or(BackupError::TooLong)
}

impl fmt::Debug for Backup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backup").field("length", &self.bytes.len()).field("uuid", &self.header.uuid()).finish()
    }
}

impl fmt::Display for BackupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BackupError::Header { .. } => f.write_str("there is no header to copy"),
            BackupError::Refused { .. } => f.write_str("where all the key material is is not known"),
            BackupError::TooLong => write!(f, "the key material does not end within {}", Backup::LARGEST),
            BackupError::TooShort { found, expected } => {
                write!(f, "the backup is cut off: {} of {} bytes", found.0, expected.0)
            }
            BackupError::Changed => f.write_str("somebody has changed the header while it was read"),
            BackupError::Disk { .. } => f.write_str("the header and its key material cannot be read"),
        }
    }
}

impl BackupError {
    /// What a person can do next.
    pub fn hint(&self) -> &'static str {
        match self {
            BackupError::Header { source: HeaderError::Damaged { .. } | HeaderError::Luks1 { .. } } => {
                "on a disk `cotter luks repair` may mend it; of a backup that is damaged, look for another copy"
            }
            BackupError::Header { source } => source.hint(),
            BackupError::Refused { source } => source.hint(),
            BackupError::TooLong => "see where the header says that it lies: `cotter luks dump`",
            BackupError::TooShort { .. } => "copy the whole file again from where it was kept",
            BackupError::Changed => "try it again",
            BackupError::Disk { .. } => "see the system's log for what the device reported",
        }
    }
}

impl std::error::Error for BackupError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            BackupError::Header { source } => Some(source),
            BackupError::Refused { source } => Some(source),
            BackupError::Disk { source } => Some(source),
            BackupError::TooLong | BackupError::TooShort { .. } | BackupError::Changed => None,
        }
    }
}
