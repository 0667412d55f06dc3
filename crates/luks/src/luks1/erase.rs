//! A LUKS1 header without its keyslots.

use crate::area::Area;
use crate::header::Header;
use crate::luks1::accept::accept_areas_on;
use crate::luks1::header::{HEADER_LEN, Luks1, Luks1Slot, SALT_LEN};
use crate::luks1::places::keyslots_end;
use crate::refused::Refused;
use crate::slot::Slot;
use crate::undo::{Ready, Write};
use block::Bytes;

/// The slots in use, and where their key material lies as far as that can be told.
pub(crate) fn slots(header: &Luks1) -> Vec<(Slot, Option<Area>)> {
    let active = Slot::all().zip(&header.slots).filter(|(_, entry)| entry.active);
    active.map(|(slot, entry)| (slot, entry.area(header.key_bytes))).collect()
}

/// The places of all slots, in use or not, and what lies between the header and the end of the eight places that a header of this key
/// size usually has: whoever changed where a slot's material is may have kept what was there. No further than the furthest slot, behind
/// which LUKSMeta may be. An error if a slot is not where key material may lie.
pub(crate) fn areas(header: &Luks1, disk: Bytes) -> Result<Vec<Area>, Refused> {
    let places = accept_areas_on(header, disk)?;
    let start = Bytes::from(HEADER_LEN);
    let usual = keyslots_end(header.key_bytes).checked_sub(start).and_then(|size| Area::new(start, size));
    let all = usual.and_then(|all| all.before(places.iter().map(Area::end).max()?));
    let between = all.iter().flat_map(|all| all.without(&places));
    let mut areas: Vec<Area> = places.iter().copied().chain(between).collect();
    areas.sort();
    areas.dedup_by(|next, area| {
        let adjoins = area.end() == next.offset();
        if adjoins {
            area.extend_to(next.end());
        }
        adjoins
    });
    Ok(areas)
}

/// The header with eight empty slots.
pub(crate) fn ready(header: &Luks1) -> Ready {
    let empty = |slot: &Luks1Slot| Luks1Slot { active: false, iterations: 0, salt: [0; SALT_LEN], ..slot.clone() };
    let slots = header.slots.each_ref().map(empty);
    let bytes = header.with_slots(Slot::all().zip(&slots));
    let write = Write { offset: Bytes(0), bytes: bytes.to_vec().into() };
    let after = Luks1 { slots, bytes, ..header.clone() };
    Ready { after: Header::Luks1(Box::new(after)), phases: vec![vec![write]] }
}
