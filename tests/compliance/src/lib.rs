//! What the pairing tests are made of: programs with a time limit, servers, keys and images, ours and theirs alike.
//!
//! "Theirs" are the originals as Debian packages them (`tang`, `clevis`, `jose`, `cryptsetup`, `libnbd`); `cargo xtask
//! setup` installs them. Our program is driven from outside, as a person would, and never linked in: what these tests
//! prove is what the command does. The tests themselves are in `tests/`, one file for each thing that is paired.
//!
//! A harness stops where it stands, as a test does: its functions panic with the command, its output and what to do.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "this crate is a part of tests"
)]

pub mod boot_log;
pub mod disk;
pub mod front;
pub mod keys;
pub mod maker;
pub mod pairing;
pub mod program;
pub mod quiet;
pub mod screen;
pub mod secret;
pub mod server;
pub mod swtpm;
pub mod system;
pub mod version;

pub use disk::Disk;
pub use keys::{Curve, KeyDirectory};
pub use maker::Maker;
pub use pairing::Table;
pub use program::{Ended, Program, Running, cotter, need, replacement};
pub use screen::Screen;
pub use server::Server;
pub use swtpm::Swtpm;
pub use system::System;
pub use version::Version;
