//! LUKS1 as it stands on the disk ("LUKS1 On-Disk Format Specification", version 1.2.3), and LUKSMeta in its gap.

pub(crate) mod accept;
pub(crate) mod backup;
pub(crate) mod change;
pub(crate) mod crc32c;
pub(crate) mod edit;
pub(crate) mod erase;
pub(crate) mod format;
pub(crate) mod header;
pub(crate) mod meta;
pub(crate) mod places;
pub(crate) mod repair;
pub(crate) mod restore;
pub(crate) mod seal;
pub(crate) mod writes;
