//! What a disk already holds, told by its magic numbers: enough to refuse overwriting it by mistake.
//!
//! Offsets and values are those of each format's own documentation, as util-linux and file(1) know them too. Nothing is
//! verified beyond the magic: a broken file system is still somebody's file system.

use crate::disk::{BlockError, BlockRead};
use crate::partition;
use crate::unit::Bytes;

/// Bytes at a place that say what is there.
struct Magic {
    name: &'static str,
    offset: u64,
    bytes: &'static [u8],
}

const fn magic(name: &'static str, offset: u64, bytes: &'static [u8]) -> Magic {
    Magic { name, offset, bytes }
}

/// In the order in which they are looked for: the more telling one first where two may stand together.
const MAGICS: [Magic; 29] = [
    magic("LUKS", 0, b"LUKS\xba\xbe"),
    magic("LUKS (second header)", 0x4000, b"SKUL\xba\xbe"),
    magic("LVM physical volume", 512, b"LABELONE"),
    magic("LVM physical volume", 0, b"LABELONE"),
    magic("RAID member (md 1.2)", 4096, b"\xfc\x4e\x2b\xa9"),
    magic("RAID member (md 1.1)", 0, b"\xfc\x4e\x2b\xa9"),
    magic("ext file system", 1024 + 56, b"\x53\xef"),
    magic("XFS file system", 0, b"XFSB"),
    magic("Btrfs file system", 0x1_0040, b"_BHRfS_M"),
    magic("F2FS file system", 1024, b"\x10\x20\xf5\xf2"),
    magic("bcachefs or bcache", 4096 + 24, b"\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81"),
    magic("ReiserFS file system", 0x1_0034, b"ReIsEr"),
    magic("JFS file system", 0x8000, b"JFS1"),
    magic("NTFS file system", 3, b"NTFS    "),
    magic("exFAT file system", 3, b"EXFAT   "),
    magic("BitLocker volume", 3, b"-FVE-FS-"),
    magic("FAT file system", 82, b"FAT32   "),
    magic("FAT file system", 54, b"FAT16   "),
    magic("FAT file system", 54, b"FAT12   "),
    magic("ISO 9660 file system", 0x8001, b"CD001"),
    magic("UDF file system", 0x8001, b"BEA01"),
    magic("SquashFS file system", 0, b"hsqs"),
    magic("EROFS file system", 1024, b"\xe2\xe1\xf5\xe0"),
    magic("swap space", 4096 - 10, b"SWAPSPACE2"),
    magic("hibernation image", 4096 - 10, b"S1SUSPEND"),
    magic("qcow2 image", 0, b"QFI\xfb"),
    magic("VHDX image", 0, b"vhdxfile"),
    magic("VHD image", 0, b"conectix"),
    magic("VMDK image", 0, b"KDMV"),
];

/// Places of a ZFS uberblock's magic: the first label's ring begins 128 KiB into the disk (ZFS on-disk specification, 1.3).
const ZFS_RING: (u64, u64, u64) = (128 << 10, 256 << 10, 1 << 10);
const ZFS_MAGIC: u64 = 0x00ba_b10c;

/// What is on the disk, by the name a person knows it by; `None` if nothing is recognised.
///
/// # Errors
/// [`BlockError`] if the disk cannot be read. A disk that is too short for a magic does not have it.
pub fn find(disk: &dyn BlockRead) -> Result<Option<&'static str>, BlockError> {
    for magic in &MAGICS {
        if holds(disk, magic.offset, magic.bytes)? {
            return Ok(Some(magic.name));
        }
    }
    if holds_zfs(disk)? {
        return Ok(Some("ZFS pool member"));
    }
    match partition::read(disk) {
        Ok(None) => Ok(None),
        Err(partition::PartitionError::Disk(error)) => Err(error),
        // One that is there and wrong is still there.
        Ok(Some(_)) | Err(_) => Ok(Some("partition table")),
    }
}

fn holds(disk: &dyn BlockRead, offset: u64, wanted: &[u8]) -> Result<bool, BlockError> {
    let end = Bytes(offset).checked_add(Bytes::from(wanted.len()));
    if end.is_none_or(|end| end > disk.len()) {
        return Ok(false);
    }
    let mut found = vec![0; wanted.len()];
    disk.read_at(Bytes(offset), &mut found)?;
    Ok(found == wanted)
}

fn holds_zfs(disk: &dyn BlockRead) -> Result<bool, BlockError> {
    let (start, end, step) = ZFS_RING;
    let mut offset = start;
    while offset < end {
        if holds(disk, offset, &ZFS_MAGIC.to_le_bytes())? || holds(disk, offset, &ZFS_MAGIC.to_be_bytes())? {
            return Ok(true);
        }
        offset += step;
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{BlockWrite, MemoryDisk};

    #[test]
    fn each_magic_is_found_where_it_belongs() {
        for magic in &MAGICS {
            let disk = MemoryDisk::zeroed(300 << 10);
            assert_eq!(find(&disk).unwrap(), None);
            disk.write_at(Bytes(magic.offset), magic.bytes).unwrap();
            assert_eq!(find(&disk).unwrap(), Some(magic.name));
        }
        let disk = MemoryDisk::zeroed(300 << 10);
        disk.write_at(Bytes(200 << 10), &ZFS_MAGIC.to_le_bytes()).unwrap();
        assert_eq!(find(&disk).unwrap(), Some("ZFS pool member"));
    }

    #[test]
    fn a_partition_table_counts_and_a_short_disk_is_no_error() {
        let disk = MemoryDisk::zeroed(512);
        assert_eq!(find(&disk).unwrap(), None);
        disk.write_at(Bytes(510), b"\x55\xaa").unwrap();
        assert_eq!(find(&disk).unwrap(), Some("partition table"));
        assert_eq!(find(&MemoryDisk::zeroed(0)).unwrap(), None);
    }
}
