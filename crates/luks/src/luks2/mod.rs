//! LUKS2 as it stands on the disk ("LUKS2 On-Disk Format Specification", version 1.1.2).

pub(crate) mod accept;
pub(crate) mod backup;
pub(crate) mod base64;
pub(crate) mod binary_header;
pub(crate) mod copy;
pub(crate) mod digest;
pub(crate) mod edit;
pub(crate) mod erase;
pub(crate) mod flag;
pub(crate) mod format;
pub(crate) mod header;
pub(crate) mod json;
pub(crate) mod keyslot;
pub(crate) mod old_copies;
pub(crate) mod pair;
pub(crate) mod reencryption;
pub(crate) mod repair;
pub(crate) mod restore;
pub(crate) mod seal;
pub(crate) mod segment;
pub(crate) mod token;
pub(crate) mod unmarked;
