//! Partition tables: GPT (UEFI specification 2.10, chapter 5) and MBR (its section 5.2, and the chain of extended
//! partitions as Linux reads it).
//!
//! [`read`] follows the Linux kernel in what counts as which table, so that both see the same partitions: no MBR signature
//! means no table, a protective entry in the MBR means GPT, everything else is MBR. It is stricter in what it accepts:
//! partitions that overlap or reach outside are refused by name, since one of two programs would read the wrong bytes.
//!
//! Left out on purpose: changing an existing table, other schemes (BSD, Apple, LDM), and MBR on a device with 4096-byte
//! sectors, which cannot be told from one with 512 by looking at it.

pub mod gpt;
mod mbr;
mod table;

pub use table::{ChainFault, Copies, Damage, HeaderFault, Kind, Partition, PartitionError, Scheme, SectorSize, Table};
pub use uuid::{Builder as UuidBuilder, Uuid};

use crate::disk::{BlockError, BlockRead};
use crate::unit::{Bytes, SECTOR};

/// Finds the partitions of `disk`. `None` is a disk without a partition table: empty, or wholly used by something else.
///
/// # Errors
/// Every [`PartitionError`]; a table that is there and wrong is never taken for none.
pub fn read(disk: &dyn BlockRead) -> Result<Option<Table>, PartitionError> {
    if disk.len() < Bytes(SECTOR) {
        return Ok(None);
    }
    let mut sector = [0; mbr::LENGTH];
    disk.read_at(Bytes(0), &mut sector).map_err(PartitionError::Disk)?;
    let Some(first) = mbr::BootRecord::parse(&sector) else { return Ok(None) };
    if first.is_protective() { gpt::read(disk) } else { mbr::read(disk, &first) }.map(Some)
}

impl Partition {
    /// The partition as a disk of its own.
    ///
    /// # Errors
    /// [`BlockError::BeyondEnd`] if `disk` is not the one the table was read from and is shorter.
    pub fn window<D: BlockRead>(&self, disk: D) -> Result<crate::Window<D>, BlockError> {
        crate::Window::new(disk, self.start, self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BlockWrite, MemoryDisk};

    #[test]
    fn a_disk_without_a_boot_record_has_no_table() {
        for length in [0, 1, 511, 512, 4096] {
            assert!(read(&MemoryDisk::zeroed(length)).unwrap().is_none());
        }
    }

    #[test]
    fn a_boot_sector_with_code_where_the_table_would_be_is_none() {
        let disk = MemoryDisk::zeroed(4096);
        disk.write_at(Bytes(510), &[0x55, 0xaa]).unwrap();
        assert!(read(&disk).unwrap().is_some(), "an empty table");
        disk.write_at(Bytes(446), b"n").unwrap();
        assert!(read(&disk).unwrap().is_none());
    }

    #[test]
    fn the_boot_record_decides_which_scheme_it_is() {
        let disk = MemoryDisk::zeroed(1 << 20);
        gpt::write(&disk, SectorSize::B512, Uuid::from_bytes([1; 16]), &[]).unwrap();
        assert!(matches!(read(&disk).unwrap().unwrap().scheme, Scheme::Gpt { .. }));
        // Without its protective entry a GPT is not one, for Linux neither.
        disk.write_at(Bytes(446), &[0; 16]).unwrap();
        assert!(matches!(read(&disk).unwrap().unwrap().scheme, Scheme::Mbr { .. }));
    }
}
