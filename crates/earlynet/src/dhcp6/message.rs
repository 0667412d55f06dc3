//! Messages: a type, a transaction of 24 bits, and options, which may hold options themselves (RFC 8415, sections 8 and 21).

use crate::bytes::{Reader, Short};
use crate::mac::Mac;
use std::error::Error;
use std::fmt;

pub(super) mod code {
    //! Numbers of options.
    pub(crate) const CLIENT: u16 = 1;
    pub(crate) const SERVER: u16 = 2;
    pub(crate) const ASSOCIATION: u16 = 3;
    pub(crate) const ADDRESS: u16 = 5;
    pub(crate) const WANTED: u16 = 6;
    pub(crate) const ELAPSED: u16 = 8;
    pub(crate) const STATUS: u16 = 13;
    pub(crate) const RAPID: u16 = 14;
    pub(crate) const NAME_SERVERS: u16 = 23;
    pub(crate) const SEARCH: u16 = 24;
    pub(crate) const LONGEST_SOLICIT_WAIT: u16 = 82;
    pub(crate) const LONGEST_INFORMATION_WAIT: u16 = 83;
}

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// The client looks for servers.
    Solicit = 1,
    /// A server offers an address.
    Advertise = 2,
    /// The client takes an offer.
    Request = 3,
    /// The server answers.
    Reply = 7,
    /// The client asks for everything but an address.
    InformationRequest = 11,
}

/// What a client or a server is called (section 11): 3 to 130 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duid(Vec<u8>);

impl Duid {
    /// Of a card's address (type 3, Ethernet), which needs nothing to be remembered.
    pub fn of_card(mac: Mac) -> Duid {
        Duid([&[0, 3, 0, 1], &mac.0[..]].concat())
    }

    /// Any bytes that were called so before. `None` if there are too few or too many.
    pub fn from_bytes(bytes: &[u8]) -> Option<Duid> {
        (3..=130).contains(&bytes.len()).then(|| Duid(bytes.to_vec()))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Why a message says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// It ends within a field.
    Short(Short),
    /// It is no answer to a client.
    NotReply,
    /// An option is missing that has to be there.
    Missing {
        /// Its number.
        option: u16,
    },
    /// An option has a length or a value that it cannot have.
    Option {
        /// Its number.
        option: u16,
    },
    /// It has more options than anybody needs.
    TooMany,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Malformed::Short(short) => short.fmt(f),
            Malformed::NotReply => f.write_str("the message is no answer to a client"),
            Malformed::Missing { option } => write!(f, "option {option} is missing"),
            Malformed::Option { option } => write!(f, "option {option} makes no sense"),
            Malformed::TooMany => write!(f, "the message has more than {MOST_OPTIONS} options"),
        }
    }
}

impl Error for Malformed {}

impl From<Short> for Malformed {
    fn from(short: Short) -> Malformed {
        Malformed::Short(short)
    }
}

const MOST_OPTIONS: usize = 256;

/// Options in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Options<'a>(Vec<(u16, &'a [u8])>);

impl<'a> Options<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Options<'a>, Malformed> {
        let (mut reader, mut options) = (Reader::new(bytes), Vec::new());
        while !reader.is_empty() {
            if options.len() == MOST_OPTIONS {
                return Err(Malformed::TooMany);
            }
            let (code, length) = (reader.u16("an option")?, reader.u16("an option")?);
            options.push((code, reader.take(length.into(), "an option")?));
        }
        Ok(Options(options))
    }

    /// The first of this number; others may not be there (section 21 of most options), and are passed over.
    pub(super) fn first(&self, option: u16) -> Option<&'a [u8]> {
        self.all(option).next()
    }

    pub(super) fn all(&self, option: u16) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |(code, _)| *code == option).map(|(_, content)| *content)
    }

    /// A status: 0 is success. A missing one says the same.
    pub(super) fn status(&self) -> Result<(u16, Option<String>), Malformed> {
        let Some(content) = self.first(code::STATUS) else { return Ok((0, None)) };
        let mut reader = Reader::new(content);
        let status = reader.u16("a status")?;
        let text: String = String::from_utf8_lossy(reader.rest()).chars().filter(|c| !c.is_control()).collect();
        Ok((status, Some(text).filter(|text| !text.is_empty())))
    }
}

/// What arrived.
#[derive(Debug)]
pub(super) struct Message<'a> {
    pub(super) kind: Kind,
    pub(super) transaction: u32,
    pub(super) options: Options<'a>,
}

impl<'a> Message<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Message<'a>, Malformed> {
        let mut reader = Reader::new(bytes);
        let [kind, a, b, c] = reader.array("the header")?;
        let kind = match kind {
            2 => Kind::Advertise,
            7 => Kind::Reply,
            _ => return Err(Malformed::NotReply),
        };
        let options = Options::parse(reader.rest())?;
        Ok(Message { kind, transaction: u32::from_be_bytes([0, a, b, c]), options })
    }

    pub(super) fn server(&self) -> Result<Duid, Malformed> {
        let bytes = self.options.first(code::SERVER).ok_or(Malformed::Missing { option: code::SERVER })?;
        Duid::from_bytes(bytes).ok_or(Malformed::Option { option: code::SERVER })
    }
}

/// Writes a message. Of the transaction the lower 24 bits count; an option of more than 65535 bytes is left out, and there is none.
pub(super) fn to_bytes(kind: Kind, transaction: u32, options: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let [_, a, b, c] = transaction.to_be_bytes();
    let mut bytes = vec![kind as u8, a, b, c];
    bytes.extend(options.iter().flat_map(|(code, content)| option(*code, content)));
    bytes
}

pub(super) fn option(code: u16, content: &[u8]) -> Vec<u8> {
    match u16::try_from(content.len()) {
        Ok(length) => [&code.to_be_bytes()[..], &length.to_be_bytes(), content].concat(),
        Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_reads_back() {
        let bytes = to_bytes(Kind::Reply, 0xff12_3456, &[(2, b"server".to_vec()), (9, Vec::new()), (9, vec![1])]);
        let message = Message::parse(&bytes).unwrap();
        assert_eq!((message.kind, message.transaction), (Kind::Reply, 0x12_3456));
        assert_eq!(message.server().unwrap().as_bytes(), b"server");
        assert_eq!(message.options.all(9).collect::<Vec<_>>(), [&b""[..], &[1]]);
        for length in 0..bytes.len() {
            let cut = Message::parse(&bytes[..length]);
            assert!(cut.is_err() || [4, 14, 18].contains(&length), "{length}");
        }
    }

    #[test]
    fn what_is_no_answer() {
        let refused = |bytes: &[u8]| Message::parse(bytes).unwrap_err();
        assert_eq!(refused(&to_bytes(Kind::Solicit, 1, &[])), Malformed::NotReply);
        assert_eq!(refused(&[12, 0, 0, 0]), Malformed::NotReply);
        assert_eq!(refused(&[[7, 0, 0, 0].as_slice(), &[0; 4 * 257]].concat()), Malformed::TooMany);
        assert_eq!(Message::parse(&[7, 0, 0, 0]).unwrap().server(), Err(Malformed::Missing { option: 2 }));
        assert_eq!(
            Message::parse(&[7, 0, 0, 0, 0, 2, 0, 1, 9]).unwrap().server(),
            Err(Malformed::Option { option: 2 })
        );
    }

    #[test]
    fn a_status_is_fit_for_a_console() {
        let status = |content: &[u8]| Options::parse(&option(code::STATUS, content)).unwrap().status();
        assert_eq!(status(b"\0\x02no\x1b addresses"), Ok((2, Some("no addresses".into()))));
        assert_eq!(status(b"\0\0"), Ok((0, None)));
        assert_eq!(status(b"\0"), Err(Malformed::Short(Short { field: "a status" })));
        assert_eq!(Options::default().status(), Ok((0, None)));
    }
}
