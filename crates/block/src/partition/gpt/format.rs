//! What reading and writing have in common: the numbers of the format.

use super::checksum::crc32;
use crate::unit::Bytes;
use uuid::{Uuid, uuid};

/// Entries a table may announce; 128 is what everybody writes.
pub const MOST_ENTRIES: u32 = 4096;
/// Bytes the array of entries may take.
pub(super) const MOST_ENTRY_BYTES: u64 = 1 << 20;

/// Where partitions begin by custom, so that they suit every disk's inner block size.
pub const ALIGNMENT: Bytes = Bytes(1 << 20);
/// The type of a partition that holds LUKS (Discoverable Partitions Specification).
pub const LINUX_LUKS: Uuid = uuid!("ca7d7ccb-63ed-4c53-861c-1742536059cc");
/// The type of a partition that holds a Linux file system.
pub const LINUX_DATA: Uuid = uuid!("0fc63daf-8483-4772-8e79-3d69d8477de4");

pub(super) const SIGNATURE: [u8; 8] = *b"EFI PART";
pub(super) const REVISION_1_0: u32 = 0x0001_0000;
/// Bytes of the header that have a meaning.
pub(super) const HEADER_LENGTH: u32 = 92;
/// Bytes of an entry, unless the header says a larger power of two.
pub(super) const ENTRY_LENGTH: u32 = 128;
/// UTF-16 units of a partition's name.
pub(super) const NAME_UNITS: usize = 36;

/// The checksum of a header, its own field taken as zero.
pub(super) fn header_crc(header: &[u8]) -> u32 {
    let (before, rest) = header.split_at_checked(16).unwrap_or((header, &[]));
    crc32(&[before, &[0; 4], rest.get(4..).unwrap_or_default()])
}
