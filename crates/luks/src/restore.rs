//! Putting a backup of a header back onto its disk: a plan first, with all that speaks against it.
//!
//! As with `cryptsetup luksHeaderRestore`, a header that lies otherwise than the one on the disk is never put there, and where
//! the disk does not show that it is the same volume a person must say so.

use crate::allowed::{Allowed, DataPlace};
use crate::backup::Backup;
use crate::force::Force;
use crate::header::{Header, Identity, Version};
use crate::header_error::HeaderError;
use crate::luks1::header::Luks1Error;
use crate::luks2::pair::MendError;
use crate::luks2::reencryption::Reencryption;
use crate::luks2::unmarked::Unmarked;
use crate::refused::Refused;
use crate::undo::{Applied, ApplyError, Ready};
use crate::{luks1, luks2};
use block::{BlockError, BlockRead, BlockWrite, Bytes, signature};
use crypto::{Random, RandomFailed};
use std::fmt;
use uuid::Uuid;

/// A backup that could be restored. It can be printed.
pub struct RestorePlan {
    concerns: Vec<RestoreConcern>,
    /// The header on the disk, if it has one that can be read.
    before: Option<Identity>,
    /// That of the disk and that of the backup, where both are LUKS2.
    sequences: Option<(u64, u64)>,
    length: Bytes,
    interruptible: bool,
    ready: Ready,
}

/// What a person must know and agree to before a backup is restored.
#[derive(Debug)]
pub enum RestoreConcern {
    /// The disk has no LUKS header.
    NoHeader {
        /// What is recognised on it instead, if anything is.
        found: Option<&'static str>,
    },
    /// The header on the disk cannot be read, so nothing shows that it is that of the backup.
    Unreadable {
        /// What is wrong with it.
        source: HeaderError,
    },
    /// The disk has a header of the other version of the format.
    OtherVersion {
        /// The version on the disk.
        disk: Version,
        /// That of the backup.
        backup: Version,
    },
    /// The header on the disk is that of another volume.
    OtherVolume {
        /// The UUID on the disk.
        disk: Uuid,
        /// That of the backup.
        backup: Uuid,
    },
    /// The data on the disk is just being encrypted, decrypted or reencrypted. Where it stands is in the header alone: without it
    /// the data is lost.
    DiskReencrypting {
        /// What goes on.
        state: Reencryption,
    },
    /// The header on the disk requires something unknown, which may be what keeps the data readable.
    DiskRequires {
        /// What.
        name: String,
    },
    /// The header on the disk has another volume key, or another cipher or sector size: the backup is of before a
    /// reencryption, or of a volume that was made with the same UUID. It opens nothing of what is there.
    OtherVolumeKey,
    /// The header in the backup would not be accepted afterwards; it is of a time when data was being moved, for example.
    NotAccepted {
        /// Why not.
        source: Refused,
    },
}

/// Why a backup cannot be restored here at all.
#[derive(Debug)]
pub enum RestoreError {
    /// The disk is shorter than the backup.
    DiskTooSmall {
        /// How long the disk is.
        disk: Bytes,
        /// How long the backup is.
        backup: Bytes,
    },
    /// The data begins elsewhere than the header on the disk says.
    OtherDataOffset {
        /// Where it begins according to the disk.
        disk: Bytes,
        /// And according to the backup.
        backup: Bytes,
    },
    /// Header and key material are longer or shorter than those on the disk.
    OtherSize {
        /// Their length on the disk.
        disk: Bytes,
        /// And in the backup.
        backup: Bytes,
    },
    /// The volume key is longer or shorter than that of the header on the disk.
    OtherKeyLength {
        /// Its length on the disk, in bytes.
        disk: u32,
        /// And in the backup.
        backup: u32,
    },
    /// The header in the backup requires something that is not known here.
    Forbidden {
        /// What.
        source: Refused,
    },
    /// The backup changed, or is not whole.
    Backup,
    /// The backup has a LUKS1 header that cannot be read.
    Luks1 {
        /// Why not.
        source: Luks1Error,
    },
    /// There were no random bytes.
    Random {
        /// What went wrong.
        source: RandomFailed,
    },
    /// The disk could not be read.
    Disk {
        /// What went wrong.
        source: BlockError,
    },
}

impl RestorePlan {
    /// Plans to put `backup` onto `disk`. If one of its two copies of a LUKS2 header is bad, both will be good.
    ///
    /// # Errors
    /// [`RestoreError`].
    pub fn new(backup: &Backup, disk: &dyn BlockRead, random: &dyn Random) -> Result<RestorePlan, RestoreError> {
        let length = Bytes::from(backup.bytes().len());
        if disk.len() < length {
            return Err(RestoreError::DiskTooSmall { disk: disk.len(), backup: length });
        }
        let found = Header::read(disk);
        if let Ok(found) = &found {
            check_layout(found, backup.header())?;
        }
        let mut concerns = concerns_of_backup(backup.header())?;
        let existing = found.as_ref().ok();
        let (ready, interruptible) = match backup.header() {
            Header::Luks1(_) => {
                let ready = luks1::restore::ready(backup.bytes(), disk);
                (ready.map_err(|source| RestoreError::Luks1 { source })?, existing.is_none())
            }
            Header::Luks2(header) => {
                let over = existing.and_then(Header::as_luks2);
                let restored = luks2::restore::restored(header, backup.bytes(), over, disk, random)?;
                // One header of LUKS1 has no second copy that could stand for it meanwhile.
                (restored.ready, restored.interruptible && existing.is_some() == over.is_some())
            }
        };
        let before = existing.map(Header::identity);
        let sequences = existing.and_then(Header::as_luks2).zip(backup.header().as_luks2());
        let sequences = sequences.map(|(disk, backup)| (disk.sequence(), backup.sequence()));
        concerns.extend(concerns_of_disk(found, backup.header(), disk)?);
        Ok(RestorePlan { concerns, before, sequences, length, interruptible, ready })
    }

    /// What a person must agree to. Without any, the disk has the header of the very same volume.
    pub fn concerns(&self) -> &[RestoreConcern] {
        &self.concerns
    }

    /// Whether the volume opens with the old or the new header if the power fails meanwhile, or opened with no header before. If
    /// not, the backup must be restored again then.
    pub fn is_interruptible(&self) -> bool {
        self.interruptible
    }

    /// Writes it. The caller holds the volume's write lock.
    ///
    /// # Errors
    /// [`ApplyError`]; with [`ApplyError::NotForced`] and [`ApplyError::Changed`] nothing was written.
    pub fn apply(self, disk: &dyn BlockWrite, force: Force) -> Result<Applied, ApplyError> {
        if force == Force::No && !self.concerns.is_empty() {
            return Err(ApplyError::NotForced);
        }
        let found = Header::read(&disk).ok();
        if found.as_ref().map(Header::identity) != self.before {
            let before = self.before.as_ref().map_or(0, Identity::sequence);
            return Err(ApplyError::Changed { before, found: found.as_ref().map_or(0, Header::sequence) });
        }
        self.ready.write(disk)
    }
}

/// What cryptsetup refuses even when it asks nothing (`-q`), and so do we: data would be looked for where it is not.
fn check_layout(found: &Header, backup: &Header) -> Result<(), RestoreError> {
    let different = |disk: Bytes, backup: Bytes| (disk != backup).then_some((disk, backup));
    let offsets = match (found, backup) {
        (Header::Luks1(disk), Header::Luks1(backup)) => {
            if disk.key_bytes != backup.key_bytes {
                return Err(RestoreError::OtherKeyLength { disk: disk.key_bytes, backup: backup.key_bytes });
            }
            different(disk.payload, backup.payload)
        }
        (Header::Luks2(disk), Header::Luks2(backup)) => {
            // While data moves, its place in the header on the disk says nothing.
            let moving = Reencryption::of(disk.metadata()).is_some();
            if moving {
                return Ok(());
            }
            let offset = |header: &luks2::header::Luks2| header.metadata().segments.values().map(|s| s.offset).min();
            different(offset(disk).unwrap_or_default(), offset(backup).unwrap_or_default())
        }
        _ => None,
    };
    if let Some((disk, backup)) = offsets {
        return Err(RestoreError::OtherDataOffset { disk, backup });
    }
    let sizes = match (found, backup) {
        (Header::Luks2(disk), Header::Luks2(backup)) => {
            different(luks2::backup::length(disk), luks2::backup::length(backup))
        }
        _ => None,
    };
    sizes.map_or(Ok(()), |(disk, backup)| Err(RestoreError::OtherSize { disk, backup }))
}

fn concerns_of_backup(backup: &Header) -> Result<Vec<RestoreConcern>, RestoreError> {
    // Whether the header is kept apart from its data makes no difference here.
    let allowed = Allowed { data: DataPlace::OtherDisk, ..Allowed::default() };
    match backup.check(&allowed) {
        Ok(()) => Ok(Vec::new()),
        Err(source @ Refused::Requirement { .. }) => Err(RestoreError::Forbidden { source }),
        Err(source) => Ok(vec![RestoreConcern::NotAccepted { source }]),
    }
}

fn concerns_of_disk(
    found: Result<Header, HeaderError>,
    backup: &Header,
    disk: &dyn BlockRead,
) -> Result<Vec<RestoreConcern>, RestoreError> {
    let found = match found {
        Ok(found) => found,
        Err(HeaderError::NotLuks) => {
            let found = signature::find(&Unmarked(disk)).map_err(|source| RestoreError::Disk { source })?;
            return Ok(vec![RestoreConcern::NoHeader { found }]);
        }
        Err(source) => return Ok(vec![RestoreConcern::Unreadable { source }]),
    };
    let mut concerns = Vec::new();
    if found.version() != backup.version() {
        concerns.push(RestoreConcern::OtherVersion { disk: found.version(), backup: backup.version() });
    } else if found.uuid() != backup.uuid() {
        concerns.push(RestoreConcern::OtherVolume { disk: found.uuid(), backup: backup.uuid() });
    }
    let under_way = match &found {
        Header::Luks1(_) => None,
        Header::Luks2(header) => luks2::accept::check_requirements(header.metadata()).err(),
    };
    match under_way {
        Some(Refused::Reencryption { state }) => concerns.push(RestoreConcern::DiskReencrypting { state }),
        Some(Refused::Requirement { name }) => concerns.push(RestoreConcern::DiskRequires { name }),
        _ if concerns.is_empty() && !has_same_key(&found, backup) => concerns.push(RestoreConcern::OtherVolumeKey),
        _ => {}
    }
    Ok(concerns)
}

/// Whether the two headers of one version are for data under one key. Its digest is made anew only with another key.
fn has_same_key(disk: &Header, backup: &Header) -> bool {
    match (disk, backup) {
        (Header::Luks1(disk), Header::Luks1(backup)) => luks1::restore::key(disk) == luks1::restore::key(backup),
        (Header::Luks2(disk), Header::Luks2(backup)) => {
            luks2::restore::key(disk.metadata()) == luks2::restore::key(backup.metadata())
        }
        _ => false,
    }
}

impl From<MendError> for RestoreError {
    fn from(error: MendError) -> RestoreError {
        match error {
            MendError::Random(source) => RestoreError::Random { source },
            MendError::Disk(source) => RestoreError::Disk { source },
            MendError::Changed => RestoreError::Backup,
        }
    }
}

impl fmt::Debug for RestorePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RestorePlan").field("concerns", &self.concerns).finish_non_exhaustive()
    }
}

/// What would be done, and what speaks against it: a line each, to be read behind "would".
impl fmt::Display for RestorePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let after = &self.ready.after;
        write!(f, "write the {} header of {} and its key material: {}", after.version(), after.uuid(), self.length)?;
        if let Some((before, backup)) = self.sequences {
            write!(
                f,
                "\nlose what the header on the disk has been changed to since (sequence number {before}, then {backup})"
            )?;
        }
        if !self.interruptible {
            f.write_str("\nneed the backup once more if the power fails meanwhile")?;
        }
        self.concerns.iter().try_for_each(|concern| write!(f, "\nrefuse that unless told: {concern}"))
    }
}

impl fmt::Display for RestoreConcern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RestoreConcern::NoHeader { found: None } => f.write_str("the disk has no LUKS header"),
            RestoreConcern::NoHeader { found: Some(found) } => {
                write!(f, "the disk has no LUKS header; there is something else: {found}")
            }
            RestoreConcern::Unreadable { source } => write!(f, "the header on the disk cannot be read ({source})"),
            RestoreConcern::OtherVersion { disk, backup } => {
                write!(f, "the disk has a header of {disk}, the backup one of {backup}")
            }
            RestoreConcern::OtherVolume { disk, backup } => {
                write!(f, "the disk has the header of {disk}, the backup that of {backup}")
            }
            RestoreConcern::DiskReencrypting { state } => {
                write!(f, "according to the disk {state}: what that has come to is lost with its header")
            }
            RestoreConcern::DiskRequires { name } => {
                write!(f, "the header on the disk requires {name:?}, which is not known here")
            }
            RestoreConcern::OtherVolumeKey => {
                f.write_str("the data on the disk has another volume key or cipher than the backup")
            }
            RestoreConcern::NotAccepted { source } => write!(f, "the header would not be accepted ({source})"),
        }
    }
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RestoreError::DiskTooSmall { disk, backup } => {
                write!(f, "the disk has {} bytes, the backup {}", disk.0, backup.0)
            }
            RestoreError::OtherDataOffset { disk, backup } => {
                write!(f, "the data begins at {} on the disk, at {} in the backup", disk.0, backup.0)
            }
            RestoreError::OtherSize { disk, backup } => {
                write!(f, "header and key material have {} bytes on the disk, {} in the backup", disk.0, backup.0)
            }
            RestoreError::OtherKeyLength { disk, backup } => {
                write!(f, "the volume key has {disk} bytes on the disk, {backup} in the backup")
            }
            RestoreError::Forbidden { .. } => f.write_str("what the backup would bring back is not understood"),
            RestoreError::Backup => f.write_str("the backup does not read as it did before"),
            RestoreError::Luks1 { .. } => f.write_str("the LUKS1 header in the backup is damaged"),
            RestoreError::Random { .. } => f.write_str("there are no random bytes"),
            RestoreError::Disk { .. } => f.write_str("the disk cannot be read"),
        }
    }
}

impl RestoreError {
    /// What a person can do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            RestoreError::OtherDataOffset { .. }
            | RestoreError::OtherSize { .. }
            | RestoreError::OtherKeyLength { .. } => Some(
                "is it the right disk? If the header on it is of no use, `wipefs --all DEVICE` takes it away; then restore again",
            ),
            RestoreError::Forbidden { source } => Some(source.hint()),
            RestoreError::DiskTooSmall { .. } => Some("is it the right disk?"),
            _ => None,
        }
    }
}

impl std::error::Error for RestoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            RestoreError::Forbidden { source } => Some(source),
            RestoreError::Luks1 { source } => Some(source),
            RestoreError::Random { source } => Some(source),
            RestoreError::Disk { source } => Some(source),
            _ => None,
        }
    }
}
