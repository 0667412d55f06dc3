//! A LUKS1 header without its keyslots.

use crate::area::Area;
use crate::header::Header;
use crate::luks1::accept::accept_areas_on;
use crate::luks1::header::{Luks1, Luks1Slot, SALT_LEN};
use crate::refused::Refused;
use crate::slot::Slot;
use crate::undo::{Ready, Write};
use block::Bytes;

/// The slots in use, and where their key material lies as far as that can be told.
pub(crate) fn slots(header: &Luks1) -> Vec<(Slot, Option<Area>)> {
    let active = Slot::all().zip(&header.slots).filter(|(_, entry)| entry.active);
    active.map(|(slot, entry)| (slot, entry.area(header.key_bytes))).collect()
}

/// The places of all slots, in use or not; an error if one of them is not where key material may lie.
pub(crate) fn areas(header: &Luks1, disk: Bytes) -> Result<Vec<Area>, Refused> {
    accept_areas_on(header, disk)
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
