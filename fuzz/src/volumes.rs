//! The list of expected volumes.

use crate::Reached;
use crate::header::say;
use unlock::identity::Expectation;

/// Takes the bytes as the list. One that is understood reads, as we write it, as the same list.
pub fn volumes(bytes: &[u8]) -> Reached {
    let list = match Expectation::parse(bytes) {
        Ok(list) => list,
        Err(error) => {
            assert!(!error.hint().is_empty());
            say(&error);
            return Reached::Nothing;
        }
    };
    let text = list.to_text();
    let again = Expectation::parse(text.as_bytes());
    // What was close to the limit may not fit as we write it.
    assert!(text.len() > 60_000 || again.is_ok_and(|again| again == list), "{text}");
    Reached::Read
}
