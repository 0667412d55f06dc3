//! The sum of an ICMPv6 message, which counts the addresses of its packet (RFC 4443, section 2.3).

use crate::bytes::checksum;
use std::net::Ipv6Addr;

const ICMP6: u8 = 58;

/// The sum of a message whose own field is zero; of one that has it already, zero if it is right.
pub(crate) fn sum(message: &[u8], source: Ipv6Addr, destination: Ipv6Addr) -> u16 {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    checksum(&[&source.octets(), &destination.octets(), &length.to_be_bytes(), &[0, 0, 0, ICMP6], message])
}

/// Whether the sum of an ICMPv6 message is right; raw sockets of the kernel have looked already.
pub fn is_right(message: &[u8], source: Ipv6Addr, destination: Ipv6Addr) -> bool {
    sum(message, source, destination) == 0
}
