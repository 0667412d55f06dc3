//! What is true of every header, whatever it says.

use crate::Reached;
use crate::sparse::SparseDisk;
use luks::{Accepted, Allowed, Header};
use std::error::Error;

/// Derivations that cost a test next to nothing; everything else as it comes.
pub(crate) fn allowed() -> Allowed {
    Allowed { pbkdf2_iterations: 2000, argon2_memory_kib: 64, ..Allowed::default() }
}

/// Reads and judges the header of a disk; if it is not accepted, tells how far it came.
pub(crate) fn accept(disk: &SparseDisk) -> Result<Accepted, Reached> {
    let header = Header::read(disk).map_err(|error| {
        assert!(!error.hint().is_empty());
        say(&error);
        Reached::Nothing
    })?;
    look_at(&header);
    let accepted = header.accept(&allowed()).map_err(|error| {
        say(&error);
        Reached::Read
    })?;
    let again = Header::read(disk).expect("it was read once");
    assert!(accepted.header().is_same(&again), "two readings of a header differ");
    luks::open_order(&accepted);
    assert!(disk.take_written().is_empty(), "reading a header has written to the disk");
    Ok(accepted)
}

/// All that `list` and `dump` ask of a header that was not judged.
fn look_at(header: &Header) {
    for binding in unlock::bindings(header) {
        binding.jwe.to_flattened();
    }
    for unreadable in unlock::unreadable(header) {
        say(&unreadable.why);
    }
    for copy in header.as_luks2().into_iter().flat_map(|header| header.copies()) {
        assert!(!copy.to_string().is_empty());
    }
}

/// An error says something, and so does every cause of it.
pub(crate) fn say(error: &dyn Error) {
    assert!(!error.to_string().is_empty());
    if let Some(cause) = error.source() {
        say(cause);
    }
}
