//! What an edit would do, in words.

use crate::area::Area;
use crate::slot::{Slot, TokenId};
use std::fmt;

/// One change, for `--dry-run`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names say it
pub enum Step {
    /// A slot is added; its key material is written to this area.
    AddKeyslot { slot: Slot, kdf: &'static str, area: Area },
    /// A slot is removed; its area is overwritten with random bytes.
    RemoveKeyslot { slot: Slot, area: Area },
    /// A token is added.
    AddToken { token: TokenId, kind: String, slots: Vec<Slot> },
    /// A token gives way to another one of the same number.
    ReplaceToken { token: TokenId, kind: String, slots: Vec<Slot> },
    /// A token is removed.
    RemoveToken { token: TokenId, kind: String },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::AddKeyslot { slot, kdf, area } => {
                write!(f, "add keyslot {slot} ({kdf}), key material at byte {} ({})", area.offset().0, area.size())
            }
            Step::RemoveKeyslot { slot, area } => {
                write!(
                    f,
                    "remove keyslot {slot}, overwrite its key material at byte {} ({})",
                    area.offset().0,
                    area.size()
                )
            }
            Step::AddToken { token, kind, slots } => {
                write!(f, "add token {token} ({kind:?}) for keyslot {}", list(slots))
            }
            Step::ReplaceToken { token, kind, slots } => {
                write!(f, "replace token {token} ({kind:?}) for keyslot {}", list(slots))
            }
            Step::RemoveToken { token, kind } => write!(f, "remove token {token} ({kind:?})"),
        }
    }
}

fn list(slots: &[Slot]) -> String {
    slots.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
