//! The server over real sockets, asked by a client that knows nothing but bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(unreachable_pub)] // the helpers are public to their sister modules, and nothing outside can see a test

mod answers;
mod client;
mod framing;
mod keys;
mod one;
mod patience;
mod server;
mod stopping;
