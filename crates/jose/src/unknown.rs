//! Names from outside that an error quotes.

use std::fmt;

/// Longest part of a name that is shown, in characters.
const SHOWN: usize = 40;

/// A name that stood in an outside document and is not known here: cut short, and shown with its control characters escaped.
#[derive(Clone, PartialEq, Eq)]
pub struct Unknown(String);

impl Unknown {
    pub(crate) fn new(name: &str) -> Unknown {
        Unknown(name.chars().take(SHOWN).collect())
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0.escape_debug())
    }
}

impl fmt::Debug for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_name_is_short_and_harmless() {
        assert_eq!(Unknown::new("A128KW").to_string(), "`A128KW`");
        assert_eq!(Unknown::new("\u{1b}[2J\n").to_string(), "`\\u{1b}[2J\\n`");
        assert_eq!(Unknown::new(&"x".repeat(1000)).to_string().len(), SHOWN + 2);
    }
}
