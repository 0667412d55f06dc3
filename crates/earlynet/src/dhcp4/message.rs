//! Messages: a fixed header of 236 bytes (RFC 2131, section 2), a cookie, and options (RFC 2132).

use crate::bytes::{Reader, Short};
use crate::mac::Mac;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::net::Ipv4Addr;

const COOKIE: [u8; 4] = [99, 130, 83, 99];
/// What BOOTP relays of old expect at least.
const SHORTEST: usize = 300;
const REQUEST: u8 = 1;
const REPLY: u8 = 2;
const ETHERNET: u8 = 1;
const BROADCAST: u16 = 0x8000;

pub(super) mod code {
    //! Numbers of options.
    pub(crate) const NETMASK: u8 = 1;
    pub(crate) const ROUTERS: u8 = 3;
    pub(crate) const NAME_SERVERS: u8 = 6;
    pub(crate) const HOST_NAME: u8 = 12;
    pub(crate) const DOMAIN: u8 = 15;
    pub(crate) const MTU: u8 = 26;
    pub(crate) const STATIC_ROUTES: u8 = 33;
    pub(crate) const TIME_SERVERS: u8 = 42;
    pub(crate) const ADDRESS: u8 = 50;
    pub(crate) const LEASE_TIME: u8 = 51;
    pub(crate) const OVERLOAD: u8 = 52;
    pub(crate) const KIND: u8 = 53;
    pub(crate) const SERVER: u8 = 54;
    pub(crate) const WANTED: u8 = 55;
    pub(crate) const MESSAGE: u8 = 56;
    pub(crate) const LONGEST: u8 = 57;
    pub(crate) const RENEWAL: u8 = 58;
    pub(crate) const REBINDING: u8 = 59;
    pub(crate) const CLIENT: u8 = 61;
    pub(crate) const SEARCH: u8 = 119;
    pub(crate) const CLASSLESS_ROUTES: u8 = 121;
}

/// What a message is for (option 53).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// The client looks for servers.
    Discover = 1,
    /// A server offers an address.
    Offer = 2,
    /// The client takes an offer, or asks to keep what it has.
    Request = 3,
    /// The client refuses an address.
    Decline = 4,
    /// The server agrees.
    Ack = 5,
    /// The server does not.
    Nak = 6,
}

/// As RFC 2131 spells it.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Discover => "DHCPDISCOVER",
            Kind::Offer => "DHCPOFFER",
            Kind::Request => "DHCPREQUEST",
            Kind::Decline => "DHCPDECLINE",
            Kind::Ack => "DHCPACK",
            Kind::Nak => "DHCPNAK",
        })
    }
}

/// Why a message says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// It ends within a field.
    Short(Short),
    /// It is no answer to a client, or not for Ethernet.
    NotReply,
    /// The four bytes before the options are not those of DHCP.
    Cookie,
    /// An option is missing that has to be there.
    Missing {
        /// Its number.
        option: u8,
    },
    /// An option has a length or a value that it cannot have.
    Option {
        /// Its number.
        option: u8,
    },
    /// The address is none that a machine can have.
    Address {
        /// The address.
        address: Ipv4Addr,
    },
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Malformed::Short(short) => short.fmt(f),
            Malformed::NotReply => f.write_str("the message is no answer to a client"),
            Malformed::Cookie => f.write_str("the message has no options of DHCP"),
            Malformed::Missing { option } => write!(f, "option {option} is missing"),
            Malformed::Option { option } => write!(f, "option {option} makes no sense"),
            Malformed::Address { address } => write!(f, "{address} is no address for a machine"),
        }
    }
}

impl Error for Malformed {}

impl From<Short> for Malformed {
    fn from(short: Short) -> Malformed {
        Malformed::Short(short)
    }
}

/// What the client sends.
pub(super) struct Request {
    pub(super) transaction: u32,
    /// Seconds since the client began.
    pub(super) seconds: u16,
    /// The address that the client has, or 0.0.0.0.
    pub(super) own: Ipv4Addr,
    pub(super) mac: Mac,
    pub(super) options: Vec<(u8, Vec<u8>)>,
}

impl Request {
    /// 300 bytes at least. An option of more than 255 bytes is left out; there is none.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![REQUEST, ETHERNET, 6, 0];
        bytes.extend(self.transaction.to_be_bytes());
        bytes.extend(self.seconds.to_be_bytes());
        // Who has no address yet cannot be sent to by it.
        let flags = if self.own.is_unspecified() { BROADCAST } else { 0 };
        bytes.extend(flags.to_be_bytes());
        bytes.extend(self.own.octets());
        bytes.extend([0; 12]);
        bytes.extend(self.mac.0);
        bytes.extend([0; 10 + 64 + 128]);
        bytes.extend(COOKIE);
        for (code, value) in &self.options {
            if let Ok(length) = u8::try_from(value.len()) {
                bytes.extend([*code, length]);
                bytes.extend(value);
            }
        }
        bytes.push(255);
        bytes.resize(bytes.len().max(SHORTEST), 0);
        bytes
    }
}

/// What a server sends.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) transaction: u32,
    /// The address that the client gets.
    pub(super) yours: Ipv4Addr,
    pub(super) mac: Mac,
    pub(super) kind: Kind,
    pub(super) options: Options,
}

impl Reply {
    pub(super) fn parse(bytes: &[u8]) -> Result<Reply, Malformed> {
        let mut reader = Reader::new(bytes);
        let [operation, hardware, hardware_length, _] = reader.array("op")?;
        let transaction = reader.u32("xid")?;
        reader.take(8, "ciaddr")?;
        let yours = reader.v4("yiaddr")?;
        reader.take(8, "giaddr")?;
        let mac = Mac(reader.array("chaddr")?);
        reader.take(10, "chaddr")?;
        let server_name = reader.take(64, "sname")?;
        let file = reader.take(128, "file")?;
        if operation != REPLY || hardware != ETHERNET || hardware_length != 6 {
            return Err(Malformed::NotReply);
        }
        if reader.array("the cookie")? != COOKIE {
            return Err(Malformed::Cookie);
        }
        let options = Options::parse(reader.rest(), file, server_name)?;
        let kind = match options.one::<1>(code::KIND)?.ok_or(Malformed::Missing { option: code::KIND })? {
            [2] => Kind::Offer,
            [5] => Kind::Ack,
            [6] => Kind::Nak,
            _ => return Err(Malformed::NotReply),
        };
        Ok(Reply { transaction, yours, mac, kind, options })
    }
}

/// The options of a message; what stands there in several pieces is one (RFC 3396).
#[derive(Debug, Default)]
pub(super) struct Options(BTreeMap<u8, Vec<u8>>);

impl Options {
    /// The fields `file` and `sname` hold options too if option 52 says so, and follow the others in this order.
    fn parse(own: &[u8], file: &[u8], server_name: &[u8]) -> Result<Options, Malformed> {
        let mut options = Options::default();
        options.add(own)?;
        let overload = options.one::<1>(code::OVERLOAD)?;
        if matches!(overload, Some([1 | 3])) {
            options.add(file)?;
        }
        if matches!(overload, Some([2 | 3])) {
            options.add(server_name)?;
        }
        Ok(options)
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        let mut reader = Reader::new(bytes);
        // Some servers leave out the end.
        while !reader.is_empty() {
            match reader.u8("options")? {
                0 => {}
                255 => break,
                code => {
                    let length = reader.u8("options")?;
                    self.0.entry(code).or_default().extend(reader.take(length.into(), "options")?);
                }
            }
        }
        Ok(())
    }

    pub(super) fn bytes(&self, option: u8) -> Option<&[u8]> {
        self.0.get(&option).map(Vec::as_slice)
    }

    /// An option of exactly `N` bytes.
    pub(super) fn one<const N: usize>(&self, option: u8) -> Result<Option<[u8; N]>, Malformed> {
        let exact = |bytes: &[u8]| bytes.try_into().map_err(|_| Malformed::Option { option });
        self.bytes(option).map(exact).transpose()
    }

    /// An option of one or more times `N` bytes.
    pub(super) fn several<const N: usize>(&self, option: u8) -> Result<Vec<[u8; N]>, Malformed> {
        let Some(bytes) = self.bytes(option) else { return Ok(Vec::new()) };
        match bytes.as_chunks::<N>() {
            (pieces, []) if !pieces.is_empty() => Ok(pieces.to_vec()),
            _ => Err(Malformed::Option { option }),
        }
    }

    /// Text, without the zeros that some servers put at its end, and without anything that is no letter on a console.
    pub(super) fn text(&self, option: u8) -> Option<String> {
        let text = String::from_utf8_lossy(self.bytes(option)?);
        let plain: String = text.trim_end_matches('\0').chars().filter(|c| !c.is_control()).collect();
        (!plain.is_empty()).then_some(plain)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A reply with these options and whatever else a server would put into it.
    pub(crate) fn reply(transaction: u32, yours: &str, mac: Mac, options: &[u8]) -> Vec<u8> {
        let mut bytes = vec![REPLY, ETHERNET, 6, 0];
        bytes.extend(transaction.to_be_bytes());
        bytes.extend([0; 8]);
        bytes.extend(yours.parse::<Ipv4Addr>().unwrap().octets());
        bytes.extend([0; 8]);
        bytes.extend(mac.0);
        bytes.extend([0; 202]);
        bytes.extend(COOKIE);
        bytes.extend(options);
        bytes
    }

    fn with(options: &[u8]) -> Vec<u8> {
        reply(7, "192.0.2.57", Mac([2; 6]), options)
    }

    #[test]
    fn a_captured_answer_is_read() {
        let reply = Reply::parse(&crate::vectors::bytes(include_str!("../../vectors/dhcp4_ack_dnsmasq.hex"))).unwrap();
        assert_eq!((reply.transaction, reply.kind), (0x178c_d415, Kind::Ack));
        assert_eq!(reply.kind.to_string(), "DHCPACK");
        assert_eq!((reply.yours.to_string(), reply.mac.to_string()), ("192.0.2.57".into(), "52:54:00:12:34:56".into()));
        assert_eq!(reply.options.one(code::SERVER), Ok(Some([192, 0, 2, 1])));
        assert_eq!(reply.options.text(code::DOMAIN).as_deref(), Some("lan.example"));
    }

    #[test]
    fn options_overflow_into_two_fields() {
        let mut bytes = with(&[53, 1, 5, 52, 1, 3, 15, 2, b'a', b'b', 255]);
        bytes[108..114].copy_from_slice(&[0, 15, 2, b'c', b'd', 255]);
        bytes[44..49].copy_from_slice(&[15, 2, b'e', b'f', 255]);
        assert_eq!(Reply::parse(&bytes).unwrap().options.text(code::DOMAIN).as_deref(), Some("abcdef"));
        // What the file itself says of the other field means nothing.
        let mut bytes = with(&[53, 1, 5, 52, 1, 1, 255]);
        bytes[108..112].copy_from_slice(&[52, 1, 3, 255]);
        bytes[44..49].copy_from_slice(&[15, 2, b'e', b'f', 255]);
        assert_eq!(Reply::parse(&bytes).unwrap().options.text(code::DOMAIN), None);
    }

    #[test]
    fn what_is_no_answer() {
        let refused = |bytes: &[u8]| Reply::parse(bytes).unwrap_err();
        let good = with(&[53, 1, 2, 255]);
        assert!(Reply::parse(&good).is_ok());
        for at in [0, 1, 2] {
            let mut bytes = good.clone();
            bytes[at] = 9;
            assert_eq!(refused(&bytes), Malformed::NotReply);
        }
        let mut bytes = good.clone();
        bytes[236] = 0;
        assert_eq!(refused(&bytes), Malformed::Cookie);
        assert_eq!(refused(&with(&[255])), Malformed::Missing { option: 53 });
        assert_eq!(refused(&with(&[53, 2, 1, 1])), Malformed::Option { option: 53 });
        assert_eq!(refused(&with(&[53, 1, 1])), Malformed::NotReply);
        assert_eq!(refused(&with(&[53, 1, 2, 15, 9, b'a'])), Malformed::Short(Short { field: "options" }));
        for length in 0..good.len() - 1 {
            assert!(Reply::parse(&good[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn text_is_fit_for_a_console() {
        let reply = Reply::parse(&with(&[53, 1, 6, 56, 6, b'n', 0x1b, b'o', 0xff, 0, 0, 255])).unwrap();
        assert_eq!(reply.options.text(code::MESSAGE).as_deref(), Some("no\u{fffd}"));
    }
}
