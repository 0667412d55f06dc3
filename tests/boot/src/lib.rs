//! Whole systems: what needs a kernel of its own, in virtual machines that the tests start and that stop by themselves.
//!
//! [`uml`] is quick: user-mode-linux on the host's own tree, with the device mapper and nothing else. [`qemu`] is a whole
//! machine with udev, made of the host's programs. [`system`] is Debian itself, a [`root`] with its own initramfs that opens a
//! [`disk`] and goes on to it. A [`playground`] is a copy of a root without a machine, where programs change its boot.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "this crate is a part of tests"
)]

pub mod binding;
pub mod cover;
pub mod disk;

pub mod means;
pub mod names;
mod place;
pub mod playground;
pub mod qemu;
pub mod root;
pub mod system;
pub mod uml;
