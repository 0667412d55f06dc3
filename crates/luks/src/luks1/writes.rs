//! In which order a change of LUKS1 reaches the disk, so that a power failure at any moment leaves every passphrase working
//! that is not being removed.
//!
//! There is one copy of the header, without a checksum, in two sectors; a sector is written whole or not at all. What is new
//! goes to places that nothing refers to, then the table of LUKSMeta (it lies in one sector), then the header; what goes is
//! first forgotten by the header, then by the table, then overwritten. The entry of slot 6 begins in the first sector, with
//! the flag that says whether it is in use, and ends in the second: so the second sector goes first where slots come, and the
//! first where they go.
//!
//! A slot that gets another passphrase is overwritten only while another slot holds the new key, and the data of LUKSMeta
//! for it.

use crate::area::Area;
use crate::header::Header;
use crate::luks1::change::{Change, SlotChange};
use crate::luks1::header::{HEADER_LEN, Luks1, Luks1Slot, SALT_LEN};
use crate::luks1::meta::{LuksMeta, MetaSlot, MetaState, TABLE_LEN, Table, TableBytes};
use crate::slot::Slot;
use crate::undo::{Phase, Ready, Write};
use block::{Bytes, SECTOR};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// All that will be written, in its order.
pub(crate) fn ready(change: &Change<'_>) -> Ready {
    let mut story = Story::new(change);
    let meta = story.meta_tables();
    let only_goes = !change.slots.values().any(|change| !matches!(change, SlotChange::Remove { .. }));
    if only_goes {
        // As cryptsetup does it: whoever wants a slot gone cannot be left with it.
        story.overwrite_removed();
    }
    story.nuke();
    story.bring_material(&meta);
    story.table(meta.with_new);
    story.header(story.with_new(), Order::Coming);
    story.rewrite_replaced();
    story.table(meta.with_replaced);
    story.header(story.without_old(), Order::Going);
    story.table(meta.last);
    if !only_goes {
        story.overwrite_removed();
    }
    story.wipe_data(&meta);
    story.end(meta.last)
}

/// Which of the header's sectors is written first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Coming,
    Going,
}

struct Story<'e> {
    change: &'e Change<'e>,
    /// As far as the disk has it.
    gap: Option<Area>,
    /// The header as it is at this point.
    slots: BTreeMap<Slot, Luks1Slot>,
    header: Box<[u8; HEADER_LEN]>,
    table: Option<TableBytes>,
    phases: Vec<Phase>,
}

/// The table of LUKSMeta, step by step. `None`: there is none, or it stays as it is.
struct MetaTables {
    with_new: Option<Table>,
    with_replaced: Option<Table>,
    last: Option<Table>,
    /// The data of slots that hold a new key for another one, and where it lies.
    bridges: Vec<(Slot, Vec<u8>)>,
}

impl<'e> Story<'e> {
    fn new(change: &'e Change<'e>) -> Story<'e> {
        let header = change.header;
        Story {
            change,
            gap: header.gap_on_disk(),
            slots: Slot::all().zip(header.slots.iter().cloned()).collect(),
            header: header.bytes.clone(),
            table: header.table.as_deref().copied(),
            phases: Vec::new(),
        }
    }

    /// The table that is there before.
    fn table_before(&self) -> Option<Table> {
        let meta = self.change.header.meta().present().filter(|_| !self.change.meta.nuked);
        meta.map(|meta| *meta.table())
    }

    fn meta_tables(&self) -> MetaTables {
        let (before, last) = (self.table_before().unwrap_or_default(), self.change.meta.table);
        let Some(after) = last else {
            return MetaTables { with_new: None, with_replaced: None, last: None, bridges: Vec::new() };
        };
        let mut with_new = before;
        let mut waiting = Vec::new();
        for (slot, entry) in after.slots().filter(|(slot, entry)| before.slot(*slot) != Some(*entry)) {
            match self.change.slots.get(&slot) {
                // The old key and the old data belong together.
                Some(SlotChange::Replace { bridge: Some(bridge), .. }) => waiting.push((slot, *entry, bridge.slot)),
                _ => with_new.set(slot, Some(*entry)),
            }
        }
        let mut bridges = Vec::new();
        let mut with_replaced = with_new;
        for (slot, entry, bridge) in waiting {
            with_replaced.set(slot, Some(entry));
            let place = self.gap.and_then(|gap| {
                Some((gap, Table::first_fit(&[&before, &after, &with_replaced, &with_new], gap, entry.length)?))
            });
            let data = self.change.meta.new.iter().find(|(of, _)| *of == slot);
            // Without room for it a power failure leaves a slot that opens with a passphrase, but not by itself.
            if let (Some((gap, area)), Some((_, data)), None) = (place, data, with_new.slot(bridge)) {
                let copy = Some(MetaSlot::new(entry.uuid, area, gap, data));
                with_new.set(bridge, copy);
                with_replaced.set(bridge, copy);
                bridges.push((bridge, data.clone()));
            }
        }
        MetaTables { with_new: Some(with_new), with_replaced: Some(with_replaced), last, bridges }
    }

    fn nuke(&mut self) {
        let Some(gap) = self.gap.filter(|_| self.change.meta.nuked) else { return };
        self.write_table([0; TABLE_LEN]);
        self.phases.push(vec![Write::zeros(&gap)]);
    }

    /// Key material and data in places that nothing refers to yet.
    fn bring_material(&mut self, meta: &MetaTables) {
        let mut phase = Phase::new();
        for (slot, change) in &self.change.slots {
            match change {
                SlotChange::Add(new) => phase.extend(self.material(*slot, &new.material)),
                SlotChange::Replace { new, bridge: Some(bridge) } => {
                    phase.extend(self.material(bridge.slot, &new.material));
                }
                SlotChange::Replace { bridge: None, .. } | SlotChange::Remove { .. } => {}
            }
        }
        let new = self.change.meta.new.iter().map(|data| (meta.last, data));
        for (table, (slot, data)) in new.chain(meta.bridges.iter().map(|data| (meta.with_new, data))) {
            let place = table.and_then(|table| table.slot(*slot)?.place(self.gap?));
            phase.extend(place.map(|place| Write { offset: place.offset(), bytes: data.clone().into() }));
        }
        self.phases.push(phase);
    }

    /// The entries with those that come, and with those that hold a key for another one.
    fn with_new(&self) -> BTreeMap<Slot, Luks1Slot> {
        let mut slots = self.slots.clone();
        for (slot, change) in &self.change.slots {
            match change {
                SlotChange::Add(new) => {
                    slots.insert(*slot, new.entry.clone());
                }
                SlotChange::Replace { new, bridge: Some(bridge) } => {
                    if let Some(entry) = slots.get_mut(&bridge.slot) {
                        *entry = Luks1Slot { material: entry.material, ..new.entry.clone() };
                    }
                }
                SlotChange::Replace { bridge: None, .. } | SlotChange::Remove { .. } => {}
            }
        }
        slots
    }

    /// The entries without those that go and those that held a key for another one.
    fn without_old(&self) -> BTreeMap<Slot, Luks1Slot> {
        let mut slots = self.slots.clone();
        for (slot, change) in &self.change.slots {
            let gone = match change {
                SlotChange::Remove { .. } => slots.get_mut(slot),
                SlotChange::Replace { bridge: Some(bridge), .. } => slots.get_mut(&bridge.slot),
                SlotChange::Replace { bridge: None, .. } | SlotChange::Add(_) => None,
            };
            if let Some(entry) = gone {
                entry.empty();
            }
        }
        slots
    }

    /// One slot after the other is emptied, gets its key material, and is in use again.
    fn rewrite_replaced(&mut self) {
        for (slot, change) in &self.change.slots {
            let SlotChange::Replace { new, .. } = change else { continue };
            let mut slots = self.slots.clone();
            if let Some(entry) = slots.get_mut(slot) {
                entry.empty();
            }
            self.header(slots.clone(), Order::Going);
            let material = self.material(*slot, &new.material);
            self.phases.push(material.into_iter().collect());
            slots.insert(*slot, new.entry.clone());
            self.header(slots, Order::Coming);
        }
    }

    fn overwrite_removed(&mut self) {
        let mut phase = Phase::new();
        for (slot, change) in &self.change.slots {
            match change {
                SlotChange::Remove { noise } => phase.extend(self.material(*slot, noise)),
                SlotChange::Replace { bridge: Some(bridge), .. } => {
                    phase.extend(self.material(bridge.slot, &bridge.noise));
                }
                SlotChange::Replace { bridge: None, .. } | SlotChange::Add(_) => {}
            }
        }
        self.phases.push(phase);
    }

    /// Data that no table refers to any more becomes zeros; what belongs to another slot too stays, and what lies behind the
    /// gap.
    fn wipe_data(&mut self, meta: &MetaTables) {
        let (Some(gap), Some(last)) = (self.gap, meta.last) else { return };
        let kept: Vec<Area> = last.slots().filter_map(|(_, slot)| slot.inside(gap)).collect();
        let tables = [self.table_before(), meta.with_new, meta.with_replaced];
        let entries = tables.iter().flatten().flat_map(Table::slots);
        let mut places: Vec<Area> = entries.filter_map(|(_, slot)| slot.inside(gap)).collect();
        places.sort();
        places.dedup();
        let free = places.into_iter().flat_map(|place| place.without(&kept));
        self.phases.push(free.map(|area| Write::zeros(&area)).collect());
    }

    fn material(&self, slot: Slot, bytes: &Zeroizing<Vec<u8>>) -> Option<Write> {
        Some(Write { offset: self.slots.get(&slot)?.material, bytes: bytes.clone() })
    }

    /// Writes the sectors of the header that become others.
    fn header(&mut self, slots: BTreeMap<Slot, Luks1Slot>, order: Order) {
        let header = self.change.header.with_slots(slots.iter().map(|(slot, entry)| (*slot, entry)));
        let sector = usize::try_from(SECTOR).unwrap_or(usize::MAX);
        let pairs = self.header.chunks(sector).zip(header.chunks(sector));
        let changed = (0..).map(|n| Bytes(n * SECTOR)).zip(pairs).filter(|(_, (old, new))| old != new);
        let mut phases: Vec<Phase> =
            changed.map(|(offset, (_, new))| vec![Write { offset, bytes: new.to_vec().into() }]).collect();
        if order == Order::Coming {
            phases.reverse();
        }
        self.phases.extend(phases);
        (self.slots, self.header) = (slots, header);
    }

    fn table(&mut self, table: Option<Table>) {
        if let Some(table) = table {
            self.write_table(table.to_bytes());
        }
    }

    fn write_table(&mut self, bytes: TableBytes) {
        let Some(gap) = self.gap.filter(|_| self.table != Some(bytes)) else { return };
        self.phases.push(vec![Write { offset: gap.offset(), bytes: bytes.to_vec().into() }]);
        self.table = Some(bytes);
    }

    fn end(self, table: Option<Table>) -> Ready {
        let before = self.change.header;
        let known = before.meta().present().filter(|_| !self.change.meta.nuked);
        let meta = match (before.gap(), table) {
            (Some(gap), Some(table)) => {
                MetaState::Present(Box::new(LuksMeta::with_table(known, gap, table, &self.change.meta.new)))
            }
            _ if self.change.meta.nuked => MetaState::Absent,
            _ => before.meta().clone(),
        };
        let mut after = Luks1 { meta, table: self.table.map(Box::new), bytes: self.header, ..before.clone() };
        after.slots.iter_mut().zip(self.slots.into_values()).for_each(|(to, entry)| *to = entry);
        Ready { after: Header::Luks1(Box::new(after)), phases: self.phases }
    }
}

impl Luks1Slot {
    /// Not in use any more; its place stays.
    pub(crate) fn empty(&mut self) {
        (self.active, self.iterations, self.salt) = (false, 0, [0; SALT_LEN]);
    }
}
