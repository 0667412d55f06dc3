//! What is printed: data on standard output, talk on standard error.

use crate::args::Format;
use crate::error::CommandError;
use json::{Object, Value};
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

/// Writes bytes to standard output, all of them, and nothing else.
pub fn data(bytes: &[u8]) -> Result<(), CommandError> {
    write(bytes).map_err(|e| CommandError::failed("cannot write the output", e))
}

/// Past the library's buffer, which nobody wipes: it may be a passphrase.
fn write(bytes: &[u8]) -> io::Result<()> {
    let out = io::stdout().lock();
    File::from(out.as_fd().try_clone_to_owned()?).write_all(bytes)
}

/// Writes a line to standard output.
pub fn line(text: &str) -> Result<(), CommandError> {
    data(format!("{text}\n").as_bytes())
}

/// Writes a record as JSON on one line, or as its text for a person.
pub fn record(format: Format, record: Object, text: impl FnOnce() -> String) -> Result<(), CommandError> {
    if format.json { line(&Value::Object(record).to_compact()) } else { line(&text()) }
}

/// Whether a person reads standard output.
pub fn is_seen() -> bool {
    io::stdout().is_terminal()
}

/// Tells a person something on standard error.
pub fn say(text: &str) {
    // Nobody is there to be told that nobody is there.
    let _ = writeln!(io::stderr().lock(), "{text}");
}
