//! What a change is about, and the key it is made with.

use crypto::{Secret, VolumeKey};
use luks::{Slot, TokenId};

/// The key of every volume that the seeds come from.
pub(crate) fn key() -> VolumeKey {
    VolumeKey::new(Secret::copied_from(&[0x42; 64]))
}

/// What a change is about.
#[derive(Debug)]
pub(crate) enum Touched {
    /// The entry of a slot, its area, and the lists that it stands in.
    Slot(Slot),
    /// A token.
    Token(TokenId),
    /// What concerns all of a LUKS2 header.
    Whole,
    /// The tokens that are seals.
    Seal,
    /// The LUKSMeta of a slot, or all of it.
    Meta(Option<Slot>),
}
