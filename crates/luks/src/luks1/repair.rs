//! Which places of a LUKS1 volume hold nothing that its header knows of.

use crate::area::Area;
use crate::luks1::header::Luks1;
use block::BlockRead;

/// The key areas of slots that are not in use.
pub(crate) fn unused(header: &Luks1, disk: &dyn BlockRead) -> Vec<Area> {
    let area = |active| {
        let slots = header.slots.iter().filter(move |slot| slot.active == active);
        slots.filter_map(|slot| slot.area(header.key_bytes)).collect::<Vec<_>>()
    };
    let in_use = area(true);
    let unused = area(false).into_iter().flat_map(|area| area.without(&in_use));
    unused.filter(|area| area.end() <= disk.len()).collect()
}
