//! A change of LUKS1 and its LUKSMeta as a value: what is to be, not yet when.

use crate::luks1::header::{Luks1, Luks1Slot};
use crate::luks1::meta::Table;
use crate::slot::Slot;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// What changes in a header, and in the gap behind it.
pub(crate) struct Change<'a> {
    /// The header before.
    pub(crate) header: &'a Luks1,
    pub(crate) slots: BTreeMap<Slot, SlotChange>,
    pub(crate) meta: MetaChange,
}

/// What happens to a slot.
pub(crate) enum SlotChange {
    Add(Sealed),
    Replace { new: Sealed, bridge: Option<Bridge> },
    Remove { noise: Noise },
}

/// A free slot that holds the new key while the slot itself is overwritten.
pub(crate) struct Bridge {
    pub(crate) slot: Slot,
    pub(crate) noise: Noise,
}

/// An entry, in use, and its key material.
pub(crate) struct Sealed {
    pub(crate) entry: Luks1Slot,
    pub(crate) material: Zeroizing<Vec<u8>>,
}

/// Random bytes as long as key material.
pub(crate) type Noise = Zeroizing<Vec<u8>>;

/// What happens to LUKSMeta.
#[derive(Default)]
pub(crate) struct MetaChange {
    /// Whether the whole gap becomes zeros first.
    pub(crate) nuked: bool,
    /// The table as it will be, where it is to be another.
    pub(crate) table: Option<Table>,
    /// Data that comes.
    pub(crate) new: Vec<(Slot, Vec<u8>)>,
}
