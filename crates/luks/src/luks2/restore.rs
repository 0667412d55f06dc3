//! In which order a backup goes over a LUKS2 header, so that a power failure at any moment leaves one of the two that opens.
//!
//! Key material comes first, to places that the header on the disk does not use; then the copies of the header, one after the
//! other; then the rest. Where the two headers want one place for different material, that of the backup first goes into a gap
//! that neither uses, under a header that says so and is replaced in the end. Without such a gap there is a time when only the
//! backup itself can help.

use crate::area::Area;
use crate::header::Header;
use crate::luks2::binary_header::HeaderCopy;
use crate::luks2::header::Luks2;
use crate::luks2::json::Metadata;
use crate::luks2::pair::{MendError, Pair, SealedHeader};
use crate::luks2::segment::Segment;
use crate::undo::{Phase, Ready, Write};
use block::{BlockError, BlockRead, Bytes, MemoryDisk};
use crypto::Random;
use json::Value;

/// What must be written, and whether it may be interrupted.
pub(crate) struct Restored {
    pub(crate) ready: Ready,
    pub(crate) interruptible: bool,
}

/// A backup and the disk it goes to.
struct Restore<'r> {
    new: &'r Luks2,
    bytes: &'r [u8],
    existing: Option<&'r Luks2>,
    disk: &'r dyn BlockRead,
    pair: Pair,
}

/// Key material of the backup, and how it gets to its place.
struct Material {
    area: Area,
    way: Way,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The header on the disk does not use the place.
    Free,
    /// It is there already.
    There,
    /// Something else is in use there; it goes here first.
    Detour(Area),
    /// Something else is in use there, and there is no gap.
    Blocked,
}

/// Restores `bytes`, a backup with the header `new`. `existing` is the LUKS2 header of the disk, if it has one.
pub(crate) fn restored(
    new: &Luks2,
    bytes: &[u8],
    existing: Option<&Luks2>,
    disk: &dyn BlockRead,
    random: &dyn Random,
) -> Result<Restored, MendError> {
    let pair = Pair::of(new, &MemoryDisk::from(bytes.to_vec()), random)?;
    let restore = Restore { new, bytes, existing, disk, pair };
    let (phases, interruptible) = restore.phases().map_err(MendError::Disk)?;
    let Pair { primary, secondary, .. } = restore.pair;
    let after = Luks2::of_both(primary, secondary, new.metadata().clone(), disk.len());
    Ok(Restored { ready: Ready { after: Header::Luks2(Box::new(after)), phases }, interruptible })
}

impl Restore<'_> {
    fn phases(&self) -> Result<(Vec<Phase>, bool), BlockError> {
        let materials = self.materials()?;
        let same_layout = self.existing.is_none_or(|existing| existing.size() == self.new.size());
        let detours = materials.iter().any(|m| matches!(m.way, Way::Detour(_)));
        let blocked = materials.iter().any(|m| m.way == Way::Blocked);
        if !detours && !blocked {
            return Ok((self.direct(&materials), same_layout));
        }
        let staged = if blocked || !same_layout { None } else { self.detoured(&materials) };
        Ok(match staged {
            Some(meanwhile) => (self.staged(&materials, meanwhile), true),
            None => (self.direct(&materials), false),
        })
    }

    /// Everything at its place at once.
    fn direct(&self, materials: &[Material]) -> Vec<Phase> {
        let free: Vec<Area> = materials.iter().filter(|m| m.way == Way::Free).map(|m| m.area).collect();
        let mut phases: Vec<Phase> = vec![free.iter().filter_map(|area| self.write(*area, *area)).collect()];
        phases.extend(self.headers(&self.pair.primary_bytes, &self.pair.secondary_bytes, self.weaker_copy()));
        phases.push(self.rest(&free));
        phases
    }

    /// First under the header `meanwhile`, which knows of the detours.
    fn staged(&self, materials: &[Material], meanwhile: SealedHeader) -> Vec<Phase> {
        let place = |m: &Material| if let Way::Detour(gap) = m.way { gap } else { m.area };
        let first = materials.iter().filter(|m| m.way != Way::There);
        let mut phases: Vec<Phase> = vec![first.filter_map(|m| self.write(m.area, place(m))).collect()];
        phases.extend(self.headers(&meanwhile.primary_bytes, &meanwhile.secondary_bytes, self.weaker_copy()));
        let in_use: Vec<Area> = materials.iter().map(place).collect();
        phases.push(self.rest(&in_use));
        phases.extend(self.headers(&self.pair.primary_bytes, &self.pair.secondary_bytes, HeaderCopy::Primary));
        let gaps = materials.iter().filter(|m| matches!(m.way, Way::Detour(_))).map(place);
        phases.push(gaps.filter_map(|gap| self.write(gap, gap)).collect());
        phases
    }

    fn materials(&self) -> Result<Vec<Material>, BlockError> {
        let areas = |header: &Luks2| header.metadata().keyslots.values().map(|keyslot| keyslot.area).collect();
        let in_use: Vec<Area> = self.existing.map_or_else(Vec::new, areas);
        let wanted: Vec<Area> = areas(self.new);
        let mut taken = [in_use.as_slice(), &wanted].concat();
        let room = self.new.metadata().keyslots_area();
        let mut materials = Vec::new();
        for area in wanted {
            let way = if !in_use.iter().any(|used| used.overlaps(&area)) {
                Way::Free
            } else if self.is_there(area)? {
                Way::There
            } else {
                room.and_then(|room| room.first_gap(&taken, area.size())).map_or(Way::Blocked, Way::Detour)
            };
            if let Way::Detour(gap) = way {
                taken.push(gap);
            }
            materials.push(Material { area, way });
        }
        Ok(materials)
    }

    fn weaker_copy(&self) -> HeaderCopy {
        self.existing.map_or(HeaderCopy::Primary, Luks2::weaker_copy)
    }

    fn is_there(&self, area: Area) -> Result<bool, BlockError> {
        let wanted = self.bytes_of(area);
        let mut found = vec![0; wanted.len()];
        self.disk.read_at(area.offset(), &mut found)?;
        Ok(found == wanted)
    }

    fn bytes_of(&self, area: Area) -> &[u8] {
        let place = usize::try_from(area.offset().0).ok().zip(usize::try_from(area.end().0).ok());
        place.and_then(|(start, end)| self.bytes.get(start..end)).unwrap_or_default()
    }

    /// The backup's bytes of `area`, for `place`.
    fn write(&self, area: Area, place: Area) -> Option<Write> {
        let bytes = self.bytes_of(area);
        (!bytes.is_empty()).then(|| Write { offset: place.offset(), bytes: bytes.to_vec().into() })
    }

    /// What of the keyslots area is not one of these.
    fn rest(&self, done: &[Area]) -> Phase {
        let room = self.new.metadata().keyslots_area();
        let rest = room.map_or_else(Vec::new, |room| room.without(done));
        rest.into_iter().filter_map(|area| self.write(area, area)).collect()
    }

    /// Both copies, one after the other.
    fn headers(&self, primary: &[u8], secondary: &[u8], first: HeaderCopy) -> [Phase; 2] {
        let header = |offset, bytes: &[u8]| vec![Write { offset, bytes: bytes.to_vec().into() }];
        let mut headers = [header(Bytes(0), primary), header(self.pair.secondary.offset, secondary)];
        if first == HeaderCopy::Secondary {
            headers.reverse();
        }
        headers
    }

    /// The header that says where the key material is meanwhile. It is newer than both, so that it counts while the last one
    /// is being written.
    fn detoured(&self, materials: &[Material]) -> Option<SealedHeader> {
        let existing = self.existing.map_or(0, Luks2::sequence);
        let sequence = existing.max(self.new.sequence()).checked_add(1)?;
        let mut document = self.new.metadata().document().clone();
        for Material { area, way } in materials {
            if let Way::Detour(gap) = way {
                move_area(&mut document, *area, *gap);
            }
        }
        let metadata = Metadata::from_document(document, self.new.size()).ok()?;
        let Pair { primary, secondary, .. } = &self.pair;
        let (mut primary, mut secondary) = (primary.clone(), secondary.clone());
        (primary.sequence, secondary.sequence) = (sequence, sequence);
        SealedHeader::new(primary, secondary, metadata)
    }
}

/// Lets the slot that lies in `from` lie in `to`.
fn move_area(document: &mut Value, from: Area, to: Area) {
    let offset = from.offset().0.to_string();
    let slots = document.as_object_mut().and_then(|root| root.get_mut("keyslots")?.as_object_mut());
    let Some(slots) = slots else { return };
    let names: Vec<String> = slots.iter().map(|(name, _)| name.to_owned()).collect();
    for name in names {
        let area = slots.get_mut(&name).and_then(|slot| slot.as_object_mut()?.get_mut("area")?.as_object_mut());
        if let Some(area) = area.filter(|area| area.get("offset").and_then(Value::as_str) == Some(&offset)) {
            area.insert("offset", to.offset().0.to_string());
        }
    }
}

/// What the data is encrypted with, as far as a header tells without its keys: salts and values of the digests that cover
/// segments, and the segments' ciphers, sector sizes and first sector numbers.
pub(crate) fn key(metadata: &Metadata) -> impl PartialEq + '_ {
    let covering = metadata.digests.values().filter(|digest| !digest.segments.is_empty());
    let digests: Vec<_> = covering.map(|digest| (&digest.segments, digest.value())).collect();
    let crypt = |segment: &'_ Segment| {
        let crypt = segment.as_crypt()?;
        Some((crypt.encryption.clone(), crypt.sector_size, crypt.iv_tweak, crypt.integrity))
    };
    let segments: Vec<_> = metadata.segments.values().map(crypt).collect();
    (digests, segments)
}
