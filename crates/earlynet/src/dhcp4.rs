//! DHCP for IPv4 (RFC 2131, options of RFC 2132), the client's side.
//!
//! [`Client`] is the conversation: it says what to send and when, takes what arrives, and ends with a [`Lease`]. It sends DISCOVER, REQUEST
//! and, when half of a lease is over, REQUEST again. Absent on purpose: DECLINE (nobody probes an address here: that costs seconds, and
//! the server does it), RELEASE (the address goes on with the next stage), INFORM, BOOTP without DHCP, relays.

mod client;
mod lease;
mod message;

pub use client::{Client, Heard, Identity, Outgoing};
pub use lease::Lease;
pub use message::{Kind, Malformed};

/// Where servers listen.
pub const SERVER_PORT: u16 = 67;
/// Where clients listen.
pub const CLIENT_PORT: u16 = 68;
