//! Numbers of keyslots and tokens (LUKS2 on-disk format, section 3.1: objects are named by whole numbers), and the order in
//! which keyslots are tried. LUKS1 has the first eight of the keyslots and no tokens.

use std::fmt;

/// How many keyslots, and how many tokens, a LUKS2 header may have. cryptsetup knows no more.
const COUNT: u8 = 32;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u8);

        impl $name {
            /// The one with this number, if there may be one: 0 to 31.
            pub fn new(number: u64) -> Option<$name> {
                u8::try_from(number).ok().filter(|n| *n < COUNT).map($name)
            }

            /// All there may be, in ascending order.
            pub fn all() -> impl Iterator<Item = $name> {
                (0..COUNT).map($name)
            }

            /// The number.
            pub fn number(self) -> u8 {
                self.0
            }

            /// Reads the name of an object; `None` for anything but the shortest decimal form of 0 to 31.
            pub(crate) fn from_name(name: &str) -> Option<$name> {
                $name::new(name.parse().ok()?).filter(|id| id.to_string() == name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// The number of a keyslot.
    Slot
}

id! {
    /// The number of a token. It has nothing to do with the number of the keyslot that the token serves.
    TokenId
}

impl Slot {
    /// How many a LUKS1 header has, always.
    pub(crate) const LUKS1: usize = 8;

    /// Those that a LUKS1 header has, in ascending order.
    pub(crate) fn of_luks1() -> impl Iterator<Item = Slot> {
        Slot::all().take(Slot::LUKS1)
    }
}

/// Which slots are tried, and first, when no slot is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Only when it is named.
    Ignore,
    /// After the preferred ones.
    Normal,
    /// First.
    Prefer,
}

impl Priority {
    /// All there are.
    pub const ALL: [Priority; 3] = [Priority::Ignore, Priority::Normal, Priority::Prefer];

    /// The word that cryptsetup has for it.
    pub fn name(self) -> &'static str {
        match self {
            Priority::Ignore => "ignore",
            Priority::Normal => "normal",
            Priority::Prefer => "prefer",
        }
    }

    /// The priority of exactly this name.
    pub fn from_name(name: &str) -> Option<Priority> {
        Priority::ALL.into_iter().find(|priority| priority.name() == name)
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_the_shortest_form_of_0_to_31_names_one() {
        assert_eq!(Slot::from_name("31"), Slot::new(31));
        for bad in ["", "32", "00", "+1", " 1", "1 ", "-1", "x", "4294967296"] {
            assert_eq!(TokenId::from_name(bad), None, "{bad}");
        }
        assert_eq!(Slot::new(32), None);
        assert_eq!(Slot::new(256), None);
        assert_eq!(Slot::all().count(), 32);
    }
}
