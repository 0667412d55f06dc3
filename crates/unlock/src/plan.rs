//! What will be tried, as a value.

use crate::binding::Binding;
use luks::Slot;

/// One binding that will be tried.
#[derive(Debug)]
pub struct Attempt {
    /// The binding.
    pub binding: Binding,
}

/// Attempts at one volume: every keyslot once. A header may hold more, by several tokens for one keyslot; those are left out,
/// because each attempt is a thread and a request.
pub const MOST_ATTEMPTS: usize = 32;

/// The attempts for these bindings: those of `only` this keyslot if one is named, in ascending order of keyslots, which is the
/// order of preference when two answer at once.
pub fn plan(bindings: Vec<Binding>, only: Option<Slot>) -> Vec<Attempt> {
    let mut wanted: Vec<Binding> =
        bindings.into_iter().filter(|binding| only.is_none_or(|slot| slot == binding.slot)).collect();
    wanted.sort_by_key(|binding| (binding.slot, binding.token));
    wanted.into_iter().take(MOST_ATTEMPTS).map(|binding| Attempt { binding }).collect()
}
