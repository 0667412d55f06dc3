//! LUKS1 as it stands on the disk ("LUKS1 On-Disk Format Specification", version 1.2.3).

pub(crate) mod accept;
pub(crate) mod header;
