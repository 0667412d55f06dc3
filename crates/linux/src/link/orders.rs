//! What is changed of interfaces, one order each.

use super::interface::{ADDRESS, AF_INET, AF_INET6, LINK, MAIN_TABLE, ROUTE, UNICAST};
use super::message::{Message, flag, kind, nested};
use super::netlink::Netlink;
use earlynet::{BondMode, LinkName, Mac, Route, Subnet};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

const IFF_UP: u32 = 1;
/// `RTPROT_BOOT`, `RT_SCOPE_LINK`.
const BY_HAND: u8 = 3;
const ON_LINK: u8 = 253;
/// `IFA_F_OPTIMISTIC`: an IPv6 address is used while others are still asked whether they have it (RFC 4429).
const OPTIMISTIC: u32 = 4;
/// 802.1Q, as it stands in a frame.
const TAGGED: [u8; 2] = [0x81, 0];

/// An address to be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NewAddress {
    pub(crate) subnet: Subnet,
    /// The other end of a line.
    pub(crate) peer: Option<Subnet>,
    /// For how long it is valid, and good for new connections; `None` is for ever.
    pub(crate) valid: Option<Duration>,
    pub(crate) preferred: Option<Duration>,
}

impl From<Subnet> for NewAddress {
    fn from(subnet: Subnet) -> NewAddress {
        NewAddress { subnet, peer: None, valid: None, preferred: None }
    }
}

impl Netlink {
    /// Switches an interface on or off.
    pub(super) fn set_up(&mut self, index: u32, up: bool) -> io::Result<()> {
        self.order(&Message::new(kind::NEW_LINK, 0, &link(index, if up { IFF_UP } else { 0 }, IFF_UP)))
    }

    /// The interface has to be off.
    pub(super) fn rename(&mut self, index: u32, name: &LinkName) -> io::Result<()> {
        self.order(&Message::new(kind::NEW_LINK, 0, &link(index, 0, 0)).with(3, &ended(name)))
    }

    /// The interface has to be off.
    pub(super) fn set_mac(&mut self, index: u32, mac: Mac) -> io::Result<()> {
        self.order(&Message::new(kind::NEW_LINK, 0, &link(index, 0, 0)).with(1, &mac.0))
    }

    pub(super) fn set_mtu(&mut self, index: u32, mtu: u32) -> io::Result<()> {
        self.order(&Message::new(kind::NEW_LINK, 0, &link(index, 0, 0)).with(4, &mtu.to_ne_bytes()))
    }

    /// Makes `index` a member of a bond, or of nothing (0). It has to be off.
    pub(super) fn set_master(&mut self, index: u32, master: u32) -> io::Result<()> {
        self.order(&Message::new(kind::NEW_LINK, 0, &link(index, 0, 0)).with(10, &master.to_ne_bytes()))
    }

    /// Makes the interface of a VLAN on `on`. The kernel loads what it needs.
    pub(super) fn make_vlan(&mut self, name: &LinkName, id: u16, on: u32) -> io::Result<()> {
        let data = nested(&[(1, &id.to_ne_bytes()), (5, &TAGGED)]);
        let info = nested(&[(1, b"vlan\0"), (2, &data)]);
        let message = new_link().with(3, &ended(name)).with(5, &on.to_ne_bytes());
        self.order(&message.with(18, &info))
    }

    /// Makes a bond without members.
    pub(super) fn make_bond(&mut self, name: &LinkName, mode: BondMode) -> io::Result<()> {
        let info = nested(&[(1, b"bond\0"), (2, &nested(&[(1, &[mode as u8])]))]);
        self.order(&new_link().with(3, &ended(name)).with(18, &info))
    }

    /// Takes a VLAN or a bond away.
    pub(super) fn remove_link(&mut self, index: u32) -> io::Result<()> {
        self.order(&Message::new(kind::DEL_LINK, 0, &link(index, 0, 0)))
    }

    /// Adds an address. Whether another machine has it is only asked for IPv6, and not waited for.
    pub(super) fn add_address(&mut self, index: u32, new: &NewAddress) -> io::Result<()> {
        self.set_address(flag::CREATE | flag::EXCLUSIVE, index, new)
    }

    /// Gives an address that is there other times.
    pub(super) fn renew_address(&mut self, index: u32, new: &NewAddress) -> io::Result<()> {
        self.set_address(flag::CREATE | flag::REPLACE, index, new)
    }

    fn set_address(&mut self, flags: u16, index: u32, new: &NewAddress) -> io::Result<()> {
        let seconds = |time: Option<Duration>| {
            time.map_or(u32::MAX, |time| u32::try_from(time.as_secs()).unwrap_or(u32::MAX)).to_ne_bytes()
        };
        let times = [seconds(new.preferred), seconds(new.valid), [0; 4], [0; 4]].concat();
        let mut message = address(kind::NEW_ADDRESS, flags, index, new).with(6, &times);
        match broadcast(new.subnet) {
            Some(broadcast) if new.peer.is_none() => message = message.with(4, &broadcast.octets()),
            _ => {}
        }
        if new.subnet.address().is_ipv6() {
            message = message.with(8, &OPTIMISTIC.to_ne_bytes());
        }
        self.order(&message)
    }

    pub(super) fn remove_address(&mut self, index: u32, address_to_go: &NewAddress) -> io::Result<()> {
        self.order(&address(kind::DEL_ADDRESS, 0, index, address_to_go))
    }

    pub(super) fn add_route(&mut self, index: u32, to_add: &Route) -> io::Result<()> {
        self.order(&route(kind::NEW_ROUTE, flag::CREATE | flag::EXCLUSIVE, index, to_add))
    }

    pub(super) fn remove_route(&mut self, index: u32, to_go: &Route) -> io::Result<()> {
        self.order(&route(kind::DEL_ROUTE, 0, index, to_go))
    }
}

/// `ifinfomsg`: family, type, number, flags and which of them count.
fn link(index: u32, flags: u32, mask: u32) -> [u8; LINK] {
    let mut fixed = [0; LINK];
    let numbers = [index, flags, mask].map(u32::to_ne_bytes).concat();
    fixed[4..].copy_from_slice(&numbers);
    fixed
}

fn new_link() -> Message {
    Message::new(kind::NEW_LINK, flag::CREATE | flag::EXCLUSIVE, &link(0, 0, 0))
}

fn ended(name: &LinkName) -> Vec<u8> {
    [name.as_str().as_bytes(), &[0]].concat()
}

/// `ifaddrmsg`: family, length, flags, scope, interface.
fn address(kind: u16, flags: u16, index: u32, of: &NewAddress) -> Message {
    let (own, other) = (of.subnet, of.peer.unwrap_or(of.subnet));
    let [a, b, c, d] = index.to_ne_bytes();
    // The network on the link is that of the other end.
    let fixed: [u8; ADDRESS] = [family(own.address()), other.length(), 0, scope(own.address()), a, b, c, d];
    Message::new(kind, flags, &fixed).with(2, &octets(own.address())).with(1, &octets(other.address()))
}

/// An address that starts with 169.254 or fe80: means something on its link alone.
fn scope(address: IpAddr) -> u8 {
    let is_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    if is_local { ON_LINK } else { 0 }
}

fn broadcast(subnet: Subnet) -> Option<Ipv4Addr> {
    match subnet.address() {
        IpAddr::V4(address) if subnet.length() < 31 => {
            Some(address | Ipv4Addr::from(u32::MAX.checked_shr(subnet.length().into()).unwrap_or(0)))
        }
        _ => None,
    }
}

/// `rtmsg`: family, lengths of destination and source, tos, table, protocol, scope, kind, flags.
fn route(kind: u16, flags: u16, index: u32, of: &Route) -> Message {
    let scope = if of.gateway.is_none() && of.to.address().is_ipv4() { ON_LINK } else { 0 };
    let mut fixed = [0; ROUTE];
    fixed[..8].copy_from_slice(&[family(of.to.address()), of.to.length(), 0, 0, MAIN_TABLE, BY_HAND, scope, UNICAST]);
    let mut message = Message::new(kind, flags, &fixed).with(4, &index.to_ne_bytes());
    if of.to.length() > 0 {
        message = message.with(1, &octets(of.to.address()));
    }
    of.gateway.map(octets).map_or(message.clone(), |gateway| message.with(5, &gateway))
}

fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { AF_INET } else { AF_INET6 }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn all_of_a_network() {
        let all = |text| broadcast(Subnet::parse(text).unwrap()).map(|address| address.to_string()).unwrap_or_default();
        assert_eq!(all("192.0.2.7/24"), "192.0.2.255");
        assert_eq!(all("10.1.2.3/8"), "10.255.255.255");
        assert_eq!((all("192.0.2.7/31"), all("192.0.2.7/32"), all("2001:db8::1/64")), Default::default());
    }
}
