//! Why a volume that was opened is not used: its seal, or what its bindings know of one.

use luks::{SealBroken, Slot};
use std::fmt;

/// Why an opened volume is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SealFault {
    /// The seal is not right, or what it covers has been changed.
    Broken(SealBroken),
    /// A binding was made under a seal, and there is none: it was taken away.
    Stripped {
        /// The keyslot of the binding.
        slot: Slot,
        /// The epoch that it was sealed in.
        epoch: u64,
    },
    /// A binding was made under a later seal: an older header was put back.
    RolledBack {
        /// The keyslot of the binding.
        slot: Slot,
        /// The epoch that it was sealed in.
        epoch: u64,
        /// The epoch of the seal that is there.
        found: u64,
    },
    /// What a binding says of a seal makes no sense.
    Malformed {
        /// The keyslot of the binding.
        slot: Slot,
    },
}

impl SealFault {
    /// One thing to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            SealFault::Broken(broken) => broken.hint(),
            SealFault::Malformed { .. } => {
                "remove that binding, or restore it: `cotter luks unbind`, `cotter luks seal`"
            }
            SealFault::Stripped { .. } | SealFault::RolledBack { .. } => {
                "somebody may have changed this header: compare it with a backup (`cotter luks dump`); if it is right as it is, \
                 `cotter luks seal`"
            }
        }
    }
}

impl fmt::Display for SealFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SealFault::Broken(broken) => broken.fmt(f),
            SealFault::Stripped { slot, epoch } => {
                write!(f, "the seal of the header was taken away: the binding of keyslot {slot} knows of epoch {epoch}")
            }
            SealFault::RolledBack { slot, epoch, found } => write!(
                f,
                "the header is an older one: its seal is of epoch {found}, and the binding of keyslot {slot} knows of epoch {epoch}"
            ),
            SealFault::Malformed { slot } => {
                write!(f, "what the binding of keyslot {slot} says of a seal makes no sense")
            }
        }
    }
}

impl std::error::Error for SealFault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if let SealFault::Broken(broken) = self { std::error::Error::source(broken) } else { None }
    }
}
