//! What concerns a whole process: each case runs this very test once more as a child, in the state it is about.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![allow(unreachable_pub)] // the helpers are public to their sister modules, and nothing outside can see a test

mod child;
mod hardening;
mod inherited;
mod name_service;
mod signals;
mod terminal;
