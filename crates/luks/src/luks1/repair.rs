//! What can be mended of a LUKS1 header, of which there is one copy and no checksum: only what the rest of it vouches for.
//!
//! cryptsetup 2.6.1 puts the entries of slots that are not in use back where they belong, when it refuses the header because
//! of one of them. The same is done here; and a magic that is gone comes back (`wipefs` takes just that), and so does the flag
//! of a slot, both of which cryptsetup leaves alone.

use crate::allowed::{Allowed, DataPlace};
use crate::area::Area;
use crate::header::{Header, Identity};
use crate::luks1::change::{Change, MetaChange};
use crate::luks1::header::{ACTIVE, ENTRIES, ENTRY_LEN, HEADER_LEN, INACTIVE, Luks1, Luks1Slot};
use crate::luks1::meta::{self, BLOCK, LuksMeta, META_MOST, MetaSlot, Table};
use crate::luks1::places::slot_place;
use crate::luks1::writes;
use crate::luks2::binary_header::HeaderCopy;
use crate::refused::Refused;
use crate::slot::Slot;
use crate::undo::{ApplyError, Phase, Ready, Write};
use block::{BlockError, BlockRead, Bytes, SECTOR};
use std::collections::BTreeMap;
use std::fmt;
use uuid::{Uuid, uuid};

/// What the data of Clevis in LUKSMeta are marked by. They belong to a slot in use; without one they serve only a header that may be
/// restored. Other data may well be kept for slots that are not in use.
pub const CLEVIS_UUID: Uuid = uuid!("cb6e8904-81ff-40da-a84a-07ab9ab5715e");

/// What is overwritten is kept in memory. More than this of rubbish is in no gap that anybody made for LUKSMeta.
pub(crate) const MOST_WIPED: Bytes = Bytes(64 << 20);

/// One thing that is wrong with a LUKS1 header, and can be put right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Luks1Fault {
    /// It does not begin with the magic and the version.
    Magic,
    /// A slot is neither in use nor not in use.
    SlotState {
        /// The slot.
        slot: Slot,
        /// Whether it becomes one in use: it has iterations and a salt, which other slots do not have.
        active: bool,
    },
    /// A slot that is not in use says that its key material lies where it cannot.
    SlotPlace {
        /// The slot.
        slot: Slot,
    },
}

/// A header put right.
pub(crate) struct Mended {
    pub(crate) before: Identity,
    pub(crate) faults: Vec<Luks1Fault>,
    pub(crate) ready: Ready,
}

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

/// Puts right what is wrong with the header; `None` if that is nothing, or not enough: the outcome must be a header that is
/// accepted, with a slot in use.
pub(crate) fn mend(disk: &dyn BlockRead) -> Result<Option<Mended>, BlockError> {
    let mut found = Box::new([0; HEADER_LEN]);
    if disk.len() < Bytes::from(HEADER_LEN) {
        return Ok(None);
    }
    disk.read_at(Bytes(0), found.as_mut_slice())?;
    let mut bytes = found.clone();
    let mut faults = Vec::new();
    faults.extend(mend_magic(&mut bytes));
    faults.extend(Slot::of_luks1().filter_map(|slot| mend_state(&mut bytes, slot)));
    let Some((header, misplaced)) = accepted(bytes, disk) else { return Ok(None) };
    faults.extend(misplaced);
    if faults.is_empty() || is_luks2(&found) || !header.slots.iter().any(|slot| slot.active) {
        return Ok(None);
    }
    let (meta, table) = meta::read(disk, header.gap());
    let before = Identity::Luks1(found.clone(), table.clone());
    let phases = sectors(&found, &header.bytes);
    let after = Header::Luks1(Box::new(Luks1 { meta, table, ..header }));
    Ok(Some(Mended { before, faults, ready: Ready { after, phases } }))
}

/// What is on the disk in the places of this header, which could not be read from there.
pub(crate) fn identity(disk: &dyn BlockRead, after: &Header) -> Result<Identity, ApplyError> {
    let mut bytes = Box::new([0; HEADER_LEN]);
    disk.read_at(Bytes(0), bytes.as_mut_slice()).map_err(|source| ApplyError::NotKept { source })?;
    Ok(Identity::Luks1(bytes, meta::read(disk, after.as_luks1().and_then(Luks1::gap)).1))
}

/// The other version has a first copy of its own to be mended.
fn is_luks2(bytes: &[u8; HEADER_LEN]) -> bool {
    bytes.starts_with(&HeaderCopy::Primary.magic()) && bytes.get(6..8) == Some(&[0, 2])
}

fn mend_magic(bytes: &mut [u8; HEADER_LEN]) -> Option<Luks1Fault> {
    let right = HeaderCopy::Primary.magic().into_iter().chain([0, 1]);
    if bytes.iter().copied().take(8).eq(right.clone()) {
        return None;
    }
    bytes.iter_mut().zip(right).for_each(|(to, from)| *to = from);
    Some(Luks1Fault::Magic)
}

fn mend_state(bytes: &mut [u8; HEADER_LEN], slot: Slot) -> Option<Luks1Fault> {
    let entry = bytes.get_mut(ENTRIES + usize::from(slot.number()) * ENTRY_LEN..)?;
    let (state, rest) = entry.split_first_chunk_mut::<4>()?;
    if [ACTIVE, INACTIVE].contains(&u32::from_be_bytes(*state)) {
        return None;
    }
    let (iterations, salt) = (rest.get(..4)?, rest.get(4..36)?);
    let active = iterations.iter().any(|b| *b != 0) && salt.iter().any(|b| *b != 0);
    *state = if active { ACTIVE } else { INACTIVE }.to_be_bytes();
    Some(Luks1Fault::SlotState { slot, active })
}

/// The header of these bytes if it is accepted, perhaps with slots that are not in use put where they belong.
fn accepted(bytes: Box<[u8; HEADER_LEN]>, disk: &dyn BlockRead) -> Option<(Luks1, Vec<Luks1Fault>)> {
    let header = Luks1::parse(bytes, disk.len()).ok()?;
    match check(&header) {
        Ok(()) => Some((header, Vec::new())),
        Err(Refused::Stripes { .. } | Refused::AreaOutside { .. } | Refused::AreaOverlaps { .. }) => {
            let (header, faults) = in_place(&header, disk)?;
            check(&header).ok().map(|()| (header, faults))
        }
        Err(_) => None,
    }
}

/// Where the data is does not matter here, nor what a slot costs.
fn check(header: &Luks1) -> Result<(), Refused> {
    Header::Luks1(Box::new(header.clone())).check(&Allowed::at_any_cost(DataPlace::OtherDisk)).map(|_| ())
}

fn in_place(header: &Luks1, disk: &dyn BlockRead) -> Option<(Luks1, Vec<Luks1Fault>)> {
    let right = |(slot, entry): (Slot, &Luks1Slot)| {
        let mut mended = entry.clone();
        mended.empty();
        (mended.material, mended.stripes) = (slot_place(slot, header.key_bytes), crate::af::STRIPES);
        let differs = (entry.material, entry.stripes) != (mended.material, mended.stripes);
        (!entry.active && differs).then_some((slot, mended))
    };
    let mended: Vec<(Slot, Luks1Slot)> = Slot::of_luks1().zip(&header.slots).filter_map(right).collect();
    let bytes = header.with_slots(mended.iter().map(|(slot, entry)| (*slot, entry)));
    let faults = mended.iter().map(|(slot, _)| Luks1Fault::SlotPlace { slot: *slot }).collect();
    Some((Luks1::parse(bytes, disk.len()).ok()?, faults))
}

/// The sectors that differ, the one with the magic last.
fn sectors(before: &[u8; HEADER_LEN], after: &[u8; HEADER_LEN]) -> Vec<Phase> {
    let sector = usize::try_from(SECTOR).unwrap_or(usize::MAX);
    let pairs = before.chunks(sector).zip(after.chunks(sector));
    let changed = (0..).map(|n| Bytes(n * SECTOR)).zip(pairs).filter(|(_, (old, new))| old != new);
    let phases = changed.map(|(offset, (_, new))| vec![Write { offset, bytes: new.to_vec().into() }]);
    phases.collect::<Vec<_>>().into_iter().rev().collect()
}

/// Empties the slots of LUKSMeta with data of Clevis that are not in use. `None` if there are none.
pub(crate) fn forget_meta(header: &Luks1) -> Option<(Vec<Slot>, Ready)> {
    let meta = header.meta().present()?;
    let active = |slot: Slot| header.slots.get(usize::from(slot.number())).is_some_and(|entry| entry.active);
    let is_left = |slot, entry: &MetaSlot| entry.uuid == CLEVIS_UUID && entry.length <= META_MOST && !active(slot);
    let left = meta.slots().filter(|(slot, entry)| is_left(*slot, entry));
    let left: Vec<Slot> = left.map(|(slot, _)| slot).collect();
    let mut table = *meta.table();
    left.iter().for_each(|slot| table.set(*slot, None));
    let meta = MetaChange { table: Some(table), ..MetaChange::default() };
    let ready = writes::ready(&Change { header, slots: BTreeMap::new(), meta });
    (!left.is_empty()).then_some((left, ready))
}

/// The blocks of the gap that no slot of LUKSMeta has data in, and that are not zeros; `None` if they are more than [`MOST_WIPED`].
pub(crate) fn unused_blocks(
    meta: &LuksMeta,
    table: &Table,
    disk: &dyn BlockRead,
) -> Result<Option<Vec<Area>>, BlockError> {
    let Some(gap) = meta.gap().before(disk.len()) else { return Ok(Some(Vec::new())) };
    let block = |at: u64| Area::new(Bytes(at), Bytes(BLOCK));
    let used: Vec<Area> = table.slots().filter_map(|(_, slot)| slot.inside(gap)).collect();
    let mut unused: Vec<Area> = Vec::new();
    let mut bytes = vec![0; usize::try_from(BLOCK).unwrap_or(usize::MAX)];
    let mut size = Bytes(0);
    let mut at = gap.offset().0.saturating_add(BLOCK);
    while let Some(area) = block(at).filter(|area| gap.contains(area)) {
        at = area.end().0;
        if used.iter().any(|used| used.overlaps(&area)) {
            continue;
        }
        disk.read_at(area.offset(), &mut bytes)?;
        if bytes.iter().all(|b| *b == 0) {
            continue;
        }
        size = Bytes(size.0.saturating_add(BLOCK));
        if size > MOST_WIPED {
            return Ok(None);
        }
        match unused.last_mut() {
            Some(last) if last.end() == area.offset() => last.extend_to(area.end()),
            _ => unused.push(area),
        }
    }
    Ok(Some(unused))
}

impl Luks1Fault {
    /// What has been done about it.
    pub(crate) fn done(self) -> String {
        match self {
            Luks1Fault::Magic => "magic and version of the LUKS1 header are written anew".to_owned(),
            Luks1Fault::SlotState { slot, active } => {
                let state = if active { "in use" } else { "not in use" };
                format!("slot {slot} is marked as {state}: it was marked as neither")
            }
            Luks1Fault::SlotPlace { slot } => format!("slot {slot}, which is not in use, is put where it belongs"),
        }
    }
}

impl fmt::Display for Luks1Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Luks1Fault::Magic => f.write_str("write magic and version of the LUKS1 header anew: the rest is right"),
            Luks1Fault::SlotState { slot, active } => {
                let state = if *active { "in use" } else { "not in use" };
                write!(f, "mark slot {slot} as {state}: it is marked as neither")
            }
            Luks1Fault::SlotPlace { slot } => {
                write!(f, "put slot {slot}, which is not in use, where it belongs")
            }
        }
    }
}
