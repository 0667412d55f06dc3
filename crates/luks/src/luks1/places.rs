//! Where the key material of a new LUKS1 volume lies, as cryptsetup 2.6.1 has it: one slot behind the other from 4096 bytes on,
//! each beginning on a multiple of that.

use crate::af::STRIPES;
use crate::area::ALIGNMENT;
use crate::slot::Slot;
use block::{Bytes, SECTOR};

/// Where data begins if nothing else is said: at the first whole MiB behind the key material.
pub(crate) fn default_data_offset(key_len: u32) -> Bytes {
    Bytes(keyslots_end(key_len).0.next_multiple_of(1 << 20))
}

/// What one slot takes: its material and the rest of the last 4096 bytes.
fn slot_size(key_len: u32) -> u64 {
    (u64::from(key_len) * u64::from(STRIPES)).next_multiple_of(SECTOR).next_multiple_of(ALIGNMENT)
}

/// Where the key material of the last slot ends.
pub(crate) fn keyslots_end(key_len: u32) -> Bytes {
    Bytes(ALIGNMENT + 8 * slot_size(key_len))
}

/// Where the key material of a slot begins.
pub(crate) fn slot_place(slot: Slot, key_len: u32) -> Bytes {
    Bytes(ALIGNMENT + u64::from(slot.number()) * slot_size(key_len))
}
