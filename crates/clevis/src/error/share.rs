//! Which share of a threshold is meant, and what is wrong with it.

use crate::outside::Name;
use std::fmt;

/// Which share of a threshold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareName {
    /// Its number, counted from 0 as the JWE lists them.
    pub share: usize,
    /// The pin that holds it, if its JWE could be read that far.
    pub pin: Option<Name>,
}

/// A share that answered and is wrong, while enough others were right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongShare {
    /// Which one: `share 2`, or `share 3, share 2` of a threshold inside, each with its pin.
    pub place: String,
    /// What is wrong with it.
    pub fault: ShareFault,
}

/// What is wrong with a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShareFault {
    /// It has another length, or lies outside the field.
    Odd,
    /// It differs from the check value that the header has of it.
    Unchecked,
    /// It does not lie on the polynomial of those that opened the JWE.
    Stray,
}

impl fmt::Display for ShareName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "share {}", self.share + 1)?;
        self.pin.iter().try_for_each(|pin| write!(f, " ({pin})"))
    }
}

impl WrongShare {
    /// The same, seen from outside of the share called `outer`.
    pub(crate) fn inside(self, outer: &ShareName) -> WrongShare {
        WrongShare { place: format!("{outer}, {}", self.place), ..self }
    }
}

impl fmt::Display for WrongShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.fault)
    }
}

impl fmt::Display for ShareFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ShareFault::Odd => "a share is not one of this threshold",
            ShareFault::Unchecked => "the share is not the one that was dealt: it differs from its check value",
            ShareFault::Stray => "the share is not the one that was dealt: it does not fit those that opened the JWE",
        })
    }
}
