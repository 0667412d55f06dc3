//! LUKS1 headers.

use crate::Reached;
use crate::change;
use crate::header::accept;
use crate::rescue;
use crate::sparse::SparseDisk;

/// The sectors of the header.
const LONGEST: usize = 1024;

/// Takes the bytes as the beginning of a disk of zeros.
pub fn luks1(bytes: &[u8]) -> Reached {
    let bytes = bytes.get(..LONGEST).unwrap_or(bytes);
    let disk = SparseDisk::starting_with(bytes);
    rescue::try_backup(&disk, bytes);
    match accept(&disk) {
        Err(reached) => reached,
        Ok(accepted) if change::try_all(&disk, &accepted, bytes) => Reached::Changed,
        Ok(_) => Reached::Accepted,
    }
}
