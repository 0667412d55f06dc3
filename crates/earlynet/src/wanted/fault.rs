//! Why a word says nothing.

use crate::command_line::shortened;
use std::error::Error;
use std::fmt;
use std::net::IpAddr;

/// A word of the command line that is not obeyed. It takes no other word with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The word as it stands there, without quotes.
    pub word: String,
    /// What is wrong with it.
    pub why: WordError,
}

/// Why a word is not obeyed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WordError {
    /// A part of it is not what belongs there.
    Part {
        /// What belongs there.
        part: Part,
        /// What stands there.
        found: String,
    },
    /// A part of it has to be there, and is not.
    Missing(Part),
    /// It has more parts than the form knows.
    TooManyParts {
        /// How many it knows.
        most: usize,
    },
    /// There are more words of its kind than anybody needs.
    TooMany {
        /// How many are kept.
        most: usize,
    },
    /// An address and its gateway or peer are not both IPv4 or both IPv6.
    Families {
        /// The address.
        address: IpAddr,
        /// The other one.
        other: IpAddr,
    },
    /// An earlier word has said the same of the same interface.
    Twice,
    /// Something stands on itself, over others or at once.
    Circle,
    /// It is understood, and there is no code for it.
    Unsupported {
        /// What is asked for.
        what: &'static str,
        /// What can stand there in its stead.
        instead: &'static str,
    },
}

/// What belongs into a place of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Alone behind `ip=`.
    MethodOrAddress,
    /// The machine's own address.
    Client,
    /// The other end of a line.
    Peer,
    /// The server of a network boot (the second field of the kernel's `ip=`).
    BootServer,
    /// A gateway.
    Gateway,
    /// The mask or the length of a prefix.
    Netmask,
    /// The machine's own name.
    HostName,
    /// An interface.
    Link,
    /// A way to get an address.
    Method,
    /// The largest packet.
    Mtu,
    /// A hardware address.
    Mac,
    /// A server of names.
    NameServer,
    /// A server of the time.
    TimeServer,
    /// The identifier behind `dhcp,`.
    ClientId,
    /// The name of a VLAN's interface, which says its number.
    VlanName,
    /// The mode of a bond.
    BondMode,
    /// An option of a bond.
    BondOption,
    /// The network that a route leads to.
    Network,
    /// A time.
    Seconds,
    /// A number of attempts.
    Attempts,
}

impl Part {
    /// What it is called, and what to write.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Part::MethodOrAddress => {
                ("method or address", "ip=dhcp, ip=INTERFACE:dhcp or ip=ADDRESS::GATEWAY:NETMASK::INTERFACE:none")
            }
            Part::Client => ("address", "192.0.2.7, or [2001:db8::7] in brackets"),
            Part::Peer => ("peer's address", "192.0.2.1, or nothing"),
            Part::BootServer => ("boot server's address", "192.0.2.1, or nothing"),
            Part::Gateway => ("gateway's address", "192.0.2.1, or [2001:db8::1] in brackets"),
            Part::Netmask => ("netmask", "255.255.255.0 or 24, and 64 or the like for IPv6"),
            Part::HostName => ("host name", "letters, digits, dashes and dots"),
            Part::Link => ("interface", "a name such as eth0, of 15 characters at most"),
            Part::Method => ("method", "dhcp, dhcp6, auto6, either6, link6, on, any, none or off"),
            Part::Mtu => ("largest packet size", "a number from 68 to 65535"),
            Part::Mac => ("hardware address", "52:54:00:12:34:56"),
            Part::NameServer => ("name server's address", "192.0.2.53, or [2001:db8::53] in brackets"),
            Part::TimeServer => ("time server's address", "192.0.2.123, or nothing"),
            Part::ClientId => ("DHCP client identifier", "dhcp,TYPE,TEXT with a number from 0 to 255 as the type"),
            Part::VlanName => ("name of a VLAN", "vlan5, vlan0005, eth0.5 or eth0.0005, with a number from 1 to 4094"),
            Part::BondMode => ("bond mode", "mode=active-backup, mode=802.3ad or another one of the kernel's"),
            Part::BondOption => ("bond option", "NAME=VALUE with a name that the kernel's bonding driver knows"),
            Part::Network => ("network", "192.0.2.0/24, or [2001:db8::/32] in brackets"),
            Part::Seconds => ("time", "a number of seconds up to 86400"),
            Part::Attempts => ("number of attempts", "a number from 1 to 1000000000"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} on the kernel command line is passed over: {}", shortened(&self.word), self.why)
    }
}

impl fmt::Display for WordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WordError::Part { part, found } => {
                let (name, write) = part.words();
                write!(f, "{:?} is no {name}; write {write}", shortened(found))
            }
            WordError::Missing(part) => {
                let (name, write) = part.words();
                write!(f, "the {name} is missing; write {write}")
            }
            WordError::TooManyParts { most } => {
                write!(f, "it has more than {most} parts; write an IPv6 address in brackets")
            }
            WordError::TooMany { most } => write!(f, "{most} words of its kind are kept; write fewer"),
            WordError::Families { address, other } => {
                write!(f, "{address} and {other} are of different families; write a word for each")
            }
            WordError::Twice => f.write_str("an earlier word has set the same up; write one of them"),
            WordError::Circle => f.write_str("the interface would stand on itself; name the card it stands on"),
            WordError::Unsupported { what, instead } => write!(f, "{what} is not supported; write {instead}"),
        }
    }
}

impl Error for WordError {}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.why)
    }
}
