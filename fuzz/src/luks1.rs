//! LUKS1 headers.

use crate::Reached;
use crate::header::accept;
use crate::sparse::SparseDisk;

/// The sectors of the header.
const LONGEST: usize = 1024;

/// Takes the bytes as the beginning of a disk of zeros.
pub fn luks1(bytes: &[u8]) -> Reached {
    let disk = SparseDisk::starting_with(bytes.get(..LONGEST).unwrap_or(bytes));
    accept(&disk).map_or_else(|reached| reached, |_| Reached::Accepted)
}
