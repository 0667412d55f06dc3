//! What a machine needs of the network before it has a root, as bytes and values.
//!
//! - [`Wanted`] reads the kernel's command line: which interface gets which address by which way, what stands on what, which servers of
//!   names there are. [`attended`] says which of its words forbids to open anything without a person.
//! - [`configured`] reads what others have set up already.
//! - [`dhcp4`], [`dhcp6`], [`router`]: addresses, routes and servers of names from the network.
//! - [`dns`]: addresses of names.
//!
//! Everything is a value: a conversation says what to send and when (`poll`, `due`), takes what arrives (`receive`), and ends with a lease or
//! addresses. Time is a [`std::time::Duration`] since any moment that stays the same; random numbers come from the caller. There is no
//! socket, no netlink, no clock and no file in here, and no list of the interfaces that exist.
//!
//! # What is promised
//!
//! - Bytes from outside are an answer, an error in one line, or nothing: never a panic, a loop, or memory beyond a small multiple of them.
//! - A word of the command line that cannot be obeyed takes no other word with it; its [`Fault`] names it and says what to write.
//! - A conversation is never due again at the time at which it was polled, so a caller that sleeps until `due` does not spin.
//! - A message that does not belong to the conversation (another transaction, card, server, name) changes nothing.
//! - What DHCP and routers say is handed out only if a machine can be called that: no multicast, no loopback, no `0.0.0.0`.
//! - What the fuzz targets `command_line`, `dhcp4`, `dhcp6`, `router_advertisement`, `dns_answer` and `network_files` look at stays true.
//!
//! # What the edge has to bring
//!
//! The crate `linux` does what follows; each line says which value of this crate it serves.
//!
//! | what | for |
//! | --- | --- |
//! | the interfaces with name, hardware address, state and carrier, and news of them (`RTM_GETLINK`, `RTMGRP_LINK`); loopback and tunnels left out | [`Wanted::rules_for`] |
//! | rename, set a hardware address and an MTU (the interface is down then), bring up | [`Rename`], [`LinkRule::mac`], [`LinkRule::mtu`] |
//! | wait for a carrier, no longer than [`Limits::carrier`]; a bond has one when a member has | [`LinkRule`], [`Layer`] |
//! | make a VLAN (`IFLA_VLAN_ID`, protocol 802.1Q) and a bond (`IFLA_BOND_MODE`; members down while they join; options before them, `primary` and `active_slave` after; by netlink or the files of [`Bond::options`]) | [`Wanted::layers`], from the bottom |
//! | add an address with its prefix, its peer and its times, without waiting for duplicate detection of IPv4; wait for that of IPv6 up to [`Limits::duplicate`] | [`LinkRule::address`], [`dhcp4::Lease::address`], [`dhcp6::LeasedAddress`] (a prefix of 128), [`router::OwnAddress`] |
//! | add a route, in the order of [`in_order`] | [`Route`], from rules, leases, advertisements |
//! | a packet socket (`AF_PACKET`, `SOCK_DGRAM`, IPv4) that sends to the broadcast address, with a filter for UDP port 68 and `PACKET_AUXDATA` | [`dhcp4::Outgoing::packet`]; [`read_udp4`] with [`Checksum::LeftOut`] where `TP_STATUS_CSUMNOTREADY` is set |
//! | a UDP socket bound to the leased address and port 68 | a lease that is kept: [`dhcp4::Outgoing`] with a destination that is no broadcast |
//! | a UDP socket on the link-local address, port 546, to [`dhcp6::ALL_SERVERS`] on that interface | [`dhcp6::Client`] |
//! | a raw ICMPv6 socket with a filter for type 134, hop limit 255 out and `IPV6_RECVHOPLIMIT` in; the kernel checks the sum. Or the kernel's own `accept_ra`, and this socket for the servers of names alone | [`router::Solicitor`], [`router::Advertisement`] |
//! | for each lookup and server a new connected UDP socket, whose port the kernel draws; a TCP connection where a [`dns::Outgoing`] says so, cut off at its `due`; link-local servers by their interface | [`dns::Lookup`], [`dns::Stream`] |
//! | 64 random bits a call, from the kernel | [`Random`] |
//! | the files of [`configured`], at most [`configured::LONGEST_FILE`] bytes of each | [`configured::net_conf`], [`configured::resolv_conf`], [`configured::Hosts`] |
//!
//! Which of several sources of the same thing counts is not decided here: the rules, then what others have configured, then leases and
//! advertisements as they come, is what the documents of all owners have in common.

#![forbid(unsafe_code)]

mod attended;
mod bytes;
mod command_line;
pub mod configured;
pub mod dhcp4;
pub mod dhcp6;
pub mod dns;
mod frame;
mod icmp6;
mod link_name;
mod mac;
mod name;
mod network_root;
mod patience;
mod route;
pub mod router;
mod subnet;
#[cfg(test)]
mod vectors;
mod wanted;

pub use attended::{Attended, Effect, attended};
pub use bytes::Short;
pub use command_line::{CommandLine, LONGEST_COMMAND_LINE, TooLong, Word};
pub use frame::{Checksum, Datagram, LONGEST_PAYLOAD, read_udp4, udp4};
pub use icmp6::is_right as is_icmp6_right;
pub use link_name::LinkName;
pub use mac::{Mac, NotMac};
pub use name::{Name, NameError};
pub use network_root::root_on_network;
pub use patience::{Patience, Random};
pub use route::{Route, in_order};
pub use subnet::Subnet;
pub use wanted::{
    Bond, BondMode, ClientId, Dialect, Fault, Layer, Limits, LinkRule, Method, Part, Rename, Vlan, Wanted, Which,
    WordError,
};
