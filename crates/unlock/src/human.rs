//! Who can use a keyslot: a person, or a policy alone.

use luks::{Accepted, Header, Slot, TokenKind};

/// Whether the last keyslot that a person can use may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastHumanSlot {
    /// It stays: the change is refused.
    Keep,
    /// The person has named this very thing.
    Remove,
}

/// The keyslots that a person can use, in ascending order: those that hold the key of the data and are neither bound nor served by
/// anything else that types in a person's place. A recovery key is a person's.
///
/// Nobody can see whether somebody still knows the passphrase of such a slot. That a slot is not here says that nobody does.
pub fn human_slots(header: &Accepted) -> Vec<Slot> {
    header.slots().filter(|slot| !serves_itself(header.header(), *slot)).collect()
}

/// Whether something other than a person's memory and paper keeps the passphrase of a slot.
pub(crate) fn serves_itself(header: &Header, slot: Slot) -> bool {
    let meta = header.as_luks1().and_then(|header| header.meta().present());
    if meta.is_some_and(|meta| meta.slot(slot).is_some()) {
        return true;
    }
    let tokens = header.as_luks2().into_iter().flat_map(|header| header.metadata().tokens.values());
    tokens.filter(|token| token.keyslots.contains(&slot)).any(|token| token.recognised() != TokenKind::SystemdRecovery)
}
