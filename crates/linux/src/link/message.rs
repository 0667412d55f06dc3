//! Messages of rtnetlink(7): a header, a structure of the message's kind, and attributes, all in the machine's own order of bytes.

/// Kinds of messages (`linux/rtnetlink.h`).
pub(super) mod kind {
    pub(crate) const ERROR: u16 = 2;
    pub(crate) const DONE: u16 = 3;
    pub(crate) const NEW_LINK: u16 = 16;
    pub(crate) const DEL_LINK: u16 = 17;
    pub(crate) const GET_LINK: u16 = 18;
    pub(crate) const NEW_ADDRESS: u16 = 20;
    pub(crate) const DEL_ADDRESS: u16 = 21;
    pub(crate) const GET_ADDRESS: u16 = 22;
    pub(crate) const NEW_ROUTE: u16 = 24;
    pub(crate) const DEL_ROUTE: u16 = 25;
    pub(crate) const GET_ROUTE: u16 = 26;
}

/// Flags of messages (`linux/netlink.h`).
pub(super) mod flag {
    pub(crate) const REQUEST: u16 = 1;
    pub(crate) const ACK: u16 = 4;
    pub(crate) const INTERRUPTED: u16 = 0x10;
    pub(crate) const DUMP: u16 = 0x300;
    pub(crate) const REPLACE: u16 = 0x100;
    pub(crate) const EXCLUSIVE: u16 = 0x200;
    pub(crate) const CREATE: u16 = 0x400;
}

/// Bytes of a message's header: length, kind, flags, sequence, port.
const HEADER: usize = 16;
/// The upper bits of an attribute's kind say how it is written.
const KIND_BITS: u16 = 0x3fff;

/// A message to the kernel.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) body: Vec<u8>,
}

impl Message {
    /// A message whose structure is `fixed`.
    pub(super) fn new(kind: u16, flags: u16, fixed: &[u8]) -> Message {
        Message { kind, flags: flags | flag::REQUEST, body: fixed.to_vec() }
    }

    /// Adds an attribute.
    pub(super) fn with(mut self, kind: u16, value: &[u8]) -> Message {
        push(&mut self.body, kind, value);
        self
    }

    /// All of it, ready to be sent.
    pub(super) fn to_bytes(&self, sequence: u32) -> Vec<u8> {
        let length = u32::try_from(self.body.len() + HEADER).unwrap_or(u32::MAX);
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend([self.kind.to_ne_bytes(), self.flags.to_ne_bytes()].concat());
        bytes.extend([sequence.to_ne_bytes(), [0; 4]].concat());
        bytes.extend(&self.body);
        bytes
    }
}

/// Attributes in an attribute.
pub(super) fn nested(attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    attributes.iter().for_each(|(kind, value)| push(&mut bytes, *kind, value));
    bytes
}

/// Each attribute begins at a multiple of four.
fn push(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
    bytes.extend([length.to_ne_bytes(), kind.to_ne_bytes()].concat());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

/// A message from the kernel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard<'a> {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) sequence: u32,
    /// Structure and attributes.
    pub(super) body: &'a [u8],
}

/// The messages of one datagram; what is behind a broken one is left out.
pub(super) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Heard<'_>> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32_at(bytes, 0)?).ok()?;
        let body = bytes.get(HEADER..length)?;
        let heard = Heard { kind: u16_at(bytes, 4)?, flags: u16_at(bytes, 6)?, sequence: u32_at(bytes, 8)?, body };
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(heard)
    })
}

/// The attributes behind a structure of `fixed` bytes.
pub(super) fn attributes(body: &[u8], fixed: usize) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = body.get(fixed..).unwrap_or_default();
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(rest, 0)?);
        let (kind, value) = (u16_at(rest, 2)? & KIND_BITS, rest.get(4..length)?);
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_ne_bytes)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_ne_bytes)
}

/// A text with or without the zero at its end.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let inner = nested(&[(1, b"vlan\0"), (2, &[7, 0])]);
        let message = Message::new(kind::NEW_LINK, flag::ACK, &[0; 16]).with(3, b"eth0\0").with(18, &inner);
        let bytes = [message.to_bytes(9), message.to_bytes(10)].concat();
        let heard: Vec<Heard<'_>> = messages(&bytes).collect();
        assert_eq!((heard.len(), heard[0].kind, heard[0].flags, heard[1].sequence), (2, 16, 5, 10));
        let found: Vec<(u16, &[u8])> = attributes(heard[1].body, 16).collect();
        assert_eq!(found, [(3, b"eth0\0".as_slice()), (18, inner.as_slice())]);
        assert_eq!(attributes(&inner, 0).map(|(_, value)| text(value)).next().unwrap(), "vlan");
    }

    #[test]
    fn any_bytes_end() {
        for length in 0..64_u8 {
            for bytes in [vec![length; 40], [vec![length, 0, 0, 0], vec![1; 30]].concat()] {
                assert!(messages(&bytes).count() <= bytes.len());
                assert!(attributes(&bytes, 0).count() <= bytes.len());
            }
        }
    }
}
