//! Finding and reading the header of a disk.
//!
//! LUKS2 keeps two copies. The second one begins where the first one ends, so its place is known only from the first: when
//! that is damaged, every legal place is looked at. Reading never repairs; an edit writes both copies anew.
//!
//! A second copy outlives the volume when something else is put over its beginning: a file system leaves the first bytes alone
//! and may not reach it. So, as with cryptsetup 2.6.1, the second copy counts alone only where nothing else is recognised;
//! a first copy that is zeros, rubbish or damaged does not matter, one that carries a file system's magic does. More is
//! recognised here than there: an LVM label without its header, and swap space of an unknown version, cryptsetup passes over.

use crate::luks2::binary_header::{BINARY_LEN, BinaryError, BinaryHeader, HeaderCopy, HeaderSize};
use crate::luks2::json::{Metadata, MetadataError};
use crate::unmarked::Unmarked;
use block::{BlockError, BlockRead, Bytes, signature};
use std::fmt;
use uuid::Uuid;

/// The header of a LUKS2 volume as it was read, once. Nothing in it has been judged: see [`crate::Allowed`].
#[derive(Debug)]
pub struct Header {
    pub(crate) binary: BinaryHeader,
    /// The copy that was not chosen, if it is whole.
    pub(crate) other: Option<BinaryHeader>,
    pub(crate) metadata: Metadata,
    state: [CopyState; 2],
    disk: Bytes,
}

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

/// Why a disk has no header that can be read.
#[derive(Debug)]
pub enum HeaderError {
    /// There is no LUKS here.
    NotLuks,
    /// There is LUKS1.
    Luks1,
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

impl Header {
    /// Reads the header of `disk`: both copies are checked, the newer one that is whole is taken.
    ///
    /// # Errors
    /// [`HeaderError`] says what is there instead.
    pub fn read(disk: &dyn BlockRead) -> Result<Header, HeaderError> {
        let primary = match read_copy(disk, HeaderCopy::Primary, Bytes(0)) {
            // The end of a LUKS1 header may well lie where an old second copy of LUKS2 was: do not look.
            Err(CopyError::Binary { source: BinaryError::WrongVersion { found: 1 } }) => {
                return Err(HeaderError::Luks1);
            }
            found => found,
        };
        let secondary = match &primary {
            Ok(copy) => read_copy(disk, HeaderCopy::Secondary, copy.binary.size.bytes()),
            Err(_) => find_secondary(disk),
        };
        if primary.is_err() && secondary.is_ok() {
            refuse_other_signatures(disk)?;
        }
        choose(disk, primary, secondary)
    }

    /// The header made of these copies' common content, both whole.
    pub(crate) fn of_both(primary: BinaryHeader, secondary: BinaryHeader, metadata: Metadata, disk: Bytes) -> Header {
        Header { binary: primary, other: Some(secondary), metadata, state: [CopyState::Good, CopyState::Good], disk }
    }

    /// The UUID of the volume.
    pub fn uuid(&self) -> Uuid {
        self.binary.uuid
    }

    /// The label; empty if there is none.
    pub fn label(&self) -> String {
        self.binary.label.text()
    }

    /// The subsystem label; empty if there is none.
    pub fn subsystem(&self) -> String {
        self.binary.subsystem.text()
    }

    /// Grows by one with every change ("epoch" in cryptsetup).
    pub fn sequence(&self) -> u64 {
        self.binary.sequence
    }

    /// Size of one header copy.
    pub fn size(&self) -> HeaderSize {
        self.binary.size
    }

    /// Keyslots, tokens, segments, digests, config.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// What was found of the two copies, the primary one first.
    pub fn copies(&self) -> &[CopyState; 2] {
        &self.state
    }

    /// The copy that an edit overwrites first: the one that is not good, for the good one must not be lost before there is
    /// another. The primary one if both are.
    pub(crate) fn weaker_copy(&self) -> HeaderCopy {
        match &self.state {
            [CopyState::Good, CopyState::Older { .. } | CopyState::Damaged { .. }] => HeaderCopy::Secondary,
            _ => HeaderCopy::Primary,
        }
    }

    /// How long the disk was from which it was read.
    pub(crate) fn disk_len(&self) -> Bytes {
        self.disk
    }

    /// Whether these are its copies, to the last byte: each one's checksum covers all of it.
    pub(crate) fn has_copies(&self, chosen: &BinaryHeader, other: Option<&BinaryHeader>) -> bool {
        self.binary == *chosen && self.other.as_ref() == other
    }
}

struct Copy {
    binary: BinaryHeader,
    metadata: Metadata,
}

fn read_copy(disk: &dyn BlockRead, copy: HeaderCopy, offset: Bytes) -> Result<Copy, CopyError> {
    let mut block = vec![0; BINARY_LEN];
    disk.read_at(offset, &mut block).map_err(|source| CopyError::Disk { source })?;
    let binary = BinaryHeader::parse(&block, copy, offset).map_err(|source| CopyError::Binary { source })?;
    if copy == HeaderCopy::Secondary && binary.size.bytes() != offset {
        let source = BinaryError::WrongSize { found: binary.size.bytes() };
        return Err(CopyError::Binary { source });
    }
    let mut area = vec![0; binary.size.json_len()];
    let behind = Bytes(offset.0 + Bytes::from(BINARY_LEN).0);
    disk.read_at(behind, &mut area).map_err(|source| CopyError::JsonArea { source })?;
    if !binary.verify(&area) {
        return Err(CopyError::Checksum);
    }
    let metadata = Metadata::parse(&area, binary.size).map_err(|source| CopyError::Metadata { source })?;
    metadata.check_disk(disk.len()).map_err(|source| CopyError::Metadata { source })?;
    Ok(Copy { binary, metadata })
}

/// Looks for the second copy wherever one may be. Of those that are no good, the first that has the magic tells why.
fn find_secondary(disk: &dyn BlockRead) -> Result<Copy, CopyError> {
    let mut telling = None;
    for size in HeaderSize::all() {
        match read_copy(disk, HeaderCopy::Secondary, size.bytes()) {
            Ok(copy) => return Ok(copy),
            Err(error) if telling.is_none() && error.has_magic() => telling = Some(error),
            Err(_) => {}
        }
    }
    Err(telling.unwrap_or(CopyError::Binary { source: BinaryError::WrongMagic }))
}

/// Refuses a disk on which something is recognised besides the header.
fn refuse_other_signatures(disk: &dyn BlockRead) -> Result<(), HeaderError> {
    match signature::find(&Unmarked(disk)) {
        Ok(None) => Ok(()),
        Ok(Some(found)) => Err(HeaderError::Ambiguous { found }),
        Err(source) => Err(HeaderError::Disk { source }),
    }
}

fn choose(
    disk: &dyn BlockRead,
    primary: Result<Copy, CopyError>,
    secondary: Result<Copy, CopyError>,
) -> Result<Header, HeaderError> {
    let damaged = |error| CopyState::Damaged { error };
    let header = |chosen: Copy, other, state| {
        Ok(Header { binary: chosen.binary, other, metadata: chosen.metadata, state, disk: disk.len() })
    };
    match (primary, secondary) {
        (Ok(first), Ok(second)) if second.binary.sequence > first.binary.sequence => {
            let older = CopyState::Older { sequence: first.binary.sequence };
            header(second, Some(first.binary), [older, CopyState::Good])
        }
        (Ok(first), Ok(second)) => {
            let sequence = second.binary.sequence;
            let older = sequence < first.binary.sequence;
            let second_state = if older { CopyState::Older { sequence } } else { CopyState::Good };
            header(first, Some(second.binary), [CopyState::Good, second_state])
        }
        (Ok(first), Err(error)) => header(first, None, [CopyState::Good, damaged(error)]),
        (Err(error), Ok(second)) => header(second, None, [damaged(error), CopyState::Good]),
        (Err(primary), Err(secondary)) => Err(no_header(primary, secondary)),
    }
}

fn no_header(primary: CopyError, secondary: CopyError) -> HeaderError {
    match primary {
        CopyError::Binary { source: BinaryError::WrongVersion { found } } if !secondary.has_magic() => {
            HeaderError::UnknownVersion { version: found }
        }
        primary if primary.has_magic() || secondary.has_magic() => HeaderError::Damaged { primary, secondary },
        CopyError::Disk { source: source @ BlockError::Failed { .. } } => HeaderError::Disk { source },
        _ => HeaderError::NotLuks,
    }
}

impl CopyError {
    /// Whether what was found began like a LUKS header.
    fn has_magic(&self) -> bool {
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

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeaderError::NotLuks => f.write_str("there is no LUKS header"),
            HeaderError::Luks1 => f.write_str("this is a LUKS1 volume, and LUKS1 is not supported yet"),
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
            HeaderError::Luks1 => {
                "`cryptsetup convert --type luks2 DEVICE` makes it LUKS2, after a backup of its header"
            }
            HeaderError::UnknownVersion { .. } => "a newer program may know it",
            HeaderError::Damaged { .. } => "restore a backup of the header: `cryptsetup luksHeaderRestore`",
            HeaderError::Ambiguous { .. } => {
                "if that is what the disk is for, the LUKS2 header is a leftover; if not, after a backup of the disk, `cryptsetup repair`"
            }
            HeaderError::Disk { .. } => "see the system's log for what the device reported",
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

impl std::error::Error for HeaderError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if let HeaderError::Disk { source } = self { Some(source) } else { None }
    }
}
