//! How much of a LUKS2 volume a backup of its header has.

use crate::luks2::header::Luks2;
use block::Bytes;

/// Both copies of the header and the whole keyslots area.
pub(crate) fn length(header: &Luks2) -> Bytes {
    Bytes(header.size().both().0.saturating_add(header.metadata().config.keyslots_size.0))
}
