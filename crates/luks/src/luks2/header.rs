//! Finding and reading the header of a disk.
//!
//! LUKS2 keeps two copies. The second one begins where the first one ends, so its place is known only from the first: when
//! that is damaged, every legal place is looked at. Reading never repairs; an edit writes both copies anew.
//!
//! A second copy outlives the volume when something else is put over its beginning: a file system leaves the first bytes alone
//! and may not reach it. So, as with cryptsetup 2.6.1, the second copy counts alone only where nothing else is recognised;
//! a first copy that is zeros, rubbish or damaged does not matter, one that carries a file system's magic does. More is
//! recognised here than there: an LVM label without its header, and swap space of an unknown version, cryptsetup passes over.

use crate::header_error::HeaderError;
use crate::luks2::binary_header::{BINARY_LEN, BinaryError, BinaryHeader, HeaderCopy, HeaderSize};
use crate::luks2::copy::{CopyError, CopyState};
use crate::luks2::json::Metadata;
use crate::luks2::unmarked::Unmarked;
use block::{BlockError, BlockRead, Bytes, signature};
use uuid::Uuid;

/// The header of a LUKS2 volume as it was read, once. Nothing in it has been judged: see [`crate::Allowed`].
#[derive(Debug)]
pub struct Luks2 {
    pub(crate) binary: BinaryHeader,
    /// The copy that was not chosen, if it is whole.
    pub(crate) other: Option<BinaryHeader>,
    pub(crate) metadata: Metadata,
    /// What the other copy says, if it is whole and says something else.
    contrary: Option<Metadata>,
    state: [CopyState; 2],
    disk: Bytes,
}

impl Luks2 {
    /// Reads the header of `disk`: both copies are checked, the newer one that is whole is taken.
    ///
    /// # Errors
    /// [`HeaderError`] says what is there instead.
    pub fn read(disk: &dyn BlockRead) -> Result<Luks2, HeaderError> {
        let primary = read_copy(disk, HeaderCopy::Primary, Bytes(0));
        // A first copy of another version is not damaged, but somebody else's: as with cryptsetup, the second one does not count.
        if let Err(CopyError::Binary { source: BinaryError::WrongVersion { found } }) = primary {
            return Err(HeaderError::UnknownVersion { version: found });
        }
        let secondary = match &primary {
            Ok(copy) => read_copy(disk, HeaderCopy::Secondary, copy.binary.size.bytes()),
            Err(_) => find_secondary(disk),
        };
        if primary.is_err() && secondary.is_ok() {
            refuse_other_signatures(disk)?;
        }
        choose(disk, primary, secondary)
    }

    /// Reads the header whatever else is recognised on the disk.
    pub(crate) fn read_beside_others(disk: &dyn BlockRead) -> Result<Luks2, HeaderError> {
        let primary = read_copy(disk, HeaderCopy::Primary, Bytes(0));
        choose(disk, primary, find_secondary(disk))
    }

    /// The header made of these copies' common content, both whole.
    pub(crate) fn of_both(primary: BinaryHeader, secondary: BinaryHeader, metadata: Metadata, disk: Bytes) -> Luks2 {
        let state = [CopyState::Good, CopyState::Good];
        Luks2 { binary: primary, other: Some(secondary), metadata, contrary: None, state, disk }
    }

    /// The UUID of the volume.
    pub fn uuid(&self) -> Uuid {
        self.binary.uuid
    }

    /// The UUID as it is written in the header.
    pub(crate) fn uuid_text(&self) -> String {
        self.binary.uuid_text.text()
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

    /// The copy that contradicts the chosen one. No interrupted change explains it, so it may be the one that is right: nothing
    /// overwrites it unless told.
    pub fn contradiction(&self) -> Option<&CopyState> {
        self.state.iter().find(|state| matches!(state, CopyState::Different { .. } | CopyState::Foreign { .. }))
    }

    /// What the header said before a change that was interrupted between its copies: that of an older copy of this volume, with
    /// this key of the data.
    pub(crate) fn interrupted(&self) -> Option<&Metadata> {
        let is_older = self.state.iter().any(|state| matches!(state, CopyState::Older { .. }));
        self.contrary.as_ref().filter(|older| is_older && older.has_data_key_of(&self.metadata))
    }

    /// Whether the disk does not begin with the magic of a header any more.
    pub(crate) fn is_primary_gone(&self) -> bool {
        let [primary, _] = &self.state;
        matches!(primary, CopyState::Damaged { error: CopyError::Binary { source: BinaryError::WrongMagic } })
    }

    /// The copy that an edit overwrites first: the one that is not good, for the good one must not be lost before there is
    /// another. The primary one if both are.
    pub(crate) fn weaker_copy(&self) -> HeaderCopy {
        match &self.state {
            [CopyState::Good, CopyState::Good] => HeaderCopy::Primary,
            [CopyState::Good, _] => HeaderCopy::Secondary,
            _ => HeaderCopy::Primary,
        }
    }

    /// How long the disk was from which it was read.
    pub(crate) fn disk_len(&self) -> Bytes {
        self.disk
    }
}

/// One copy that is whole.
pub(crate) struct Copy {
    binary: BinaryHeader,
    pub(crate) metadata: Metadata,
}

impl Copy {
    /// Whether the two differ in nothing but what makes them two copies.
    fn says_the_same(&self, other: &Copy) -> bool {
        self.binary.says_the_same(&other.binary) && self.metadata.document() == other.metadata.document()
    }

    /// What it is beside the copy that was chosen.
    fn state_beside(&self, chosen: &Copy) -> CopyState {
        let (sequence, uuid) = (self.binary.sequence, self.binary.uuid);
        if uuid != chosen.binary.uuid {
            CopyState::Foreign { uuid, sequence }
        } else if sequence < chosen.binary.sequence {
            CopyState::Older { sequence }
        } else if self.says_the_same(chosen) {
            CopyState::Good
        } else {
            CopyState::Different { sequence }
        }
    }
}

/// Reads and checks one copy.
pub(crate) fn read_copy(disk: &dyn BlockRead, copy: HeaderCopy, offset: Bytes) -> Result<Copy, CopyError> {
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
) -> Result<Luks2, HeaderError> {
    let damaged = |error| CopyState::Damaged { error };
    let header = |chosen: Copy, other: Option<Copy>, state: [CopyState; 2]| {
        let contrary = state.iter().any(|state| !matches!(state, CopyState::Good));
        let (other, contrary) = other.map(|other| (other.binary, contrary.then_some(other.metadata))).unzip();
        let (binary, metadata) = (chosen.binary, chosen.metadata);
        Ok(Luks2 { binary, other, metadata, contrary: contrary.flatten(), state, disk: disk.len() })
    };
    match (primary, secondary) {
        (Ok(first), Ok(second)) if second.binary.sequence > first.binary.sequence => {
            let state = [first.state_beside(&second), CopyState::Good];
            header(second, Some(first), state)
        }
        (Ok(first), Ok(second)) => {
            let state = [CopyState::Good, second.state_beside(&first)];
            header(first, Some(second), state)
        }
        (Ok(first), Err(error)) => header(first, None, [CopyState::Good, damaged(error)]),
        (Err(error), Ok(second)) => header(second, None, [damaged(error), CopyState::Good]),
        (Err(primary), Err(secondary)) => Err(no_header(primary, secondary)),
    }
}

fn no_header(primary: CopyError, secondary: CopyError) -> HeaderError {
    match primary {
        primary if primary.has_magic() || secondary.has_magic() => HeaderError::Damaged { primary, secondary },
        CopyError::Disk { source: source @ BlockError::Failed { .. } } => HeaderError::Disk { source },
        _ => HeaderError::NotLuks,
    }
}
