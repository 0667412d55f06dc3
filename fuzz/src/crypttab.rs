//! `/etc/crypttab`.

use crate::Reached;
use crate::header::say;
use unlock::crypttab::{Entry, MOST_LINES, parse};

/// Takes the bytes as the file. A line that is understood reads, as we write it, as the same line.
pub fn crypttab(bytes: &[u8]) -> Reached {
    let crypttab = match parse(bytes) {
        Ok(crypttab) => crypttab,
        Err(error) => {
            say(&error);
            return Reached::Nothing;
        }
    };
    assert!(crypttab.entries.len() + crypttab.faults.len() <= MOST_LINES);
    for fault in &crypttab.faults {
        assert!(!fault.to_string().is_empty());
        say(&fault.why);
    }
    crypttab.entries.iter().for_each(check);
    if crypttab.entries.is_empty() { Reached::Nothing } else { Reached::Read }
}

fn check(entry: &Entry) {
    entry.kind();
    let line = entry.to_string();
    let again = parse(line.as_bytes()).expect("a line that we wrote is no file");
    let expected = Entry { line: 1, ..entry.clone() };
    assert!(again.entries == [expected], "{line:?} reads as {again:?}");
}
