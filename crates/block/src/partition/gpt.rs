//! The GUID partition table (UEFI specification 2.10, section 5.3): reading it with both copies checked, and writing a
//! fresh one.
//!
//! The first good copy decides. The other is looked at all the same, and what is wrong with it is reported in
//! [`super::Scheme::Gpt`], because a disk that boots today from its only good copy does not boot after the next bad sector.

mod checksum;
mod format;
mod read;
mod write;

pub use format::{ALIGNMENT, LINUX_DATA, LINUX_LUKS, MOST_ENTRIES};
pub(super) use read::read;
pub use write::{LayoutError, NewPartition, usable, write};
