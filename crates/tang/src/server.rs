//! The server half: routing, keys, answers.
//!
//! Statuses and bodies are those of the original server; what differs stands in `docs/compatibility.md`.

mod answer;
mod keys;
mod response;
mod route;

pub use answer::answer;
pub use keys::{KeyFile, KeySet, KeyState, LoadError, Role};
pub use response::{Body, Response};
pub use route::{LONGEST_BODY, LONGEST_TARGET, Route, ServerRequest, route};
