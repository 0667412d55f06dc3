//! An input that is several messages: each behind its length of two bytes, the last as long as it is.

use std::net::Ipv4Addr;

/// More turns than that say nothing new.
const MOST_MESSAGES: usize = 32;

/// The messages.
pub(crate) fn messages(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<2>()
        && messages.len() < MOST_MESSAGES
    {
        let (message, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)).min(rest.len()));
        messages.push(message.to_vec());
        bytes = rest;
    }
    messages
}

/// Puts `known` in the place where only a listener could know it.
pub(crate) fn put(message: &mut [u8], at: usize, known: &[u8]) {
    if let Some(place) = message.get_mut(at..at + known.len()) {
        place.copy_from_slice(known);
    }
}

/// No machine is called that.
pub(crate) fn is_nobody(address: Ipv4Addr) -> bool {
    address.is_unspecified() || address.is_loopback() || address.is_multicast() || address.is_broadcast()
}
