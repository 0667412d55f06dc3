//! DHCP for IPv6 (RFC 8415), the client's side.
//!
//! [`Client`] is the conversation: for an address (Solicit, Advertise, Request, Reply, or the short form of section 18.2.1) or for what a
//! router leaves out (Information-Request, Reply). Its messages go from a link-local address, port 546, to [`ALL_SERVERS`], port 547, so
//! ordinary sockets carry them. Absent on purpose: Renew and Rebind (an address is asked for anew by the next stage, long before its time is
//! over), Release, Decline, prefixes for others, relays, authentication.

mod client;
mod lease;
mod message;

pub use client::{Client, Heard, Purpose};
pub use lease::{Lease, LeasedAddress};
pub use message::{Duid, Kind, Malformed};

use std::net::Ipv6Addr;

/// Where servers listen.
pub const SERVER_PORT: u16 = 547;
/// Where clients listen.
pub const CLIENT_PORT: u16 = 546;
/// All servers and relays on the link.
pub const ALL_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
