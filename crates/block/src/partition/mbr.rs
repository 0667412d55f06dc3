//! The master boot record and its chain of extended partitions (UEFI specification 2.10, section 5.2.1; for the chain,
//! which no specification describes, the Linux kernel's `block/partitions/msdos.c` is what others agree with).

use super::table::{ChainFault, Kind, Partition, PartitionError, Scheme, Table, check_apart};
use crate::disk::BlockRead;
use crate::reader::Reader;
use crate::unit::{Bytes, SECTOR, Sectors};

/// Bytes of a boot record.
pub(super) const LENGTH: usize = 512;
/// Links of the chain that are followed; Linux stops at 100 to 256, tools make at most 60.
const MOST_LINKS: usize = 128;
/// Bytes of boot code before the disk's number.
const BOOT_CODE: usize = 440;

/// Sector 0, or the sector that starts a logical partition.
pub(super) struct BootRecord {
    disk_id: u32,
    slots: [Slot; 4],
}

#[derive(Clone, Copy)]
struct Slot {
    status: u8,
    kind: u8,
    /// In sectors, from a base that depends on where the slot stands.
    start: Sectors,
    length: Sectors,
}

impl Slot {
    fn parse(r: &mut Reader<'_>) -> Option<Slot> {
        let status = r.u8()?;
        let _first_chs = r.array::<3>()?;
        let kind = r.u8()?;
        let _last_chs = r.array::<3>()?;
        let start = Sectors(r.u32_le()?.into());
        let length = Sectors(r.u32_le()?.into());
        Some(Slot { status, kind, start, length })
    }

    fn is_used(self) -> bool {
        self.kind != 0 && self.length != Sectors(0)
    }

    fn is_extended(self) -> bool {
        matches!(self.kind, 0x05 | 0x0f | 0x85)
    }
}

impl BootRecord {
    /// `None` if this is not a boot record with a partition table: no 0x55 0xaa, or a boot flag that is neither set nor
    /// clear, as where a FAT file system has its own boot code in that place.
    pub(super) fn parse(sector: &[u8; LENGTH]) -> Option<BootRecord> {
        let mut r = Reader::new(sector);
        let _boot_code = r.take(BOOT_CODE)?;
        let disk_id = r.u32_le()?;
        let _reserved = r.array::<2>()?;
        let slots = [Slot::parse(&mut r)?, Slot::parse(&mut r)?, Slot::parse(&mut r)?, Slot::parse(&mut r)?];
        let signed = r.array::<2>()? == [0x55, 0xaa];
        let plausible = slots.iter().all(|slot| matches!(slot.status, 0x00 | 0x80));
        (signed && plausible).then_some(BootRecord { disk_id, slots })
    }

    /// Whether it only guards a GPT. Linux looks for type 0xee at sector 1 in any of the four places.
    pub(super) fn is_protective(&self) -> bool {
        self.slots.iter().any(|slot| slot.kind == 0xee && slot.start == Sectors(1))
    }
}

/// Lists the partitions of a disk whose first sector is `first`. An extended partition holds no data and is not listed.
pub(super) fn read(disk: &dyn BlockRead, first: &BootRecord) -> Result<Table, PartitionError> {
    let whole = Range { start: Bytes(SECTOR), end: disk.len() };
    let mut partitions = Vec::new();
    let mut extended = None;
    for (number, slot) in (1..).zip(first.slots).filter(|(_, slot)| slot.is_used()) {
        let range = whole.hold(number, Sectors(0), slot)?;
        if !slot.is_extended() {
            partitions.push(range.partition(number, slot.kind));
        } else if extended.replace((range, slot)).is_some() {
            return Err(PartitionError::SeveralExtended);
        }
    }
    if let Some((range, slot)) = extended {
        check_clear_of(&range, &partitions, &first.slots)?;
        follow_chain(disk, &range, slot.start, &mut partitions)?;
    }
    check_apart(&partitions)?;
    Ok(Table { scheme: Scheme::Mbr { disk_id: first.disk_id }, partitions })
}

/// A primary partition inside the extended one would share its bytes with whatever logical partition lies there.
fn check_clear_of(extended: &Range, primaries: &[Partition], slots: &[Slot; 4]) -> Result<(), PartitionError> {
    let own = (1..).zip(slots).find(|(_, slot)| slot.is_used() && slot.is_extended()).map_or(0, |(number, _)| number);
    match primaries.iter().find(|primary| primary.start < extended.end && primary.end() > extended.start) {
        Some(other) => Err(PartitionError::Overlap { first: own.min(other.number), second: own.max(other.number) }),
        None => Ok(()),
    }
}

/// Follows the links from one logical partition to the next: slot 0 of each is the partition, counted from the link itself,
/// slot 1 is the next link, counted from the extended partition's start (`base`).
fn follow_chain(
    disk: &dyn BlockRead,
    extended: &Range,
    base: Sectors,
    partitions: &mut Vec<Partition>,
) -> Result<(), PartitionError> {
    let mut link = base;
    let mut number = 5;
    for step in 0..MOST_LINKS {
        // Inside the extended partition, which is inside the disk: checked for the first by `read`, below for the others.
        let at = link.checked_bytes().unwrap_or_default();
        let mut sector = [0; LENGTH];
        disk.read_at(at, &mut sector).map_err(PartitionError::Disk)?;
        let record = match BootRecord::parse(&sector) {
            Some(record) => record,
            None if step == 0 => return Ok(()), // some tools leave an empty extended partition blank
            None => return Err(PartitionError::Chain { at, fault: ChainFault::NoSignature }),
        };
        let [logical, next, ..] = record.slots;
        if logical.is_used() && !logical.is_extended() {
            partitions.push(extended.hold(number, link, logical)?.partition(number, logical.kind));
            number += 1;
        }
        if !(next.is_used() && next.is_extended()) {
            return Ok(());
        }
        link = Sectors(base.0.saturating_add(next.start.0));
        let room = link.checked_bytes().and_then(|start| start.checked_add(Bytes(SECTOR)));
        if room.is_none_or(|end| end > extended.end) {
            return Err(PartitionError::Chain { at, fault: ChainFault::Outside });
        }
    }
    Err(PartitionError::Chain { at: link.checked_bytes().unwrap_or_default(), fault: ChainFault::TooLong })
}

/// Where partitions may lie, or where one does.
struct Range {
    start: Bytes,
    end: Bytes,
}

impl Range {
    /// The bytes of `slot`, counted from `base`, if they lie inside.
    fn hold(&self, number: u32, base: Sectors, slot: Slot) -> Result<Range, PartitionError> {
        // Sums of three 32-bit numbers of sectors: no overflow even in 64 bits of bytes.
        let start = Bytes((base.0 + slot.start.0) * SECTOR);
        let end = Bytes(start.0 + slot.length.0 * SECTOR);
        if start < self.start || end > self.end {
            return Err(PartitionError::OutOfRange { number, start, end, lowest: self.start, highest: self.end });
        }
        Ok(Range { start, end })
    }

    fn partition(&self, number: u32, kind: u8) -> Partition {
        Partition {
            number,
            start: self.start,
            length: Bytes(self.end.0.saturating_sub(self.start.0)),
            kind: Kind::Mbr(kind),
            name: String::new(),
            uuid: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryDisk;

    const DISK: usize = 1000 * LENGTH;

    /// Writes a slot of the boot record in sector `at`.
    fn set(bytes: &mut [u8], at: usize, slot: usize, kind: u8, start: u32, length: u32) {
        let record = &mut bytes[at * LENGTH..][..LENGTH];
        let place = &mut record[446 + 16 * slot..][..16];
        place[4] = kind;
        place[8..12].copy_from_slice(&start.to_le_bytes());
        place[12..16].copy_from_slice(&length.to_le_bytes());
        record[510..].copy_from_slice(&[0x55, 0xaa]);
    }

    /// One primary partition, and an extended one with two logical.
    fn two_logical() -> Vec<u8> {
        let mut bytes = vec![0; DISK];
        bytes[440..444].copy_from_slice(&0xdead_beef_u32.to_le_bytes());
        set(&mut bytes, 0, 0, 0x83, 10, 90);
        set(&mut bytes, 0, 1, 0x05, 100, 900);
        set(&mut bytes, 100, 0, 0x83, 10, 90);
        set(&mut bytes, 100, 1, 0x05, 100, 200);
        set(&mut bytes, 200, 0, 0x82, 10, 190);
        bytes
    }

    fn read_bytes(bytes: Vec<u8>) -> Result<Table, PartitionError> {
        let first = BootRecord::parse(bytes.first_chunk().unwrap()).unwrap();
        read(&MemoryDisk::from(bytes), &first)
    }

    fn fault(bytes: Vec<u8>) -> PartitionError {
        read_bytes(bytes).unwrap_err()
    }

    #[test]
    fn logical_partitions_count_from_five() {
        let table = read_bytes(two_logical()).unwrap();
        assert!(matches!(table.scheme, Scheme::Mbr { disk_id: 0xdead_beef }));
        let seen: Vec<_> =
            table.partitions.iter().map(|p| (p.number, p.start.0 / SECTOR, p.length.0 / SECTOR, p.kind)).collect();
        assert_eq!(seen, [(1, 10, 90, Kind::Mbr(0x83)), (5, 110, 90, Kind::Mbr(0x83)), (6, 210, 190, Kind::Mbr(0x82))]);
        assert!(table.partition(5).is_some() && table.partition(2).is_none());
    }

    #[test]
    fn a_partition_behind_the_end_is_refused_by_name() {
        let mut bytes = two_logical();
        set(&mut bytes, 0, 2, 0x83, u32::MAX, u32::MAX);
        assert!(matches!(fault(bytes), PartitionError::OutOfRange { number: 3, .. }));
        let mut bytes = two_logical();
        set(&mut bytes, 0, 2, 0x83, 0, 5);
        assert!(matches!(fault(bytes), PartitionError::OutOfRange { number: 3, .. }));
        let mut bytes = two_logical();
        set(&mut bytes, 200, 0, 0x83, 10, 791);
        assert!(matches!(fault(bytes), PartitionError::OutOfRange { number: 6, .. }));
    }

    #[test]
    fn overlapping_partitions_are_refused_by_name() {
        let mut bytes = two_logical();
        set(&mut bytes, 0, 2, 0x83, 50, 10);
        assert!(matches!(fault(bytes), PartitionError::Overlap { first: 1, second: 3 }));
        let mut bytes = two_logical();
        set(&mut bytes, 0, 2, 0x83, 900, 10);
        assert!(matches!(fault(bytes), PartitionError::Overlap { first: 2, second: 3 }));
        let mut bytes = two_logical();
        set(&mut bytes, 100, 0, 0x83, 10, 150);
        assert!(matches!(fault(bytes), PartitionError::Overlap { first: 5, second: 6 }));
    }

    #[test]
    fn a_chain_in_a_circle_ends() {
        let mut bytes = two_logical();
        set(&mut bytes, 100, 0, 0, 0, 0);
        set(&mut bytes, 200, 0, 0, 0, 0);
        set(&mut bytes, 200, 1, 0x05, 100, 100);
        assert!(matches!(fault(bytes), PartitionError::Chain { fault: ChainFault::TooLong, .. }));
    }

    #[test]
    fn a_chain_that_leads_astray_is_refused() {
        let mut bytes = two_logical();
        set(&mut bytes, 200, 1, 0x05, 900, 10);
        assert!(matches!(fault(bytes), PartitionError::Chain { at: Bytes(0x19000), fault: ChainFault::Outside }));
        let mut bytes = two_logical();
        set(&mut bytes, 200, 1, 0x05, u32::MAX, u32::MAX);
        assert!(matches!(fault(bytes), PartitionError::Chain { fault: ChainFault::Outside, .. }));
        let mut bytes = two_logical();
        set(&mut bytes, 200, 1, 0x05, 300, 10);
        assert!(matches!(fault(bytes), PartitionError::Chain { fault: ChainFault::NoSignature, .. }));
    }

    #[test]
    fn two_extended_partitions_are_refused() {
        let mut bytes = two_logical();
        set(&mut bytes, 0, 1, 0x05, 100, 400);
        set(&mut bytes, 0, 2, 0x0f, 600, 10);
        assert!(matches!(fault(bytes), PartitionError::SeveralExtended));
    }

    #[test]
    fn a_blank_extended_partition_is_empty() {
        let mut bytes = two_logical();
        bytes[100 * LENGTH..101 * LENGTH].fill(0);
        assert_eq!(read_bytes(bytes).unwrap().partitions.len(), 1);
    }
}
