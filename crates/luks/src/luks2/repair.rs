//! What of a LUKS2 header can be mended, and which places hold nothing that the header knows of.

use crate::area::Area;
use crate::header_error::HeaderError;
use crate::luks2::binary_header::HeaderCopy;
use crate::luks2::copy::CopyState;
use crate::luks2::header::Luks2;
use crate::luks2::pair::{MendError, Pair};
use crate::undo::{Phase, Write};
use block::{BlockRead, Bytes};
use crypto::Random;
use std::fmt;

/// A copy that is not good, and what replaces it.
pub(crate) struct Mending {
    pub(crate) copy: HeaderCopy,
    pub(crate) state: String,
    pub(crate) write: Phase,
    pub(crate) after: Luks2,
}

/// Makes the bad copy anew; `None` if both are good.
pub(crate) fn mending(header: &Luks2, disk: &dyn BlockRead, random: &dyn Random) -> Result<Option<Mending>, MendError> {
    let (copy, state) = match header.copies() {
        [CopyState::Good, CopyState::Good] => return Ok(None),
        [CopyState::Good, state] => (HeaderCopy::Secondary, state),
        [state, _] => (HeaderCopy::Primary, state),
    };
    let Pair { primary, secondary, primary_bytes, secondary_bytes } = Pair::of(header, disk, random)?;
    let write = match copy {
        HeaderCopy::Primary => Write { offset: Bytes(0), bytes: primary_bytes.into() },
        HeaderCopy::Secondary => Write { offset: secondary.offset, bytes: secondary_bytes.into() },
    };
    let after = Luks2::of_both(primary, secondary, header.metadata().clone(), disk.len());
    Ok(Some(Mending { copy, state: Causes(state).to_string(), write: vec![write], after }))
}

/// The places that an older copy knows as key material and this one does not: a change was interrupted before they were
/// overwritten, or after they were written. A copy that contradicts this one proves nothing of the kind.
pub(crate) fn left_over(header: &Luks2, disk: &dyn BlockRead) -> Vec<Area> {
    let Some(older) = header.interrupted() else { return Vec::new() };
    let in_use = in_use(header);
    let known = older.keyslots.values().flat_map(|keyslot| keyslot.area.without(&in_use));
    let room = header.metadata().keyslots_area();
    known.filter(|area| room.is_some_and(|room| room.contains(area) && room.end() <= disk.len())).collect()
}

/// All of the keyslots area that no slot lies in.
pub(crate) fn unused(header: &Luks2, disk: &dyn BlockRead) -> Vec<Area> {
    let room = header.metadata().keyslots_area().filter(|room| room.end() <= disk.len());
    room.map_or_else(Vec::new, |room| room.without(&in_use(header)))
}

fn in_use(header: &Luks2) -> Vec<Area> {
    header.metadata().keyslots.values().map(|keyslot| keyslot.area).collect()
}

/// The header, even where something else is recognised on the disk beside its second copy; then its name too.
pub(crate) fn read_anyway(disk: &dyn BlockRead) -> Result<(Luks2, Option<&'static str>), HeaderError> {
    match Luks2::read(disk) {
        Err(HeaderError::Ambiguous { found }) => Ok((Luks2::read_beside_others(disk)?, Some(found))),
        // One flipped bit makes it another version; only a person can know that it was none.
        Err(error @ HeaderError::UnknownVersion { .. }) => match Luks2::read_beside_others(disk) {
            Ok(header) => Ok((header, Some("a LUKS header of an unknown version"))),
            Err(_) => Err(error),
        },
        read => read.map(|header| (header, None)),
    }
}

/// The state of a copy with the reasons for it.
struct Causes<'a>(&'a CopyState);

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let CopyState::Damaged { error } = self.0 else { return Ok(()) };
        let mut cause = std::error::Error::source(error);
        while let Some(source) = cause {
            write!(f, ": {source}")?;
            cause = source.source();
        }
        Ok(())
    }
}
