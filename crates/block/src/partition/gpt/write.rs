//! Writing a fresh table.

use super::checksum::crc32;
use super::format::{ENTRY_LENGTH, HEADER_LENGTH, NAME_UNITS, REVISION_1_0, SIGNATURE, header_crc};
use crate::disk::{BlockError, BlockWrite};
use crate::partition::table::{Copies, Kind, Partition, PartitionError, SectorSize, check_apart};
use crate::unit::Bytes;
use std::fmt;
use uuid::Uuid;

/// Entries of a table made here.
const ENTRIES: u32 = 128;
/// The sector of the first copy's entries.
const PRIMARY_ENTRIES: u64 = 2;

/// A partition to be made.
#[derive(Clone, Debug)]
pub struct NewPartition {
    /// Its type, such as [`super::LINUX_LUKS`].
    pub kind: Uuid,
    /// Its identity: random, and never the nil UUID.
    pub uuid: Uuid,
    /// Its label, at most 36 UTF-16 units.
    pub name: String,
    /// Where it begins; [`ALIGNMENT`] is a good place for the first.
    pub start: Bytes,
    /// How long it is.
    pub length: Bytes,
}

/// The bytes of a disk of `length` that partitions may use: from the first to the one before the second.
/// `None` if it is too short for a table and any partition.
pub fn usable(length: Bytes, sector_size: SectorSize) -> Option<(Bytes, Bytes)> {
    let plan = Layout::of(length, sector_size)?;
    let unit = sector_size.bytes().0;
    Some((Bytes(plan.first_usable * unit), Bytes((plan.last_usable + 1) * unit)))
}

/// Writes a fresh table with `partitions`, which get the numbers 1, 2, ... in the order given: both copies and the
/// protective MBR. What stood in the first and last sectors is lost; the rest of the disk is not touched.
///
/// Nothing is written unless everything fits. The backup copy goes first and the MBR last, so that a disk that was cut off
/// in the middle has no table rather than half of one.
///
/// # Errors
/// Every [`LayoutError`].
pub fn write(
    disk: &dyn BlockWrite,
    sector_size: SectorSize,
    disk_uuid: Uuid,
    partitions: &[NewPartition],
) -> Result<(), LayoutError> {
    let unit = sector_size.bytes().0;
    let layout = Layout::of(disk.len(), sector_size).ok_or(LayoutError::DiskTooShort { disk: disk.len() })?;
    let entries = layout.entries(unit, partitions)?;
    let at = |sector: u64, bytes: &[u8]| disk.write_at(Bytes(sector * unit), bytes).map_err(LayoutError::Disk);
    at(layout.backup_entries, &entries)?;
    at(layout.last, &layout.header(Copies::Backup, disk_uuid, &entries, unit))?;
    disk.flush().map_err(LayoutError::Disk)?;
    at(PRIMARY_ENTRIES, &entries)?;
    at(1, &layout.header(Copies::Primary, disk_uuid, &entries, unit))?;
    at(0, &protective_mbr(layout.last, unit))?;
    disk.flush().map_err(LayoutError::Disk)
}

/// Where everything stands on a disk of a certain length, in sectors.
struct Layout {
    first_usable: u64,
    last_usable: u64,
    backup_entries: u64,
    last: u64,
}

impl Layout {
    fn of(length: Bytes, sector_size: SectorSize) -> Option<Layout> {
        let unit = sector_size.bytes().0;
        let array = (u64::from(ENTRIES) * u64::from(ENTRY_LENGTH)).div_ceil(unit);
        let last = (length.0 / unit).checked_sub(1)?;
        let backup_entries = last.checked_sub(array)?;
        let first_usable = PRIMARY_ENTRIES + array;
        let last_usable = backup_entries.checked_sub(1)?;
        (first_usable <= last_usable).then_some(Layout { first_usable, last_usable, backup_entries, last })
    }

    /// The array of entries, if the partitions fit.
    fn entries(&self, unit: u64, partitions: &[NewPartition]) -> Result<Vec<u8>, LayoutError> {
        if partitions.len() > ENTRIES as usize {
            return Err(LayoutError::TooMany { count: partitions.len() });
        }
        let mut entries = Vec::new();
        let mut placed = Vec::new();
        for (number, new) in (1..).zip(partitions) {
            placed.push(self.place(number, new, unit)?);
            let end = new.start.0 + new.length.0; // no overflow: `place` has held it against the disk
            for uuid in [new.kind, new.uuid] {
                entries.extend_from_slice(&uuid.to_bytes_le());
            }
            for number in [new.start.0 / unit, end / unit - 1, 0] {
                entries.extend_from_slice(&number.to_le_bytes());
            }
            entries.extend_from_slice(&encode_name(number, &new.name)?);
        }
        check_apart(&placed).map_err(LayoutError::Partition)?;
        entries.resize((ENTRIES * ENTRY_LENGTH) as usize, 0);
        Ok(entries)
    }

    fn place(&self, number: u32, new: &NewPartition, unit: u64) -> Result<Partition, LayoutError> {
        if new.kind.is_nil() || new.uuid.is_nil() {
            return Err(LayoutError::NilUuid { number });
        }
        if !(new.start.is_multiple_of(unit) && new.length.is_multiple_of(unit)) || new.length == Bytes(0) {
            return Err(LayoutError::Misaligned { number, unit: Bytes(unit) });
        }
        let (lowest, highest) = (Bytes(self.first_usable * unit), Bytes((self.last_usable + 1) * unit));
        let end = Bytes(new.start.0.saturating_add(new.length.0));
        if new.start < lowest || end > highest {
            let out = PartitionError::OutOfRange { number, start: new.start, end, lowest, highest };
            return Err(LayoutError::Partition(out));
        }
        Ok(Partition {
            number,
            start: new.start,
            length: new.length,
            kind: Kind::Gpt(new.kind),
            name: new.name.clone(),
            uuid: Some(new.uuid),
        })
    }

    /// A whole sector with one copy of the header (UEFI specification 2.10, table 5-5).
    fn header(&self, which: Copies, disk_uuid: Uuid, entries: &[u8], unit: u64) -> Vec<u8> {
        let (mine, other, entries_at) = match which {
            Copies::Primary => (1, self.last, PRIMARY_ENTRIES),
            Copies::Backup => (self.last, 1, self.backup_entries),
        };
        let mut before = SIGNATURE.to_vec();
        before.extend_from_slice(&REVISION_1_0.to_le_bytes());
        before.extend_from_slice(&HEADER_LENGTH.to_le_bytes());
        let mut after = vec![0; 4]; // reserved
        for number in [mine, other, self.first_usable, self.last_usable] {
            after.extend_from_slice(&number.to_le_bytes());
        }
        after.extend_from_slice(&disk_uuid.to_bytes_le());
        after.extend_from_slice(&entries_at.to_le_bytes());
        for number in [ENTRIES, ENTRY_LENGTH, crc32(&[entries])] {
            after.extend_from_slice(&number.to_le_bytes());
        }
        let crc = header_crc(&[before.as_slice(), &[0; 4], &after].concat());
        let mut sector = [before.as_slice(), &crc.to_le_bytes(), &after].concat();
        sector.resize(usize::try_from(unit).unwrap_or_default(), 0);
        sector
    }
}

/// Sector 0 as UEFI specification 2.10, table 5-4 has it: one partition of type 0xee over everything.
fn protective_mbr(last: u64, unit: u64) -> Vec<u8> {
    let mut sector = vec![0; 446];
    sector.extend_from_slice(&[0x00, 0x00, 0x02, 0x00, 0xee, 0xff, 0xff, 0xff]);
    sector.extend_from_slice(&1_u32.to_le_bytes());
    sector.extend_from_slice(&u32::try_from(last).unwrap_or(u32::MAX).to_le_bytes());
    sector.resize(510, 0);
    sector.extend_from_slice(&[0x55, 0xaa]);
    sector.resize(usize::try_from(unit).unwrap_or_default(), 0);
    sector
}

fn encode_name(number: u32, name: &str) -> Result<Vec<u8>, LayoutError> {
    let mut bytes: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    if bytes.len() > 2 * NAME_UNITS {
        return Err(LayoutError::NameTooLong { number });
    }
    bytes.resize(2 * NAME_UNITS, 0);
    Ok(bytes)
}

/// Why a table could not be written.
#[derive(Debug)]
pub enum LayoutError {
    /// The disk did not take it.
    Disk(BlockError),
    /// Not even an empty table fits.
    DiskTooShort {
        /// How long the disk is.
        disk: Bytes,
    },
    /// More partitions than a table holds.
    TooMany {
        /// How many.
        count: usize,
    },
    /// A partition is empty, or does not begin and end on a sector.
    Misaligned {
        /// Which.
        number: u32,
        /// The sector's size.
        unit: Bytes,
    },
    /// A partition's name is longer than 36 UTF-16 units.
    NameTooLong {
        /// Which.
        number: u32,
    },
    /// A partition's type or identity is the nil UUID, which marks an unused entry.
    NilUuid {
        /// Which.
        number: u32,
    },
    /// A partition overlaps another or reaches outside.
    Partition(PartitionError),
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LayoutError::Disk(_) => write!(f, "cannot write the partition table"),
            LayoutError::DiskTooShort { disk } => write!(f, "a disk of {disk} is too short for a partition table"),
            LayoutError::TooMany { count } => write!(f, "{count} partitions are more than the {ENTRIES} of a table"),
            LayoutError::Misaligned { number, unit } => {
                write!(f, "partition {number} is empty or does not begin and end on a sector of {} bytes", unit.0)
            }
            LayoutError::NameTooLong { number } => {
                write!(f, "the name of partition {number} is longer than {NAME_UNITS} UTF-16 units")
            }
            LayoutError::NilUuid { number } => write!(f, "partition {number} has a nil type or identity"),
            LayoutError::Partition(inner) => inner.fmt(f),
        }
    }
}

impl std::error::Error for LayoutError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            LayoutError::Disk(source) => Some(source),
            LayoutError::Partition(inner) => std::error::Error::source(inner),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::format::LINUX_DATA;
    use super::*;
    use crate::MemoryDisk;

    const MIB: u64 = 1 << 20;

    fn new(start: u64, length: u64) -> NewPartition {
        NewPartition {
            kind: LINUX_DATA,
            uuid: Uuid::from_bytes([3; 16]),
            name: String::new(),
            start: Bytes(start),
            length: Bytes(length),
        }
    }

    fn refused(length: usize, partitions: &[NewPartition]) -> LayoutError {
        let disk = MemoryDisk::zeroed(length);
        let error = write(&disk, SectorSize::B512, Uuid::from_bytes([1; 16]), partitions).unwrap_err();
        assert!(disk.to_vec().iter().all(|byte| *byte == 0), "written although {error}");
        error
    }

    #[test]
    fn what_does_not_fit_is_refused_and_nothing_written() {
        let disk = 4 << 20;
        assert!(matches!(refused(67 * 512, &[]), LayoutError::DiskTooShort { .. }));
        assert!(matches!(refused(0, &[]), LayoutError::DiskTooShort { .. }));
        assert!(matches!(refused(disk, &vec![new(MIB, 512); 129]), LayoutError::TooMany { count: 129 }));
        assert!(matches!(refused(disk, &[new(MIB, 0)]), LayoutError::Misaligned { number: 1, .. }));
        assert!(matches!(refused(disk, &[new(MIB + 1, 512)]), LayoutError::Misaligned { number: 1, .. }));
        for (start, length) in [(0, 512), (MIB, 3 * MIB), (MIB, u64::MAX - 511), (u64::MAX - 511, 512)] {
            let error = refused(disk, &[new(2 * MIB, 512), new(start, length)]);
            assert!(matches!(error, LayoutError::Partition(PartitionError::OutOfRange { number: 2, .. })), "{error}");
        }
        let error = refused(disk, &[new(MIB, MIB), new(2 * MIB - 512, MIB)]);
        assert!(matches!(error, LayoutError::Partition(PartitionError::Overlap { first: 1, second: 2 })));
        let long = NewPartition { name: "x".repeat(37), ..new(MIB, MIB) };
        assert!(matches!(refused(disk, &[long]), LayoutError::NameTooLong { number: 1 }));
        let nil = NewPartition { uuid: Uuid::nil(), ..new(MIB, MIB) };
        assert!(matches!(refused(disk, &[nil]), LayoutError::NilUuid { number: 1 }));
    }

    #[test]
    fn the_usable_range_is_all_that_a_partition_may_have() {
        let (lowest, highest) = usable(Bytes(4 * MIB), SectorSize::B512).unwrap();
        assert_eq!((lowest, highest), (Bytes(34 * 512), Bytes(4 * MIB - 33 * 512)));
        let disk = MemoryDisk::zeroed(4 << 20);
        let whole = new(lowest.0, highest.0 - lowest.0);
        write(&disk, SectorSize::B512, Uuid::from_bytes([1; 16]), &[whole]).unwrap();
        assert_eq!(usable(Bytes(67 * 512), SectorSize::B512), None);
        assert!(usable(Bytes(68 * 512), SectorSize::B512).is_some());
    }
}
