//! What was changed of the machine's network, as a value that one stage of a start can hand to the next.
//!
//! One line each, `NUMBER NAME WHAT [VALUE]`: `2 eth0 up`, `2 eth0 address 192.0.2.7/24`. There is no secret in it.

use super::orders::NewAddress;
use earlynet::{LinkName, Mac, Route, Subnet};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

/// One change, of one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// The number of the interface, which stays when its name changes.
    pub(crate) index: u32,
    /// Its name when it was changed.
    pub(crate) name: LinkName,
    pub(crate) what: What,
}

/// What was done, with what is needed to take it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// It was switched on.
    Up,
    /// It was switched off.
    Down,
    /// It was made: a VLAN or a bond.
    Made,
    /// It was made a member of another.
    Joined,
    /// It had this name.
    Renamed(LinkName),
    /// It had this hardware address.
    Mac(Mac),
    /// It had this size of packets.
    Mtu(u32),
    Address(Subnet, Option<Subnet>),
    Route(Route),
    /// One of its settings for IPv6 had this value.
    Setting(&'static str, u32),
    /// A file was written that says how it is configured.
    File(PathBuf),
}

/// Settings that are changed: files below `/proc/sys/net/ipv6/conf/NAME`.
pub(super) const SETTINGS: [&str; 3] = ["accept_ra", "optimistic_dad", "use_optimistic"];

impl Change {
    /// Reads one line. `None` if it is none of ours.
    pub(crate) fn parse(line: &str) -> Option<Change> {
        let mut words = line.splitn(4, ' ');
        let index = words.next().and_then(number)?;
        let name = LinkName::new(words.next()?)?;
        let (what, value) = (words.next()?, words.next());
        let what = match (what, value) {
            ("up", None) => What::Up,
            ("down", None) => What::Down,
            ("made", None) => What::Made,
            ("joined", None) => What::Joined,
            ("name", Some(value)) => What::Renamed(LinkName::new(value)?),
            ("mac", Some(value)) => What::Mac(value.parse().ok()?),
            ("mtu", Some(value)) => What::Mtu(number(value)?),
            ("address", Some(value)) => match value.split_once(" peer ") {
                Some((own, peer)) => What::Address(Subnet::parse(own)?, Some(Subnet::parse(peer)?)),
                None => What::Address(Subnet::parse(value)?, None),
            },
            ("route", Some(value)) => What::Route(route(value)?),
            ("file", Some(value)) => What::File(file(value)?),
            (setting, Some(value)) => What::Setting(SETTINGS.iter().find(|known| **known == setting)?, number(value)?),
            _ => return None,
        };
        Some(Change { index, name, what })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.index, self.name)?;
        match &self.what {
            What::Up => f.write_str("up"),
            What::Down => f.write_str("down"),
            What::Made => f.write_str("made"),
            What::Joined => f.write_str("joined"),
            What::Renamed(from) => write!(f, "name {from}"),
            What::Mac(from) => write!(f, "mac {from}"),
            What::Mtu(from) => write!(f, "mtu {from}"),
            What::Address(own, None) => write!(f, "address {own}"),
            What::Address(own, Some(peer)) => write!(f, "address {own} peer {peer}"),
            What::Route(Route { to, gateway: None, .. }) => write!(f, "route {to}"),
            What::Route(Route { to, gateway: Some(gateway), .. }) => write!(f, "route {to} by {gateway}"),
            What::Setting(name, from) => write!(f, "{name} {from}"),
            What::File(path) => write!(f, "file {}", path.display()),
        }
    }
}

impl What {
    /// The address as an order has it.
    pub(super) fn address(own: Subnet, peer: Option<Subnet>) -> NewAddress {
        NewAddress { peer, ..NewAddress::from(own) }
    }
}

fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

fn route(text: &str) -> Option<Route> {
    let (to, gateway) = match text.split_once(" by ") {
        Some((to, gateway)) => (to, Some(gateway.parse::<IpAddr>().ok()?)),
        None => (text, None),
    };
    Some(Route { to: Subnet::parse(to)?.network(), gateway, link: None })
}

/// No other file than those that are written is ever taken away, whatever a line says.
fn file(text: &str) -> Option<PathBuf> {
    let path = PathBuf::from(text);
    let name = path.file_name()?.to_str()?;
    let link = name.strip_prefix("net-")?.strip_suffix(".conf")?;
    (path.is_absolute() && LinkName::new(link).is_some()).then_some(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lines_read_back() {
        for line in [
            "2 eth0 up",
            "2 eth0 down",
            "3 eth0.5 made",
            "2 eth0 joined",
            "2 bootnet name eth0",
            "2 eth0 mac 52:54:00:12:34:56",
            "2 eth0 mtu 1500",
            "2 eth0 address 192.0.2.7/24",
            "2 eth0 address 192.0.2.7/32 peer 192.0.2.1/32",
            "2 eth0 address 2001:db8::7/128",
            "2 eth0 route 0.0.0.0/0 by 192.0.2.1",
            "2 eth0 route 192.0.2.1/32",
            "2 eth0 accept_ra 0",
            "2 eth0 file /run/net-eth0.conf",
        ] {
            assert_eq!(Change::parse(line).unwrap().to_string(), line);
        }
    }

    #[test]
    fn what_is_none_of_ours() {
        for line in [
            "",
            "eth0 up",
            "+2 eth0 up",
            "2 eth0",
            "2 a/b up",
            "2 eth0 up now",
            "2 eth0 mtu",
            "2 eth0 mtu x",
            "2 eth0 address 192.0.2.7/33",
            "2 eth0 route 0.0.0.0/0 by x",
            "2 eth0 forwarding 1",
            "2 eth0 file /etc/passwd",
            "2 eth0 file net-eth0.conf",
            "2 eth0 file /run/net-../../etc/x.conf",
        ] {
            assert_eq!(Change::parse(line), None, "{line}");
        }
    }
}
