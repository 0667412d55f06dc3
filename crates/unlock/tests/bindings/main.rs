//! Bindings and passphrases on disks in memory, with a key server in the same process.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::disallowed_methods, missing_docs)]

mod approvals;
mod bind;
mod counters;
mod identity;
mod luks1;
mod passphrases;
mod rebind;
mod scripted;
mod seal;
mod shares;
mod state;
