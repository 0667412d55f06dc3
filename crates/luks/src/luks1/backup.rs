//! How much of a LUKS1 volume a backup of its header has.

use crate::luks1::accept::accept_areas;
use crate::luks1::header::{HEADER_LEN, Luks1};
use crate::refused::Refused;
use block::Bytes;

/// A backup is as long as whole pages.
const PAGE: u64 = 4096;

/// To the end of the furthest key area, and of the page that it ends in; an error if a key area is not where it may lie, and
/// `None` if there is no such length.
pub(crate) fn length(header: &Luks1) -> Result<Option<Bytes>, Refused> {
    accept_areas(header)?;
    Ok(end(header).0.checked_next_multiple_of(PAGE).map(Bytes))
}

/// The end of the furthest key area. What a backup has behind it is nothing: data may be there.
pub(crate) fn end(header: &Luks1) -> Bytes {
    let areas = header.slots.iter().filter_map(|slot| slot.area(header.key_bytes));
    areas.map(|area| area.end()).max().unwrap_or(Bytes::from(HEADER_LEN))
}

/// Puts zeros in the places that belong to nothing, as cryptsetup does: what stood there before the volume was made is
/// nobody's business.
pub(crate) fn clean(header: &Luks1, bytes: &mut [u8]) {
    let areas: Vec<_> = header.slots.iter().filter_map(|slot| slot.area(header.key_bytes)).collect();
    let start = areas.iter().map(|area| area.offset()).min().unwrap_or(Bytes(PAGE));
    if start == Bytes(PAGE) {
        bytes.iter_mut().take(size(start)).skip(HEADER_LEN).for_each(|byte| *byte = 0);
    }
    bytes.iter_mut().skip(size(end(header))).for_each(|byte| *byte = 0);
}

fn size(bytes: Bytes) -> usize {
    usize::try_from(bytes.0).unwrap_or(usize::MAX)
}
