//! Destroying all keyslots of a volume, and proving that they are gone: without a backup of the header its data is lost then.
//!
//! Unlike every other change this one cannot be taken back, not even when it fails half way. What is overwritten is the whole
//! place for key material, in use or not, so that nothing of former slots stays; then the header forgets the slots. The header
//! itself, its tokens and the data stay, as with `cryptsetup erase`.

use crate::area::Area;
use crate::header::{Header, Version};
use crate::header_error::HeaderError;
use crate::refused::Refused;
use crate::slot::Slot;
use crate::undo::{ApplyError, Ready};
use crate::{luks1, luks2};
use block::{BlockError, BlockRead, BlockWrite, Bytes};
use crypto::{Hash, Random, RandomFailed};
use std::fmt;
use uuid::Uuid;

/// How much is overwritten with one write.
const PIECE: u64 = 1 << 20;

/// A volume whose keyslots could be destroyed. It can be printed.
pub struct ErasePlan {
    before: Header,
    slots: Vec<Slot>,
    areas: Vec<Area>,
    ready: Ready,
}

/// What has been destroyed, for a certificate.
#[derive(Debug)]
pub struct Erased {
    /// The header as it is now: it has no slots.
    pub header: Header,
    /// The slots that there were.
    pub slots: Vec<Slot>,
    /// The places that were overwritten with random bytes, which have been read back.
    pub areas: Vec<Area>,
    /// The sequence number of the header before; LUKS1 has none.
    pub sequence_before: Option<u64>,
    /// And now.
    pub sequence_after: Option<u64>,
}

/// Why the keyslots were not all destroyed.
#[derive(Debug)]
pub enum EraseError {
    /// There is no header that can be read.
    Header {
        /// What is there instead.
        source: HeaderError,
    },
    /// The header requires something unknown, or says that key material lies where it must not: where all its keys are is not
    /// known.
    Refused {
        /// What.
        source: Refused,
    },
    /// The key material of a slot would not be overwritten, or not all of it. Nothing was overwritten.
    OutOfReach {
        /// The slot.
        slot: Slot,
    },
    /// The disk does not begin with a LUKS header any more; only the second copy is there.
    PrimaryGone,
    /// The header cannot be written.
    Full,
    /// There were no random bytes.
    Random {
        /// What went wrong.
        source: RandomFailed,
    },
    /// Somebody has changed the header meanwhile. Nothing was overwritten.
    Changed,
    /// The disk failed while key material was overwritten: some of it may be gone.
    Disk {
        /// What went wrong.
        source: BlockError,
    },
    /// The disk took the random bytes and gives back something else.
    NotReadBack {
        /// Where.
        offset: Bytes,
    },
    /// The key material is gone, but the header still names the slots.
    Apply {
        /// What went wrong.
        source: ApplyError,
    },
}

impl ErasePlan {
    /// Plans to destroy all keyslots of the header on `disk`.
    ///
    /// # Errors
    /// [`EraseError`].
    pub fn new(disk: &dyn BlockRead, random: &dyn Random) -> Result<ErasePlan, EraseError> {
        let before = Header::read(disk).map_err(|source| EraseError::Header { source })?;
        let (slots, areas, ready) = match &before {
            Header::Luks1(header) => {
                let areas = luks1::erase::areas(header, disk.len());
                let areas = areas.map_err(|source| EraseError::Refused { source })?;
                (luks1::erase::slots(header), areas, luks1::erase::ready(header))
            }
            Header::Luks2(header) => {
                luks2::accept::check_requirements(header.metadata())
                    .map_err(|source| EraseError::Refused { source })?;
                if header.is_primary_gone() {
                    return Err(EraseError::PrimaryGone);
                }
                let ready = luks2::erase::ready(header, random).map_err(|source| EraseError::Random { source })?;
                (luks2::erase::slots(header), luks2::erase::areas(header), ready.ok_or(EraseError::Full)?)
            }
        };
        check_reach(&slots, &areas, disk.len())?;
        let slots = slots.into_iter().map(|(slot, _)| slot).collect();
        Ok(ErasePlan { slots, areas, ready, before })
    }

    /// The slots that there are.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The places that would be overwritten.
    pub fn areas(&self) -> &[Area] {
        &self.areas
    }

    /// Destroys them. The caller holds the volume's write lock, and has asked.
    ///
    /// # Errors
    /// [`EraseError`]. It can be tried again.
    pub fn apply(self, disk: &dyn BlockWrite, random: &dyn Random) -> Result<Erased, EraseError> {
        let found = Header::read(&disk).map_err(|source| EraseError::Header { source })?;
        if found.identity() != self.before.identity() {
            return Err(EraseError::Changed);
        }
        let mut written = Vec::new();
        for area in &self.areas {
            overwrite(disk, *area, random, &mut written)?;
        }
        disk.flush().map_err(|source| EraseError::Disk { source })?;
        read_back(&disk, &written)?;
        let sequence = |header: &Header| (header.version() == Version::Luks2).then(|| header.sequence());
        let sequence_before = sequence(&self.before);
        let applied = self.ready.write(disk).map_err(|source| EraseError::Apply { source })?;
        let sequence_after = sequence(&applied.header);
        let (slots, areas) = (self.slots, self.areas);
        Ok(Erased { header: applied.header, slots, areas, sequence_before, sequence_after })
    }
}

/// What is certified must be so: every slot's key material lies in a place that is overwritten, and that is on the disk.
fn check_reach(slots: &[(Slot, Option<Area>)], areas: &[Area], disk: Bytes) -> Result<(), EraseError> {
    let reached = |place: &Area| areas.iter().any(|area| area.contains(place) && area.end() <= disk);
    match slots.iter().find(|(_, place)| !place.as_ref().is_some_and(reached)) {
        Some((slot, _)) => Err(EraseError::OutOfReach { slot: *slot }),
        None => Ok(()),
    }
}

/// A piece that has been overwritten, and SHA-256 of what it must be.
struct Written {
    area: Area,
    digest: crypto::Digest,
}

fn overwrite(
    disk: &dyn BlockWrite,
    area: Area,
    random: &dyn Random,
    written: &mut Vec<Written>,
) -> Result<(), EraseError> {
    let mut at = area.offset();
    while let Some(piece) = Area::new(at, Bytes((area.end().0 - at.0).min(PIECE))) {
        let mut bytes = vec![0; usize::try_from(piece.size().0).unwrap_or(usize::MAX)];
        random.fill(&mut bytes).map_err(|source| EraseError::Random { source })?;
        disk.write_at(at, &bytes).map_err(|source| EraseError::Disk { source })?;
        written.push(Written { area: piece, digest: Hash::Sha256.digest(&[&bytes]) });
        at = piece.end();
    }
    Ok(())
}

fn read_back(disk: &dyn BlockRead, written: &[Written]) -> Result<(), EraseError> {
    for Written { area, digest } in written {
        let mut bytes = vec![0; usize::try_from(area.size().0).unwrap_or(usize::MAX)];
        disk.read_at(area.offset(), &mut bytes).map_err(|source| EraseError::Disk { source })?;
        if Hash::Sha256.digest(&[&bytes]).as_ref() != digest.as_ref() {
            return Err(EraseError::NotReadBack { offset: area.offset() });
        }
    }
    Ok(())
}

impl Erased {
    /// The UUID of the volume.
    pub fn uuid(&self) -> Uuid {
        self.header.uuid()
    }

    /// How much was overwritten.
    pub fn bytes(&self) -> Bytes {
        Bytes(self.areas.iter().map(|area| area.size().0).sum())
    }
}

impl fmt::Debug for ErasePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErasePlan").field("slots", &self.slots).field("areas", &self.areas).finish_non_exhaustive()
    }
}

impl fmt::Display for ErasePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "destroy all keyslots of {}: {}", self.before.uuid(), list(&self.slots))?;
        self.areas.iter().try_for_each(|area| {
            write!(f, "\noverwrite the place of key material at byte {} ({})", area.offset().0, area.size())
        })
    }
}

/// The text of a certificate, without date and place.
impl fmt::Display for Erased {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "volume: {} ({})", self.uuid(), self.header.version())?;
        writeln!(f, "keyslots destroyed: {}", list(&self.slots))?;
        for area in &self.areas {
            let (start, end) = (area.offset().0, area.end().0);
            writeln!(f, "overwritten with random bytes and read back: {start} to {end} ({} bytes)", area.size().0)?;
        }
        if let (Some(before), Some(after)) = (self.sequence_before, self.sequence_after) {
            writeln!(f, "sequence number of the header: {before} before, {after} after")?;
        }
        f.write_str("keyslots left: none")
    }
}

fn list(slots: &[Slot]) -> String {
    let list: Vec<String> = slots.iter().map(ToString::to_string).collect();
    if list.is_empty() { "none".to_owned() } else { list.join(", ") }
}

impl fmt::Display for EraseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EraseError::Header { .. } => f.write_str("there is no header that can be read"),
            EraseError::Refused { .. } => f.write_str("where all the keys are is not known"),
            EraseError::OutOfReach { slot } => {
                write!(f, "the key material of slot {slot} does not all lie where it could be overwritten")
            }
            EraseError::PrimaryGone => {
                f.write_str("the disk does not begin with a LUKS header; only the second copy is there")
            }
            EraseError::Full => f.write_str("the header cannot be written without its slots"),
            EraseError::Random { .. } => f.write_str("there are no random bytes"),
            EraseError::Changed => {
                f.write_str("somebody else has changed the header meanwhile; nothing was overwritten")
            }
            EraseError::Disk { .. } => {
                f.write_str("the key material could not all be overwritten; some of it may be gone")
            }
            EraseError::NotReadBack { offset } => {
                write!(f, "what was written at byte {} reads back as something else: keys may still be there", offset.0)
            }
            EraseError::Apply { .. } => f.write_str("the key material is gone, but the header still names the slots"),
        }
    }
}

impl EraseError {
    /// What a person can do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            EraseError::PrimaryGone => Some("`cotter luks repair` brings the first copy back"),
            EraseError::Refused { source } => Some(source.hint()),
            EraseError::OutOfReach { .. } => {
                Some("overwrite the whole disk: nothing less is sure to take the keys away")
            }
            EraseError::Changed | EraseError::Apply { .. } => Some("try it again"),
            EraseError::Disk { .. } | EraseError::NotReadBack { .. } => {
                Some("do not trust this disk with keeping or losing anything: destroy it")
            }
            _ => None,
        }
    }
}

impl std::error::Error for EraseError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            EraseError::Header { source } => Some(source),
            EraseError::Refused { source } => Some(source),
            EraseError::Random { source } => Some(source),
            EraseError::Disk { source } => Some(source),
            EraseError::Apply { source } => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_slot_must_be_reached() {
        let area = |offset, size| Area::new(Bytes(offset), Bytes(size)).unwrap();
        let slot = |place| [(Slot::new(3).unwrap(), place)];
        let check = |place, areas: &[Area]| check_reach(&slot(place), areas, Bytes(100));
        assert!(check(Some(area(20, 10)), &[area(0, 5), area(20, 10)]).is_ok());
        assert!(check(Some(area(20, 10)), &[area(20, 80)]).is_ok());
        let bad = [(None, area(0, 100)), (Some(area(20, 10)), area(20, 9)), (Some(area(20, 10)), area(20, 81))];
        for (place, overwritten) in bad {
            let error = check(place, &[overwritten]).unwrap_err();
            assert!(matches!(error, EraseError::OutOfReach { slot } if slot.number() == 3), "{error}");
            assert!(error.hint().unwrap().contains("whole disk"));
        }
        assert!(check_reach(&[], &[], Bytes(0)).is_ok());
    }
}
