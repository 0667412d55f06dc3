//! Strict reading of JSON (RFC 8259) that comes from a header, a socket or an argument.
//!
//! `serde_json` knows the grammar; this crate adds what an outside document must also obey: a size, a depth and a number of
//! values that are checked before memory is taken, no member twice in one object, and text that is wiped when it is dropped,
//! because a private key or a passphrase may be among it. There is no schema here: [`Field`] walks a document and names the
//! place where it is not what was expected.

#![forbid(unsafe_code)]

mod field;
mod read;
mod value;

pub use field::{Field, FieldError, Kind};
pub use read::{JsonError, Limits, parse};
pub use value::{Number, Object, Text, Value};
