//! What is true of every header, whatever it says.

use crate::Reached;
use crate::sparse::SparseDisk;
use crate::touched::key;
use clevis::pins;
use jose::Jwe;
use json::Value;
use luks::{Accepted, Allowed, Header};
use std::error::Error;
use unlock::Binding;

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
    unlock::human_slots(&accepted);
    if let Err(fault) = unlock::check_seal(&accepted, &key()) {
        say(&fault);
    }
    assert!(disk.take_written().is_empty(), "reading a header has written to the disk");
    Ok(accepted)
}

/// All that `list` and `dump` ask of a header that was not judged.
fn look_at(header: &Header) {
    unlock::bindings(header).iter().for_each(look_at_binding);
    for unreadable in unlock::unreadable(header) {
        say(&unreadable.why);
    }
    for copy in header.as_luks2().into_iter().flat_map(|header| header.copies()) {
        assert!(!copy.to_string().is_empty());
    }
}

/// All that `list`, `regen`, `edit` and `report` ask of a binding that was not opened.
fn look_at_binding(binding: &Binding) {
    let jwe = &binding.jwe;
    let flattened = Value::from(jwe.to_flattened());
    let again = Jwe::from_flattened(&flattened.field("jwe")).expect("a JWE that we wrote is none");
    assert!(Value::from(again.to_flattened()) == flattened, "a JWE reads back as another");
    let asked = [
        clevis::describe(jwe, pins::ALL).map(|found| drop(found.shown.config.to_compact())),
        clevis::configuration(jwe, pins::ALL).map(drop),
        clevis::servers(jwe, pins::ALL).map(drop),
    ];
    for error in asked.into_iter().filter_map(Result::err) {
        error.hint();
        say(&error);
    }
}

/// An error says something, and so does every cause of it.
pub(crate) fn say(error: &dyn Error) {
    assert!(!error.to_string().is_empty());
    if let Some(cause) = error.source() {
        say(cause);
    }
}
