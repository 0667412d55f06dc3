//! What is printed: data on standard output, talk on standard error.

use crate::args::Format;
use crate::error::CommandError;
use json::{Object, Value};
use linux::Reader;
use std::io::{self, IsTerminal, Write};

/// Writes bytes to standard output, all of them, and nothing else. They may be a passphrase, and leave no copy behind.
pub fn data(bytes: &[u8]) -> Result<(), CommandError> {
    linux::write_stdout(bytes).map_err(|e| CommandError::failed("cannot write the output", e))
}

/// Refuses to make a secret that would be printed for nobody, as when the caller has closed standard output. What can be had again is
/// printed wherever it is wanted: to nowhere, too, by who only wants to know whether it can.
pub fn wants_reader(reader: Reader) -> Result<(), CommandError> {
    let where_to = match reader {
        Reader::Possible => return Ok(()),
        Reader::NullDevice => "/dev/null",
        Reader::Closed => "nowhere: it was closed",
    };
    let error = CommandError::plain(format!("the output leads to {where_to}; nothing was done"));
    Err(error.hint("give it somewhere to go: > FILE, or | COMMAND"))
}

/// Writes a line to standard output.
pub fn line(text: &str) -> Result<(), CommandError> {
    // `format!` would double the room of a long text for its last byte.
    let mut line = String::with_capacity(text.len() + 1);
    line.push_str(text);
    line.push('\n');
    data(line.as_bytes())
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
