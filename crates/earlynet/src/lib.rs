//! What a machine needs of the network before it has a root, as bytes and values.

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
pub use patience::{Patience, Random};
pub use route::Route;
pub use subnet::Subnet;
pub use wanted::{
    Bond, BondMode, ClientId, Dialect, Fault, Layer, Limits, LinkRule, Method, Part, Rename, Vlan, Wanted, Which,
    WordError,
};
