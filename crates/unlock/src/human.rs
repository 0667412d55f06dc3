//! Who can use a keyslot: a person, or a policy alone.

use luks::{Accepted, CLEVIS_UUID, Edit, Header, KdfMember, LEAST_ITERATIONS, Priority, Slot, Token, TokenKind};

/// Whether the last keyslot that a person can use may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastHumanSlot {
    /// It stays: the change is refused.
    Keep,
    /// A passphrase was just seen to open this other keyslot.
    Shown(Slot),
    /// The person has named this very thing.
    Remove,
}

/// Whether a keyslot may stay when what brings its passphrase goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orphans {
    /// It may not: the change is refused.
    Refuse,
    /// The person has named this very thing.
    Leave,
}

/// Who has the passphrase of a keyslot, as far as its header tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A binding, or another token that types in a person's place.
    Policy,
    /// A person, by memory or on paper.
    Person,
    /// A person, or a binding that is gone: the keyslot has the derivation that Clevis, systemd and we give to random passphrases alone
    /// (PBKDF2 of 1000 iterations), and nothing says whose it is.
    Unknown,
}

/// Who has the passphrase of a keyslot.
pub fn holder(header: &Header, slot: Slot) -> Holder {
    if serves_itself(header, slot) {
        Holder::Policy
    } else if is_for_random(header, slot) && !is_recovery(header, slot) {
        Holder::Unknown
    } else {
        Holder::Person
    }
}

/// The keyslots that a person can use, in ascending order: those that hold the key of the data and are neither bound nor served by
/// anything else that types in a person's place, nor look as if they had been. A recovery key is a person's. Keyslots that are tried only
/// when they are named count where there are no others.
///
/// Nobody can see whether somebody still knows the passphrase of such a slot. That a slot is not here says that nobody may.
pub fn human_slots(header: &Accepted) -> Vec<Slot> {
    let people = slots_of(header, Holder::Person);
    let (ignored, tried): (Vec<Slot>, Vec<Slot>) =
        people.into_iter().partition(|slot| is_ignored(header.header(), *slot));
    if tried.is_empty() { ignored } else { tried }
}

/// The keyslots of this kind that hold the key of the data, in ascending order.
pub(crate) fn slots_of(header: &Accepted, wanted: Holder) -> Vec<Slot> {
    header.slots().filter(|slot| holder(header.header(), *slot) == wanted).collect()
}

/// Whether a keyslot is tried only when it is named.
pub(crate) fn is_ignored(header: &Header, slot: Slot) -> bool {
    let keyslot = header.as_luks2().and_then(|header| header.metadata().keyslots.get(&slot));
    keyslot.is_some_and(|keyslot| keyslot.priority == Priority::Ignore)
}

/// Whether something other than a person's memory and paper keeps the passphrase of a slot.
pub(crate) fn serves_itself(header: &Header, slot: Slot) -> bool {
    let meta = header.as_luks1().and_then(|header| header.meta().present());
    if meta.is_some_and(|meta| meta.slot(slot).is_some()) {
        return true;
    }
    header.as_luks2().is_some_and(|header| is_served(header.metadata().tokens.values(), slot))
}

fn is_served<'t>(tokens: impl IntoIterator<Item = &'t Token>, slot: Slot) -> bool {
    let mut tokens = tokens.into_iter().filter(|token| token.keyslots.contains(&slot));
    tokens.any(|token| token.recognised() != TokenKind::SystemdRecovery)
}

fn is_recovery(header: &Header, slot: Slot) -> bool {
    let mut tokens = header.as_luks2().into_iter().flat_map(|header| header.metadata().tokens.values());
    tokens.any(|token| token.keyslots.contains(&slot) && token.recognised() == TokenKind::SystemdRecovery)
}

/// Whether the derivation is that for passphrases which nobody can guess.
fn is_for_random(header: &Header, slot: Slot) -> bool {
    let iterations = match header {
        Header::Luks1(header) => header.slots.get(usize::from(slot.number())).map(|entry| entry.iterations),
        Header::Luks2(header) => {
            let keyslot = header.metadata().keyslots.get(&slot).and_then(|keyslot| keyslot.as_luks2());
            keyslot.and_then(|keyslot| match keyslot.kdf {
                KdfMember::Pbkdf2 { iterations, .. } => Some(iterations),
                KdfMember::Argon2 { .. } => None,
            })
        }
    };
    iterations == Some(LEAST_ITERATIONS.get())
}

/// The keyslots that a change of tokens leaves behind without anything that brings their passphrase.
pub fn orphans_of_tokens(header: &Accepted, edit: &Edit<'_>) -> Vec<Slot> {
    let Some(after) = edit.metadata() else { return Vec::new() };
    let served = header.slots().filter(|slot| serves_itself(header.header(), *slot));
    served.filter(|slot| after.keyslots.contains_key(slot) && !is_served(after.tokens.values(), *slot)).collect()
}

/// The keyslots whose bindings are in LUKSMeta: all, or this one if it has one. What other programs keep there is theirs to judge.
pub fn orphans_of_meta(header: &Accepted, only: Option<Slot>) -> Vec<Slot> {
    let Some(meta) = header.header().as_luks1().and_then(|header| header.meta().present()) else { return Vec::new() };
    let wiped = header.slots().filter(|slot| only.is_none_or(|only| only == *slot));
    wiped.filter(|slot| meta.slot(*slot).is_some_and(|entry| entry.uuid == CLEVIS_UUID)).collect()
}
