//! What the rules of `tidy` take and give: a file, and a broken rule.

use super::rust_text::code_only;
use std::fmt;

/// One broken rule: where, and what is wrong with it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) place: String,
    pub(super) what: String,
}

impl Fault {
    pub(super) fn new(place: impl Into<String>, what: impl Into<String>) -> Fault {
        Fault { place: place.into(), what: what.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// A file of the workspace: path from the root with `/`, and its text if it is text that a rule reads.
pub(super) struct SourceFile {
    pub(super) path: String,
    pub(super) bytes: u64,
    pub(super) text: String,
}

impl SourceFile {
    pub(super) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The lines of a Rust file with comments and literals blanked out.
    pub(super) fn code(&self) -> String {
        code_only(&self.text)
    }
}
