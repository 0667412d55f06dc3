//! What happens while the network comes up, one line each.

use crate::link::LinkKind;
use earlynet::configured::NameServer;
use earlynet::{Fault, LinkName, Mac, Route, Subnet, dhcp4};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// Something that has happened. `Display` is one line without a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkEvent {
    /// A word of the command line is not obeyed.
    Word(Fault),
    /// Somebody else is at work on the network.
    Others {
        /// Who.
        who: String,
        /// How long he is waited for.
        at_most: Duration,
    },
    /// He has not done it in time.
    OthersTookTooLong {
        /// Who.
        who: String,
    },
    /// The network is there already, and is left as it is.
    Reused {
        /// The interface.
        link: LinkName,
        /// Its addresses.
        addresses: Vec<Subnet>,
    },
    /// Of one interface.
    Link(LinkName, Milestone),
    /// The network is there.
    Up {
        /// Since the beginning.
        after: Duration,
        /// The interface that counts.
        link: LinkName,
    },
    /// These servers of names are asked from now on.
    NameServers(Vec<NameServer>),
    /// A name has addresses.
    Resolved {
        /// The name.
        name: String,
        /// Its addresses.
        addresses: Vec<IpAddr>,
        /// How long it took.
        after: Duration,
    },
    /// A file that is left for others could not be written, or something could not be taken back.
    Trouble(String),
}

/// What has happened to an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Milestone {
    /// It was made.
    Made(LinkKind),
    /// It had this name.
    Renamed(LinkName),
    /// It has another hardware address.
    Mac(Mac),
    /// It was switched on.
    BroughtUp,
    /// There is somebody at the other end.
    Carrier {
        /// Since it was switched on.
        after: Duration,
    },
    /// A message of DHCPv4 was sent.
    Asked {
        /// Which.
        kind: dhcp4::Kind,
        /// How often of late; 1 is the first.
        time: u32,
    },
    /// A server of DHCPv4 offers an address.
    Offered(dhcp4::Lease),
    /// A server of DHCPv4 has given one.
    Leased(dhcp4::Lease),
    /// A server of DHCPv4 takes an address back.
    Refused {
        /// Which server.
        server: Option<Ipv4Addr>,
        /// What it says.
        message: Option<String>,
    },
    /// Routers are asked.
    Solicited,
    /// A router has answered.
    Advertised {
        /// Whether it is a way to everywhere.
        is_default: bool,
        /// Addresses come by DHCPv6.
        managed: bool,
        /// How many servers of names it tells.
        name_servers: usize,
    },
    /// A server of DHCPv6 is asked.
    Asked6,
    /// A server of DHCPv6 has answered.
    Leased6(String),
    /// A server of DHCPv6 has nothing.
    Refused6 {
        /// Its status (RFC 8415, section 21.13).
        status: u16,
        /// What it says.
        message: Option<String>,
    },
    /// It has an address.
    Address(Subnet),
    /// A route was set.
    Route(Route),
    /// It is given up; why.
    GivenUp(String),
    /// All that was done to it was taken back, because another one is used.
    TakenBack,
}

impl fmt::Display for NetworkEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NetworkEvent::Word(fault) => fault.fmt(f),
            NetworkEvent::Others { who, at_most } => {
                write!(f, "{who} is at work on the network, and is waited for up to {} s", at_most.as_secs())
            }
            NetworkEvent::OthersTookTooLong { who } => write!(f, "{who} has not brought the network up in time"),
            NetworkEvent::Reused { link, addresses } => {
                write!(f, "{link} is configured already and left as it is: {}", list(addresses))
            }
            NetworkEvent::Link(link, milestone) => write!(f, "{link}: {milestone}"),
            NetworkEvent::Up { after, link } => {
                write!(f, "the network is there after {} ms, by {link}", after.as_millis())
            }
            NetworkEvent::NameServers(servers) => write!(f, "servers of names: {}", list(servers)),
            NetworkEvent::Resolved { name, addresses, after } => {
                write!(f, "{name} is {}, found after {} ms", list(addresses), after.as_millis())
            }
            NetworkEvent::Trouble(what) => f.write_str(what),
        }
    }
}

impl fmt::Display for Milestone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Milestone::Made(LinkKind::Bond) => f.write_str("made, a bond"),
            Milestone::Made(_) => f.write_str("made, a VLAN"),
            Milestone::Renamed(from) => write!(f, "named so, it was {from}"),
            Milestone::Mac(mac) => write!(f, "has the hardware address {mac}"),
            Milestone::BroughtUp => f.write_str("switched on"),
            Milestone::Carrier { after } => write!(f, "has a carrier after {} ms", after.as_millis()),
            Milestone::Asked { kind, time: 1 } => write!(f, "DHCP {}", name(*kind)),
            Milestone::Asked { kind, time } => write!(f, "DHCP {}, {time} times by now", name(*kind)),
            Milestone::Offered(lease) => write!(f, "DHCP OFFER {lease}"),
            Milestone::Leased(lease) => write!(f, "DHCP ACK {lease}"),
            Milestone::Refused { server, message } => {
                f.write_str("DHCP NAK")?;
                server.map_or(Ok(()), |server| write!(f, " from {server}"))?;
                message.as_ref().map_or(Ok(()), |message| write!(f, ": {message}"))
            }
            Milestone::Solicited => f.write_str("routers are asked"),
            Milestone::Advertised { is_default, managed, name_servers } => {
                f.write_str("a router answers")?;
                f.write_str(if *is_default { ", a way to everywhere" } else { "" })?;
                f.write_str(if *managed { ", addresses by DHCPv6" } else { "" })?;
                if *name_servers > 0 { write!(f, ", servers of names: {name_servers}") } else { Ok(()) }
            }
            Milestone::Asked6 => f.write_str("DHCPv6 is asked"),
            Milestone::Leased6(lease) => write!(f, "DHCPv6 gives {lease}"),
            Milestone::Refused6 { status, message } => {
                write!(f, "DHCPv6 gives nothing (status {status})")?;
                message.as_ref().map_or(Ok(()), |message| write!(f, ": {message}"))
            }
            Milestone::Address(subnet) => write!(f, "address {subnet}"),
            Milestone::Route(route) => write!(f, "route {route}"),
            Milestone::GivenUp(why) => write!(f, "given up: {why}"),
            Milestone::TakenBack => f.write_str("put back as it was"),
        }
    }
}

fn name(kind: dhcp4::Kind) -> &'static str {
    match kind {
        dhcp4::Kind::Discover => "DISCOVER",
        dhcp4::Kind::Request => "REQUEST",
        _ => "message",
    }
}

/// With commas between them.
pub(super) fn list<T: ToString>(values: &[T]) -> String {
    values.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}
