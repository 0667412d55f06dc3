//! Fields of a message, one after the other, in network byte order.

use std::error::Error;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A message that ends before one of its fields does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Short {
    /// The field, as its specification spells it.
    pub field: &'static str,
}

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the message ends within {}", self.field)
    }
}

impl Error for Short {}

/// Reads fields from the beginning of a slice.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn take(&mut self, length: usize, field: &'static str) -> Result<&'a [u8], Short> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Short { field })?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], Short> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Short { field })?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self, field: &'static str) -> Result<u8, Short> {
        Ok(u8::from_be_bytes(self.array(field)?))
    }

    pub(crate) fn u16(&mut self, field: &'static str) -> Result<u16, Short> {
        Ok(u16::from_be_bytes(self.array(field)?))
    }

    pub(crate) fn u32(&mut self, field: &'static str) -> Result<u32, Short> {
        Ok(u32::from_be_bytes(self.array(field)?))
    }

    pub(crate) fn v4(&mut self, field: &'static str) -> Result<Ipv4Addr, Short> {
        Ok(Ipv4Addr::from(self.array::<4>(field)?))
    }

    pub(crate) fn v6(&mut self, field: &'static str) -> Result<Ipv6Addr, Short> {
        Ok(Ipv6Addr::from(self.array::<16>(field)?))
    }
}

/// The Internet checksum (RFC 1071) over several pieces as if they were one. A piece of odd length is padded, so only the last may be odd.
///
/// Over data that hold their own checksum it is zero.
pub(crate) fn checksum(pieces: &[&[u8]]) -> u16 {
    let mut sum = 0_u32;
    for piece in pieces {
        let (pairs, last) = piece.as_chunks::<2>();
        let last = last.first().map(|byte| u32::from(*byte) << 8);
        // At most 65535 bytes are summed by anyone here, so 32 bits hold it.
        sum = pairs.iter().map(|pair| u32::from(u16::from_be_bytes(*pair))).chain(last).fold(sum, u32::saturating_add);
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !low_16(sum)
}

/// The lower half.
pub(crate) fn low_16(value: u32) -> u16 {
    let [.., high, low] = value.to_be_bytes();
    u16::from_be_bytes([high, low])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 1071, section 3: the sum of these is ddf2, so the checksum is its complement.
    #[test]
    fn the_checksum_is_that_of_rfc_1071() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(checksum(&[&bytes]), !0xddf2);
        assert_eq!(checksum(&[&bytes[..4], &bytes[4..]]), !0xddf2);
        assert_eq!(checksum(&[&[0x12]]), !0x1200);
        assert_eq!(checksum(&[&bytes, &(!0xddf2_u16).to_be_bytes()]), 0);
    }

    #[test]
    fn a_field_that_is_cut_is_named() {
        let mut reader = Reader::new(&[1, 2, 3]);
        assert_eq!(reader.u16("xid"), Ok(0x0102));
        assert_eq!(reader.u16("secs").unwrap_err().to_string(), "the message ends within secs");
        assert_eq!(reader.rest(), [3]);
    }
}
