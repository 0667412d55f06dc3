//! Whole systems: what needs a kernel of its own, in virtual machines that the tests start and that stop by themselves.
//!
//! [`uml`] is quick: user-mode-linux on the host's own tree, with the device mapper and nothing else. [`qemu`] is a whole
//! machine with udev.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "this crate is a part of tests"
)]

pub mod qemu;
pub mod uml;
