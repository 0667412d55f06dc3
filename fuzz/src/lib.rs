//! Parsers of bytes from outside, fed with anything: one function for each.
//!
//! A function takes any bytes, makes of them what a stranger could have put on a disk or into a file, and lets the library
//! read, judge and change that. It panics when a promise is broken; how far it came is returned, so that a test can see that
//! its inputs still mean something. Inputs are short: what is the same in every one of them, and what a checksum makes
//! unreachable, the function adds.
//!
//! `cargo xtask fuzz` runs the functions under libFuzzer, which finds inputs by itself; `tests/replay.rs` runs them with every
//! input that was worth keeping: `seeds/` are real headers, `corpus/` what was found from them, `crashes/` what once broke a
//! promise.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a broken promise ends the run, as in a test"
)]

mod bootimage;
mod certificate;
mod change;
mod command_line;
mod conversation;
mod crypttab;
mod dhcp4;
mod dhcp6;
mod dns_answer;
mod event_log;
mod header;
mod kept;
mod luks1;
mod luks2_binary_header;
mod luks2_json;
mod luksmeta;
mod network_files;
mod policy;
mod replayed;
mod rescue;
mod router_advertisement;
mod sparse;
mod systemd_token;
mod touched;
mod tpm_answers;
mod volumes;

pub use crate::bootimage::bootimage;
pub use certificate::certificate;
pub use command_line::command_line;
pub use crypttab::crypttab;
pub use dhcp4::dhcp4;
pub use dhcp6::dhcp6;
pub use dns_answer::dns_answer;
pub use event_log::event_log;
pub use luks1::luks1;
pub use luks2_binary_header::luks2_binary_header;
pub use luks2_json::{luks2_json, sealed};
pub use luksmeta::luksmeta;
pub use network_files::network_files;
pub use policy::policy;
pub use router_advertisement::router_advertisement;
pub use systemd_token::systemd_token;
pub use tpm_answers::tpm_answers;
pub use volumes::volumes;

/// How far an input came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reached {
    /// It is nothing that could be read.
    Nothing,
    /// It was read and not accepted.
    Read,
    /// It was accepted and could not be changed.
    Accepted,
    /// It was changed in at least one way.
    Changed,
}

/// A function that is fuzzed, under the name of its program and its directories.
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// The function.
    pub run: fn(&[u8]) -> Reached,
    /// The farthest that an input of it can come.
    pub farthest: Reached,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "luks1", run: luks1, farthest: Reached::Changed },
    Target { name: "luks2_binary_header", run: luks2_binary_header, farthest: Reached::Changed },
    Target { name: "luks2_json", run: luks2_json, farthest: Reached::Changed },
    Target { name: "luksmeta", run: luksmeta, farthest: Reached::Accepted },
    Target { name: "crypttab", run: crypttab, farthest: Reached::Read },
    Target { name: "event_log", run: event_log, farthest: Reached::Read },
    Target { name: "command_line", run: command_line, farthest: Reached::Accepted },
    Target { name: "dhcp4", run: dhcp4, farthest: Reached::Accepted },
    Target { name: "dhcp6", run: dhcp6, farthest: Reached::Accepted },
    Target { name: "dns_answer", run: dns_answer, farthest: Reached::Accepted },
    Target { name: "network_files", run: network_files, farthest: Reached::Read },
    Target { name: "router_advertisement", run: router_advertisement, farthest: Reached::Accepted },
    Target { name: "bootimage", run: bootimage, farthest: Reached::Accepted },
    Target { name: "certificate", run: certificate, farthest: Reached::Accepted },
    Target { name: "policy", run: policy, farthest: Reached::Read },
    Target { name: "systemd_token", run: systemd_token, farthest: Reached::Accepted },
    Target { name: "tpm_answers", run: tpm_answers, farthest: Reached::Accepted },
    Target { name: "volumes", run: volumes, farthest: Reached::Read },
];
