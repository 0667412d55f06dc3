//! The network of a machine that starts, in network namespaces that each test makes for itself: one is the machine with its cards, the other
//! what is plugged into them, with dnsmasq, radvd and nsd in it. As root.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod addresses;
mod failures;
mod leases;
mod names;
mod others;
mod site;
