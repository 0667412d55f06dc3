//! Questions (RFC 1035, section 4.1; RFC 6891, section 6.1.2).

use crate::bytes::low_16;
use crate::name::Name;
use crate::patience::{Random, low_32};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Kind {
    /// IPv4 addresses.
    A = 1,
    /// IPv6 addresses (RFC 3596).
    Aaaa = 28,
}

/// How a message travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A datagram, which anybody could have sent.
    Udp,
    /// A connection, each message behind its length.
    Tcp,
}

/// Whether the question says that larger answers than 512 bytes are welcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extension {
    /// EDNS0.
    Offered,
    /// Some servers refuse what they do not know.
    LeftOut,
}

/// The largest answer over UDP that passes any link of IPv6 in one piece, as the flag day of 2020 has it.
const LARGEST_ANSWER: u16 = 1232;
const OPTIONS: u16 = 41;
pub(super) const INTERNET: u16 = 1;
/// Recursion desired.
const FLAGS: u16 = 0x0100;

/// One question to one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    pub(super) id: u16,
    pub(super) name: Name,
    pub(super) kind: Kind,
    /// The name with letters of random case, the type and the class, as they come back in the answer.
    pub(super) question: Vec<u8>,
    pub(super) extension: Extension,
}

impl Query {
    /// A question with an identifier and a case of letters (draft-vixie-dnsext-dns0x20) that nobody else can foresee.
    pub fn new(name: &Name, kind: Kind, random: &mut Random<'_>) -> Query {
        let id = low_16(low_32(random()));
        let mut question = name.to_wire();
        let (mut bits, mut left) = (0, 0);
        // A length is never a letter: it is below 64.
        for letter in question.iter_mut().filter(|byte| byte.is_ascii_lowercase()) {
            if left == 0 {
                (bits, left) = (random(), u64::BITS);
            }
            if bits & 1 == 1 {
                letter.make_ascii_uppercase();
            }
            (bits, left) = (bits >> 1, left - 1);
        }
        question.extend((kind as u16).to_be_bytes());
        question.extend(INTERNET.to_be_bytes());
        Query { id, name: name.clone(), kind, question, extension: Extension::Offered }
    }

    /// The same without EDNS0, for a server that has refused it.
    pub(super) fn without_extension(&self) -> Query {
        Query { extension: Extension::LeftOut, ..self.clone() }
    }

    /// The message: 17 to 282 bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let additional = u16::from(self.extension == Extension::Offered);
        let mut bytes = [self.id, FLAGS, 1, 0, 0, additional].map(u16::to_be_bytes).concat();
        bytes.extend(&self.question);
        if self.extension == Extension::Offered {
            // The root, the type, the size in the place of the class, no flags, no options.
            bytes.push(0);
            bytes.extend([OPTIONS, LARGEST_ANSWER, 0, 0, 0].map(u16::to_be_bytes).concat());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_on_the_wire() {
        let name = Name::parse("tang.example").unwrap();
        let mut drawn = [0x1234, 0b101_0000_0011].into_iter();
        let query = Query::new(&name, Kind::Aaaa, &mut || drawn.next().unwrap());
        let expected =
            b"\x12\x34\x01\0\0\x01\0\0\0\0\0\x01\x04TAng\x07examPlE\0\0\x1c\0\x01\0\0\x29\x04\xd0\0\0\0\0\0\0";
        assert_eq!(query.to_bytes(), expected);
        let bare = query.without_extension().to_bytes();
        assert_eq!(bare[..11], expected[..11]);
        assert_eq!((bare[11], &bare[12..]), (0, &expected[12..expected.len() - 11]));
    }

    #[test]
    fn a_long_name_draws_more_than_once() {
        let name = Name::parse(&["abcdefgh"; 20].join(".")).unwrap();
        let mut draws = 0;
        let query = Query::new(&name, Kind::A, &mut || {
            draws += 1;
            u64::MAX
        });
        assert_eq!(draws, 4);
        assert!(query.question.iter().all(|byte| !byte.is_ascii_lowercase()));
    }
}
