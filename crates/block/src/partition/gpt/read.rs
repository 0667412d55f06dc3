//! Reading a table, and judging both of its copies.

use super::checksum::crc32;
use super::format::{
    ENTRY_LENGTH, HEADER_LENGTH, MOST_ENTRIES, MOST_ENTRY_BYTES, NAME_UNITS, REVISION_1_0, SIGNATURE, header_crc,
};
use crate::disk::{BlockError, BlockRead};
use crate::partition::table::{
    Copies, Damage, HeaderFault, Kind, Partition, PartitionError, Scheme, SectorSize, Table, check_apart,
};
use crate::reader::Reader;
use crate::unit::Bytes;
use uuid::Uuid;

/// The larger of the two sector sizes.
const LARGEST_SECTOR: usize = 4096;

/// Reads the table of a disk whose MBR announces one.
pub(crate) fn read(disk: &dyn BlockRead) -> Result<Table, PartitionError> {
    let (copy, damage) = match first_good(disk, Copies::Primary) {
        Ok(primary) => {
            let damage = check_backup(disk, &primary).err().map(|fault| Damage { copy: Copies::Backup, fault });
            (primary, damage)
        }
        Err(primary) => match first_good(disk, Copies::Backup) {
            Ok(backup) => (backup, Some(Damage { copy: Copies::Primary, fault: primary })),
            Err(backup) => return Err(PartitionError::NoGoodGpt { primary, backup }),
        },
    };
    let partitions = copy.partitions()?;
    check_apart(&partitions)?;
    let Header { disk_uuid, sector_size, .. } = copy.header;
    Ok(Table { scheme: Scheme::Gpt { disk_uuid, sector_size, damage }, partitions })
}

/// The first copy that is good in either sector size, or the more telling of the two faults.
fn first_good(disk: &dyn BlockRead, which: Copies) -> Result<Copy, HeaderFault> {
    let mut told = HeaderFault::NoSignature;
    for sector_size in [SectorSize::B512, SectorSize::B4096] {
        let sectors = disk.len().0 / sector_size.bytes().0;
        let sector = match which {
            Copies::Primary => 1,
            Copies::Backup => sectors.saturating_sub(1),
        };
        match Copy::read(disk, sector_size, sector) {
            Ok(copy) => return Ok(copy),
            // "Nothing there" and "too short for that" say less than a copy that is there and wrong.
            Err(HeaderFault::NoSignature | HeaderFault::Unreadable(BlockError::BeyondEnd { .. })) => {}
            Err(fault) if matches!(told, HeaderFault::NoSignature) => told = fault,
            Err(_) => {}
        }
    }
    Err(told)
}

/// Looks for the second copy where the first says it is.
fn check_backup(disk: &dyn BlockRead, primary: &Copy) -> Result<(), HeaderFault> {
    let backup = Copy::read(disk, primary.header.sector_size, primary.header.other_copy)?;
    if backup.header.says_the_same(&primary.header) { Ok(()) } else { Err(HeaderFault::Differs) }
}

/// One copy whose checksums are right and whose numbers make sense.
struct Copy {
    header: Header,
    entries: Vec<u8>,
}

struct Header {
    sector_size: SectorSize,
    own_copy: u64,
    other_copy: u64,
    first_usable: u64,
    last_usable: u64,
    disk_uuid: Uuid,
    entries_at: u64,
    entry_count: u32,
    entry_size: u32,
    entries_crc: u32,
}

impl Copy {
    fn read(disk: &dyn BlockRead, sector_size: SectorSize, sector: u64) -> Result<Copy, HeaderFault> {
        let unit = sector_size.bytes().0;
        let mut buffer = [0; LARGEST_SECTOR];
        let (bytes, _) = match sector_size {
            SectorSize::B512 => buffer.split_at_mut(512),
            SectorSize::B4096 => buffer.split_at_mut(LARGEST_SECTOR),
        };
        disk.read_at(Bytes(sector.saturating_mul(unit)), bytes).map_err(HeaderFault::Unreadable)?;
        let header = Header::parse(bytes, sector_size, sector)?;
        header.check(disk.len().0 / unit)?;
        // At most a mebibyte, by `check`.
        let mut entries = vec![0; usize::try_from(header.entries_length()).unwrap_or_default()];
        disk.read_at(Bytes(header.entries_at.saturating_mul(unit)), &mut entries).map_err(HeaderFault::Unreadable)?;
        if crc32(&[&entries]) != header.entries_crc {
            return Err(HeaderFault::EntriesChecksum);
        }
        Ok(Copy { header, entries })
    }

    fn partitions(&self) -> Result<Vec<Partition>, PartitionError> {
        let size = usize::try_from(self.header.entry_size).unwrap_or(usize::MAX);
        let mut partitions = Vec::new();
        for (number, bytes) in (1..).zip(self.entries.chunks_exact(size)) {
            if let Some(entry) = Entry::parse(bytes).filter(Entry::is_used) {
                partitions.push(self.header.place(number, entry)?);
            }
        }
        Ok(partitions)
    }
}

impl Header {
    /// Checks what stands in the sector itself. `bytes` is the whole of it, `sector` its number.
    fn parse(bytes: &[u8], sector_size: SectorSize, sector: u64) -> Result<Header, HeaderFault> {
        let header_size = Header::checksummed_size(bytes)?;
        let mut r = Reader::new(bytes);
        let parsed = (|| {
            let (_signature, revision) = (r.array::<8>()?, r.u32_le()?);
            let (_size, _crc, _reserved) = (r.u32_le()?, r.u32_le()?, r.u32_le()?);
            let header = Header {
                sector_size,
                own_copy: r.u64_le()?,
                other_copy: r.u64_le()?,
                first_usable: r.u64_le()?,
                last_usable: r.u64_le()?,
                disk_uuid: Uuid::from_bytes_le(r.array()?),
                entries_at: r.u64_le()?,
                entry_count: r.u32_le()?,
                entry_size: r.u32_le()?,
                entries_crc: r.u32_le()?,
            };
            Some((revision, header))
        })();
        let (revision, header) = parsed.ok_or(HeaderFault::HeaderSize(header_size))?;
        if revision != REVISION_1_0 {
            return Err(HeaderFault::Revision(revision));
        }
        if header.own_copy != sector {
            return Err(HeaderFault::WrongPlace { says: header.own_copy, is: sector });
        }
        Ok(header)
    }

    /// The header's size, once signature and checksum are right.
    fn checksummed_size(bytes: &[u8]) -> Result<u32, HeaderFault> {
        let mut r = Reader::new(bytes);
        if r.array() != Some(SIGNATURE) {
            return Err(HeaderFault::NoSignature);
        }
        let fields = (|| Some((r.u32_le()?, r.u32_le()?, r.u32_le()?)))();
        let (_revision, size, crc) = fields.ok_or(HeaderFault::NoSignature)?;
        let covered = usize::try_from(size).ok().filter(|_| size >= HEADER_LENGTH).and_then(|size| bytes.get(..size));
        let covered = covered.ok_or(HeaderFault::HeaderSize(size))?;
        if header_crc(covered) != crc {
            return Err(HeaderFault::HeaderChecksum);
        }
        Ok(size)
    }

    /// Checks that its numbers fit a disk of `sectors`, and each other.
    fn check(&self, sectors: u64) -> Result<(), HeaderFault> {
        if !(self.entry_size.is_power_of_two() && (ENTRY_LENGTH..=4096).contains(&self.entry_size)) {
            return Err(HeaderFault::EntrySize(self.entry_size));
        }
        if self.entry_count > MOST_ENTRIES || self.entries_length() > MOST_ENTRY_BYTES {
            return Err(HeaderFault::EntryCount(self.entry_count));
        }
        let usable = self.first_usable..=self.last_usable;
        let over_a_copy = usable.contains(&self.own_copy) || usable.contains(&self.other_copy);
        if self.first_usable < 2 || usable.is_empty() || self.last_usable >= sectors || over_a_copy {
            return Err(HeaderFault::UsableRange { first: self.first_usable, last: self.last_usable });
        }
        let behind = self.entries_at.saturating_add(self.entries_length().div_ceil(self.sector_size.bytes().0));
        let clear = behind <= self.first_usable || self.entries_at > self.last_usable;
        if self.entries_at < 2 || behind > sectors || !clear {
            return Err(HeaderFault::EntriesPlace(self.entries_at));
        }
        Ok(())
    }

    fn entries_length(&self) -> u64 {
        u64::from(self.entry_count) * u64::from(self.entry_size)
    }

    fn says_the_same(&self, other: &Header) -> bool {
        self.disk_uuid == other.disk_uuid
            && (self.first_usable, self.last_usable) == (other.first_usable, other.last_usable)
            && (self.entry_count, self.entry_size, self.entries_crc)
                == (other.entry_count, other.entry_size, other.entries_crc)
    }

    /// The usable range lies inside the disk, by `check`; so does a partition inside that range.
    fn place(&self, number: u32, entry: Entry) -> Result<Partition, PartitionError> {
        let unit = self.sector_size.bytes().0;
        let behind = entry.last.saturating_add(1);
        let start = Bytes(entry.first.saturating_mul(unit));
        let end = Bytes(behind.saturating_mul(unit));
        let fits = entry.first >= self.first_usable && entry.last <= self.last_usable && entry.first <= entry.last;
        if !fits {
            let lowest = Bytes(self.first_usable.saturating_mul(unit));
            let highest = Bytes(self.last_usable.saturating_add(1).saturating_mul(unit));
            return Err(PartitionError::OutOfRange { number, start, end, lowest, highest });
        }
        Ok(Partition {
            number,
            start,
            length: Bytes(end.0.saturating_sub(start.0)),
            kind: Kind::Gpt(entry.kind),
            name: entry.name,
            uuid: Some(entry.uuid),
        })
    }
}

struct Entry {
    kind: Uuid,
    uuid: Uuid,
    first: u64,
    last: u64,
    name: String,
}

impl Entry {
    fn parse(bytes: &[u8]) -> Option<Entry> {
        let mut r = Reader::new(bytes);
        let (kind, uuid) = (Uuid::from_bytes_le(r.array()?), Uuid::from_bytes_le(r.array()?));
        let (first, last, _attributes) = (r.u64_le()?, r.u64_le()?, r.u64_le()?);
        Some(Entry { kind, uuid, first, last, name: parse_name(r.take(2 * NAME_UNITS)?) })
    }

    fn is_used(&self) -> bool {
        !self.kind.is_nil()
    }
}

/// UTF-16 up to the first zero. Whoever wrote the disk chose it: what could steer a terminal is replaced.
fn parse_name(bytes: &[u8]) -> String {
    let (units, _) = bytes.as_chunks::<2>();
    let units = units.iter().map(|unit| u16::from_le_bytes(*unit)).take_while(|unit| *unit != 0);
    let shown = |c: Result<char, _>| c.ok().filter(|c: &char| !c.is_control()).unwrap_or(char::REPLACEMENT_CHARACTER);
    char::decode_utf16(units).map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::super::format::LINUX_LUKS;
    use super::super::write::{NewPartition, write};
    use super::*;
    use crate::{BlockWrite, MemoryDisk, Window};
    use proptest::prelude::*;

    const MIB: u64 = 1 << 20;
    /// Sectors of 512 bytes on the test disk.
    const LAST: usize = 8 * 2048 - 1;

    fn new(number: u8, start: u64, length: u64) -> NewPartition {
        NewPartition {
            kind: LINUX_LUKS,
            uuid: Uuid::from_bytes([number; 16]),
            name: format!("part {number}"),
            start: Bytes(start),
            length: Bytes(length),
        }
    }

    /// Eight mebibytes with two partitions.
    fn sample(sector_size: SectorSize) -> Vec<u8> {
        let disk = MemoryDisk::zeroed(8 << 20);
        let two = [new(1, MIB, 2 * MIB), new(2, 3 * MIB, MIB)];
        write(&disk, sector_size, Uuid::from_bytes([9; 16]), &two).unwrap();
        disk.to_vec()
    }

    fn read_bytes(bytes: Vec<u8>) -> Result<Table, PartitionError> {
        read(&MemoryDisk::from(bytes))
    }

    fn damage(bytes: Vec<u8>) -> Option<Damage> {
        match read_bytes(bytes).unwrap().scheme {
            Scheme::Gpt { damage, .. } => damage,
            Scheme::Mbr { .. } => panic!("not a GPT"),
        }
    }

    /// Changes bytes of the primary header and makes its checksum right again.
    fn patch_header(bytes: &mut [u8], offset: usize, value: &[u8]) {
        bytes[512 + offset..][..value.len()].copy_from_slice(value);
        let size = u32::from_le_bytes(bytes[512 + 12..][..4].try_into().unwrap()).min(512) as usize;
        let crc = header_crc(&bytes[512..512 + size]);
        bytes[512 + 16..][..4].copy_from_slice(&crc.to_le_bytes());
    }

    /// Changes bytes of the first entry and makes both checksums of the primary copy right again.
    fn patch_entry(bytes: &mut [u8], offset: usize, value: &[u8]) {
        bytes[1024 + offset..][..value.len()].copy_from_slice(value);
        let crc = crc32(&[&bytes[1024..1024 + 128 * 128]]);
        patch_header(bytes, 88, &crc.to_le_bytes());
    }

    /// The primary copy's fault, when the backup is gone too.
    fn primary_fault(offset: usize, value: &[u8]) -> HeaderFault {
        let mut bytes = sample(SectorSize::B512);
        patch_header(&mut bytes, offset, value);
        bytes[LAST * 512..].fill(0);
        match read_bytes(bytes).unwrap_err() {
            PartitionError::NoGoodGpt { primary, backup: HeaderFault::NoSignature } => primary,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_was_written_is_read_in_both_sector_sizes() {
        for size in [SectorSize::B512, SectorSize::B4096] {
            let table = read_bytes(sample(size)).unwrap();
            let Scheme::Gpt { disk_uuid, sector_size, damage: None } = table.scheme else { panic!("{table:?}") };
            assert_eq!((disk_uuid, sector_size), (Uuid::from_bytes([9; 16]), size));
            let expected = |number: u8, start, length| Partition {
                number: number.into(),
                start: Bytes(start),
                length: Bytes(length),
                kind: Kind::Gpt(LINUX_LUKS),
                name: format!("part {number}"),
                uuid: Some(Uuid::from_bytes([number; 16])),
            };
            assert_eq!(table.partitions, [expected(1, MIB, 2 * MIB), expected(2, 3 * MIB, MIB)]);
            let window: Window<_> = table.partitions[0].window(MemoryDisk::zeroed(8 << 20)).unwrap();
            assert_eq!(window.len(), Bytes(2 * MIB));
        }
    }

    #[test]
    fn the_backup_stands_in_for_a_damaged_primary() {
        for (size, header, entry) in [(SectorSize::B512, 512, 1024), (SectorSize::B4096, 4096, 8192)] {
            let mut bytes = sample(size);
            bytes[header] ^= 1;
            let found = damage(bytes).unwrap();
            assert!(matches!(found, Damage { copy: Copies::Primary, fault: HeaderFault::NoSignature }), "{found:?}");
            let mut bytes = sample(size);
            bytes[header + 40] ^= 1;
            let found = damage(bytes).unwrap();
            assert!(matches!(found, Damage { copy: Copies::Primary, fault: HeaderFault::HeaderChecksum }), "{found:?}");
            let mut bytes = sample(size);
            bytes[entry + 5] ^= 1;
            let found = damage(bytes).unwrap();
            assert!(
                matches!(found, Damage { copy: Copies::Primary, fault: HeaderFault::EntriesChecksum }),
                "{found:?}"
            );
        }
    }

    #[test]
    fn a_damaged_backup_is_reported() {
        let mut bytes = sample(SectorSize::B512);
        bytes[LAST * 512 + 60] ^= 1;
        let found = damage(bytes).unwrap();
        assert!(matches!(found, Damage { copy: Copies::Backup, fault: HeaderFault::HeaderChecksum }), "{found:?}");
        let mut bytes = sample(SectorSize::B512);
        patch_entry(&mut bytes, 56, b"X");
        let found = damage(bytes).unwrap();
        assert!(matches!(found, Damage { copy: Copies::Backup, fault: HeaderFault::Differs }), "{found:?}");
    }

    #[test]
    fn a_shortened_image_names_the_partition_that_is_missing() {
        let mut bytes = sample(SectorSize::B512);
        bytes.truncate(7 << 20);
        // The header's own range reaches behind the end: the primary copy no longer fits this disk, and no backup is left.
        let error = read_bytes(bytes).unwrap_err();
        assert!(matches!(error, PartitionError::NoGoodGpt { primary: HeaderFault::UsableRange { .. }, .. }), "{error}");
    }

    #[test]
    fn a_grown_image_is_read_and_its_backup_found() {
        let mut bytes = sample(SectorSize::B512);
        bytes.resize(9 << 20, 0);
        assert!(damage(bytes).is_none());
    }

    #[test]
    fn each_fault_of_a_header_is_named() {
        assert!(matches!(primary_fault(8, &[0, 0, 2, 0]), HeaderFault::Revision(0x20000)));
        assert!(matches!(primary_fault(24, &[2]), HeaderFault::WrongPlace { says: 2, is: 1 }));
        assert!(matches!(primary_fault(40, &[1]), HeaderFault::UsableRange { first: 1, .. }));
        assert!(matches!(primary_fault(40, &[0xff; 8]), HeaderFault::UsableRange { .. }));
        assert!(matches!(primary_fault(48, &[0xff; 8]), HeaderFault::UsableRange { .. }));
        assert!(matches!(primary_fault(48, &(LAST as u64).to_le_bytes()), HeaderFault::UsableRange { .. }));
        assert!(matches!(primary_fault(32, &[40]), HeaderFault::UsableRange { .. }));
        assert!(matches!(primary_fault(72, &[1]), HeaderFault::EntriesPlace(1)));
        assert!(matches!(primary_fault(72, &[3]), HeaderFault::EntriesPlace(3)));
        assert!(matches!(primary_fault(72, &[0xff; 8]), HeaderFault::EntriesPlace(u64::MAX)));
        assert!(matches!(primary_fault(80, &[0xff; 4]), HeaderFault::EntryCount(u32::MAX)));
        assert!(matches!(primary_fault(80, &[1, 16, 0, 0]), HeaderFault::EntryCount(4097)));
        assert!(matches!(primary_fault(84, &[0; 4]), HeaderFault::EntrySize(0)));
        assert!(matches!(primary_fault(84, &[129]), HeaderFault::EntrySize(129)));
        assert!(matches!(primary_fault(84, &[0, 32, 0, 0]), HeaderFault::EntrySize(8192)));
    }

    #[test]
    fn a_header_size_outside_the_sector_is_named() {
        for size in [0_u32, 91, 513, u32::MAX] {
            let mut bytes = sample(SectorSize::B512);
            bytes[512 + 12..][..4].copy_from_slice(&size.to_le_bytes());
            let found = damage(bytes).unwrap();
            assert!(matches!(found.fault, HeaderFault::HeaderSize(told) if told == size), "{found:?}");
        }
    }

    #[test]
    fn partitions_outside_or_on_top_of_each_other_are_refused_by_name() {
        let check = |offset: usize, value: u64| {
            let mut bytes = sample(SectorSize::B512);
            patch_entry(&mut bytes, offset, &value.to_le_bytes());
            read_bytes(bytes).unwrap_err()
        };
        assert!(matches!(check(32, 33), PartitionError::OutOfRange { number: 1, .. }));
        assert!(matches!(check(40, LAST as u64), PartitionError::OutOfRange { number: 1, .. }));
        assert!(matches!(check(40, u64::MAX), PartitionError::OutOfRange { number: 1, .. }));
        assert!(matches!(check(40, 2047), PartitionError::OutOfRange { number: 1, .. }));
        assert!(matches!(check(40, 6 * 1024), PartitionError::Overlap { first: 1, second: 2 }));
    }

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        let mut bytes = sample(SectorSize::B512);
        patch_entry(&mut bytes, 56, &[0x1b, 0, b'[', 0, 0x00, 0xd8, b'x', 0, 0, 0]);
        let table = read_bytes(bytes).unwrap();
        assert_eq!(table.partitions[0].name, "\u{fffd}[\u{fffd}x");
    }

    #[test]
    fn a_disk_that_fails_is_reported() {
        struct Broken;
        impl BlockRead for Broken {
            fn len(&self) -> Bytes {
                Bytes(MIB)
            }
            fn read_at(&self, offset: Bytes, _: &mut [u8]) -> Result<(), BlockError> {
                Err(BlockError::Failed { doing: "read", offset, source: std::io::Error::other("bad sector") })
            }
        }
        let error = read(&Broken).unwrap_err();
        assert!(
            matches!(
                &error,
                PartitionError::NoGoodGpt { primary: HeaderFault::Unreadable(BlockError::Failed { .. }), .. }
            ),
            "{error}"
        );
    }

    #[test]
    fn every_flipped_bit_is_found_or_harmless() {
        let good = sample(SectorSize::B512);
        let disk = MemoryDisk::from(good.clone());
        for at in (512..512 + 92).chain(1024..1024 + 256) {
            disk.write_at(Bytes(at as u64), &[good[at] ^ 0x10]).unwrap();
            let table = read(&disk).unwrap();
            let Scheme::Gpt { damage: Some(Damage { copy: Copies::Primary, .. }), .. } = table.scheme else {
                panic!("a changed byte {at} went unnoticed")
            };
            assert_eq!(table.partitions.len(), 2);
            disk.write_at(Bytes(at as u64), &[good[at]]).unwrap();
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_header_and_no_entry_breaks_the_reader(
            patches in proptest::collection::vec((0usize..92, any::<[u8; 8]>()), 0..3),
            entries in proptest::collection::vec((0usize..512, any::<[u8; 8]>()), 0..3),
            length in 0usize..8 << 20,
        ) {
            let mut bytes = sample(SectorSize::B512);
            for (offset, value) in entries {
                patch_entry(&mut bytes, offset, &value);
            }
            for (offset, value) in patches {
                patch_header(&mut bytes, offset, &value);
            }
            bytes.truncate(length);
            let _ = read_bytes(bytes);
        }
    }
}
