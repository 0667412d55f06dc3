//! Lines for a person: names on the left, values on the right, nothing that a terminal obeys.

use crate::error::visible;
use std::fmt::{Display, Write};

/// A text that grows line by line.
#[derive(Default)]
pub struct Lines(String);

impl Lines {
    /// A name and its value.
    pub fn line(&mut self, name: &str, value: impl Display) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{:<18}{}", format!("{name}:"), visible(&value.to_string()));
    }

    /// Begins something that has a name or a number.
    pub fn heading(&mut self, what: &str, name: impl Display) {
        let _ = writeln!(self.0, "\n{what} {}", visible(&name.to_string()));
    }

    /// The whole, without the last line's end.
    pub fn into_text(self) -> String {
        self.0.trim_end().to_owned()
    }
}
