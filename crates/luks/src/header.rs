//! The header of a volume, of either version.

use crate::header_error::HeaderError;
use crate::luks1::header::{HEADER_LEN, Luks1, Luks1Error};
use crate::luks1::meta::TableBytes;
use crate::luks2::binary_header::{BinaryHeader, HeaderCopy};
use crate::luks2::header::Luks2;
use block::{BlockError, BlockRead, Bytes};
use std::fmt;
use uuid::Uuid;

/// A header as it was read, once. Nothing in it has been judged: see [`crate::Allowed`].
#[derive(Debug)]
pub enum Header {
    /// LUKS1.
    Luks1(Box<Luks1>),
    /// LUKS2.
    Luks2(Box<Luks2>),
}

/// What two readings of a header have in common only if nobody has changed it in between.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Identity {
    /// All bytes, and those of the table of LUKSMeta or what stands in its place.
    Luks1(Box<[u8; HEADER_LEN]>, Option<Box<TableBytes>>),
    /// Both copies' binary headers: the checksum of each covers all of it. The chosen copy comes first.
    Luks2(Box<(BinaryHeader, Option<BinaryHeader>)>),
}

impl Identity {
    /// The sequence number, where there is one.
    pub(crate) fn sequence(&self) -> u64 {
        match self {
            Identity::Luks1(..) => 0,
            Identity::Luks2(copies) => copies.0.sequence,
        }
    }
}

/// A version of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// LUKS1.
    Luks1,
    /// LUKS2.
    Luks2,
}

impl Header {
    /// Reads the header at the beginning of `disk`. With LUKS2 both copies are checked, and the newer one that is whole is taken.
    ///
    /// # Errors
    /// [`HeaderError`] says what is there instead.
    pub fn read(disk: &dyn BlockRead) -> Result<Header, HeaderError> {
        // The end of a LUKS1 header may well lie where an old second copy of LUKS2 was: its version decides, nothing else.
        if let Some(bytes) = luks1_bytes(disk)? {
            let header = Luks1::read(bytes, disk).map_err(|source| HeaderError::Luks1 { source })?;
            return Ok(Header::Luks1(Box::new(header)));
        }
        Luks2::read(disk).map(Box::new).map(Header::Luks2)
    }

    /// Its version.
    pub fn version(&self) -> Version {
        match self {
            Header::Luks1(_) => Version::Luks1,
            Header::Luks2(_) => Version::Luks2,
        }
    }

    /// The UUID of the volume.
    pub fn uuid(&self) -> Uuid {
        match self {
            Header::Luks1(header) => header.uuid(),
            Header::Luks2(header) => header.uuid(),
        }
    }

    /// The UUID as it is written in the header, which need not be in lower case: cryptsetup knows mappings by it.
    pub fn uuid_text(&self) -> String {
        match self {
            Header::Luks1(header) => header.uuid_text().to_owned(),
            Header::Luks2(header) => header.uuid_text(),
        }
    }

    /// The header, if it is LUKS1.
    pub fn as_luks1(&self) -> Option<&Luks1> {
        if let Header::Luks1(header) = self { Some(header) } else { None }
    }

    /// The header, if it is LUKS2.
    pub fn as_luks2(&self) -> Option<&Luks2> {
        if let Header::Luks2(header) = self { Some(header) } else { None }
    }

    /// Whether the two are the same to the last byte: nobody has changed one since the other was read.
    pub fn is_same(&self, other: &Header) -> bool {
        self.identity() == other.identity()
    }

    /// Whether this was read from a copy of the disk of `other`. LUKSMeta does not count: a backup does not have it.
    pub(crate) fn is_copied_from(&self, other: &Header) -> bool {
        match (self, other) {
            (Header::Luks1(one), Header::Luks1(other)) => one.bytes == other.bytes,
            _ => self.identity() == other.identity(),
        }
    }

    /// What makes it this very header.
    pub(crate) fn identity(&self) -> Identity {
        match self {
            Header::Luks1(header) => Identity::Luks1(header.bytes.clone(), header.table.clone()),
            Header::Luks2(header) => Identity::Luks2(Box::new((header.binary.clone(), header.other.clone()))),
        }
    }

    /// The sequence number, where there is one.
    pub(crate) fn sequence(&self) -> u64 {
        self.as_luks2().map_or(0, |header| header.sequence())
    }
}

/// The bytes of a LUKS1 header, if they are one: what decides is what is used, for the disk may be another the next time.
fn luks1_bytes(disk: &dyn BlockRead) -> Result<Option<Box<[u8; HEADER_LEN]>>, HeaderError> {
    let mut bytes = Box::new([0; HEADER_LEN]);
    let there = disk.len().min(Bytes::from(HEADER_LEN));
    let start = bytes.get_mut(..usize::try_from(there.0).unwrap_or(HEADER_LEN)).unwrap_or_default();
    match disk.read_at(Bytes(0), start) {
        Ok(()) if !is_luks1(bytes.as_slice()) => Ok(None),
        Ok(()) if there < Bytes::from(HEADER_LEN) => Err(HeaderError::Luks1 { source: Luks1Error::CutOff }),
        Ok(()) => Ok(Some(bytes)),
        // A disk whose beginning is bad may still have a second copy; one that is too short has nothing.
        Err(source @ BlockError::Failed { .. }) => {
            let mut start = [0; 8];
            let is_luks1 = disk.read_at(Bytes(0), &mut start).is_ok() && is_luks1(&start);
            if is_luks1 { Err(HeaderError::Luks1 { source: Luks1Error::Disk { source } }) } else { Ok(None) }
        }
        Err(_) => Err(HeaderError::NotLuks),
    }
}

/// Whether magic and version are those of LUKS1.
fn is_luks1(bytes: &[u8]) -> bool {
    bytes.starts_with(&HeaderCopy::Primary.magic()) && bytes.get(6..8) == Some(&[0, 1])
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Version::Luks1 => "LUKS1",
            Version::Luks2 => "LUKS2",
        })
    }
}
