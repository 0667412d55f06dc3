//! The JSON area of LUKS2.

use crate::Reached;
use crate::change;
use crate::header::accept;
use crate::luks2_binary_header::{BINARY_LEN, good_copy, put_checksum};
use crate::sparse::SparseDisk;

/// The smallest header.
const SIZE: usize = 16 << 10;

/// Takes the bytes as the JSON of both copies of a header whose checksums are right; a NUL and zeros follow it.
pub fn luks2_json(bytes: &[u8]) -> Reached {
    let json = bytes.get(..SIZE - BINARY_LEN - 1).unwrap_or(bytes);
    let mut both = Vec::with_capacity(2 * SIZE);
    for at in [0, SIZE] {
        let mut copy = good_copy(at, SIZE);
        copy[BINARY_LEN..][..json.len()].copy_from_slice(json);
        put_checksum(&mut copy);
        both.extend(copy);
    }
    let disk = SparseDisk::starting_with(&both);
    match accept(&disk) {
        Err(reached) => reached,
        Ok(accepted) if change::try_all(&disk, &accepted) => Reached::Changed,
        Ok(_) => Reached::Accepted,
    }
}
