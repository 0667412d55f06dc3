//! Second copies of headers that a disk once had. Whoever looks for the second copy of a header whose first one is damaged looks
//! at every legal place, and must not find that of a former volume there.

use crate::luks2::binary_header::{HeaderCopy, HeaderSize};
use block::{BlockError, BlockWrite, Bytes};

/// Overwrites the magic of each old copy from `start` on, as cryptsetup does when it makes a volume. Nothing else is touched.
pub(crate) fn remove(disk: &dyn BlockWrite, start: Bytes) -> Result<(), BlockError> {
    for place in HeaderSize::all().map(HeaderSize::bytes).filter(|place| *place >= start) {
        let magic = HeaderCopy::Secondary.magic();
        let mut found = [0; 6];
        match disk.read_at(place, &mut found) {
            Ok(()) if found == magic => disk.write_at(place, &[0; 6])?,
            // A disk may end before.
            Ok(()) | Err(BlockError::BeyondEnd { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    disk.flush()
}
