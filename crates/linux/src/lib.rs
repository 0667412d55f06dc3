//! (to be filled)

mod client;
mod clock;
mod files;

pub use client::{Client, TOTAL_LIMIT};
pub use clock::deadline_after;
pub use files::HostFiles;
