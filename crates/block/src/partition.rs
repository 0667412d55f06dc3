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
    let table = if first.is_protective() { gpt::read(disk)? } else { mbr::read(disk, &first)? };
    table::check_apart(&table.partitions)?;
    Ok(Some(table))
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
