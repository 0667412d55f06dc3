//! The interfaces that there are, their addresses, and the ways out of this machine.

use super::message::{Message, attributes, flag, kind, text, u16_at, u32_at};
use super::netlink::Netlink;
use earlynet::{LinkName, Mac, Route, Subnet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `ARPHRD_ETHER` of `linux/if_arp.h`.
const ETHERNET: u16 = 1;
/// Bytes of `ifinfomsg`, `ifaddrmsg` and `rtmsg`.
pub(super) const LINK: usize = 16;
pub(super) const ADDRESS: usize = 8;
pub(super) const ROUTE: usize = 12;
const IFF_UP: u32 = 1;
const IFF_LOOPBACK: u32 = 8;
const IFF_LOWER_UP: u32 = 1 << 16;
const IFF_DORMANT: u32 = 1 << 17;
pub(super) const AF_INET: u8 = 2;
pub(super) const AF_INET6: u8 = 10;
/// `RT_TABLE_MAIN` and `RTN_UNICAST`.
pub(super) const MAIN_TABLE: u8 = 254;
pub(super) const UNICAST: u8 = 1;
const IFA_TENTATIVE: u32 = 0x40;
const IFA_OPTIMISTIC: u32 = 4;
const IFA_DUPLICATE: u32 = 8;
const IFA_DEPRECATED: u32 = 0x20;

/// An interface that frames of Ethernet go through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number, which stays when its name changes.
    pub index: u32,
    /// Its name.
    pub name: LinkName,
    /// Its hardware address.
    pub mac: Option<Mac>,
    /// What made it.
    pub kind: LinkKind,
    /// Whether it is switched on.
    pub is_up: bool,
    /// Whether there is somebody at the other end; never while it is switched off.
    pub has_carrier: bool,
    /// The largest packet.
    pub mtu: u32,
    /// The bond or bridge that it belongs to.
    pub master: Option<u32>,
}

/// What an interface is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// A card, or one end of a pair that is used as one (`veth`).
    Card,
    /// A VLAN on another.
    Vlan,
    /// Several cards.
    Bond,
    /// Anything else that is made by software: a bridge, a tunnel.
    Other(String),
}

/// An address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) index: u32,
    pub(crate) subnet: Subnet,
    /// It can be used: nobody else was found to have it, and it is not running out.
    pub(crate) is_usable: bool,
    pub(crate) is_duplicate: bool,
    /// It means something beyond the link.
    pub(crate) is_global: bool,
}

/// A way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) index: u32,
    pub(crate) route: Route,
}

/// Everything at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) links: Vec<Link>,
    pub(crate) addresses: Vec<Address>,
    pub(crate) ways: Vec<Way>,
}

impl View {
    /// What the kernel says now.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn of(netlink: &mut Netlink) -> io::Result<View> {
        let mut list = |kind, fixed| netlink.ask(&Message::new(kind, flag::DUMP, &vec![0; fixed]));
        let links = list(kind::GET_LINK, LINK)?;
        let addresses = list(kind::GET_ADDRESS, ADDRESS)?;
        let ways = list(kind::GET_ROUTE, ROUTE)?;
        Ok(View {
            links: links.iter().filter_map(|(_, body)| link(body)).collect(),
            addresses: addresses.iter().filter_map(|(_, body)| address(body)).collect(),
            ways: ways.iter().filter_map(|(_, body)| way(body)).collect(),
        })
    }

    pub(crate) fn link(&self, index: u32) -> Option<&Link> {
        self.links.iter().find(|link| link.index == index)
    }

    pub(crate) fn named(&self, name: &LinkName) -> Option<&Link> {
        self.links.iter().find(|link| link.name == *name)
    }

    pub(crate) fn addresses_of(&self, index: u32) -> impl Iterator<Item = &Address> {
        self.addresses.iter().filter(move |address| address.index == index)
    }

    /// Whether there is a way to everywhere over this interface, in the family of `address`.
    pub(crate) fn has_default(&self, index: u32, address: IpAddr) -> bool {
        let everywhere = Subnet::all_of(address);
        self.ways.iter().any(|way| way.index == index && way.route.to == everywhere)
    }
}

/// `None` for loopback and what is not Ethernet.
fn link(body: &[u8]) -> Option<Link> {
    let flags = u32_at(body, 8)?;
    if u16_at(body, 2)? != ETHERNET || flags & IFF_LOOPBACK != 0 {
        return None;
    }
    let (mut name, mut mac, mut mtu, mut master, mut kind) = (None, None, 0, None, LinkKind::Card);
    for (which, value) in attributes(body, LINK) {
        match which {
            1 => mac = value.try_into().ok().map(Mac),
            3 => name = LinkName::new(&text(value)),
            4 => mtu = u32_at(value, 0)?,
            10 => master = u32_at(value, 0),
            18 => {
                kind = attributes(value, 0)
                    .find(|(which, _)| *which == 1)
                    .map_or(LinkKind::Card, |(_, kind)| kind_of(kind))
            }
            _ => {}
        }
    }
    Some(Link {
        index: u32_at(body, 4)?,
        name: name?,
        mac,
        kind,
        is_up: flags & IFF_UP != 0,
        has_carrier: flags & (IFF_UP | IFF_LOWER_UP | IFF_DORMANT) == IFF_UP | IFF_LOWER_UP,
        mtu,
        master,
    })
}

fn kind_of(kind: &[u8]) -> LinkKind {
    match text(kind).as_str() {
        // Of a virtual function and of Hyper-V the card itself is what is used.
        "" | "veth" | "netvsc" => LinkKind::Card,
        "vlan" => LinkKind::Vlan,
        "bond" => LinkKind::Bond,
        other => LinkKind::Other(other.to_owned()),
    }
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => bytes.first_chunk::<4>().map(|bytes| Ipv4Addr::from(*bytes).into()),
        16 => bytes.first_chunk::<16>().map(|bytes| Ipv6Addr::from(*bytes).into()),
        _ => None,
    }
}

fn address(body: &[u8]) -> Option<Address> {
    let [_, length, flags, scope, ..] = *body else { return None };
    let (mut own, mut other, mut flags) = (None, None, u32::from(flags));
    for (which, value) in attributes(body, ADDRESS) {
        match which {
            1 => other = ip(value),
            2 => own = ip(value),
            8 => flags = u32_at(value, 0)?,
            _ => {}
        }
    }
    let waits = flags & IFA_TENTATIVE != 0 && flags & IFA_OPTIMISTIC == 0;
    Some(Address {
        index: u32_at(body, 4)?,
        subnet: Subnet::new(own.or(other)?, length)?,
        is_usable: !waits && flags & (IFA_DUPLICATE | IFA_DEPRECATED) == 0,
        is_duplicate: flags & IFA_DUPLICATE != 0,
        is_global: scope == 0,
    })
}

/// `None` for those of other tables, and those that lead nowhere.
fn way(body: &[u8]) -> Option<Way> {
    let [family, length, _, _, table, _, _, kind, ..] = *body else { return None };
    let everywhere: IpAddr = match family {
        AF_INET => Ipv4Addr::UNSPECIFIED.into(),
        AF_INET6 => Ipv6Addr::UNSPECIFIED.into(),
        _ => return None,
    };
    let (mut to, mut gateway, mut index) = (everywhere, None, None);
    for (which, value) in attributes(body, ROUTE) {
        match which {
            1 => to = ip(value)?,
            4 => index = u32_at(value, 0),
            5 => gateway = ip(value),
            // Several ways at once: the first counts here.
            9 => {
                index = u32_at(value, 4);
                gateway = attributes(value, 8).find(|(which, _)| *which == 5).and_then(|(_, value)| ip(value));
            }
            _ => {}
        }
    }
    let is_plain = table == MAIN_TABLE && kind == UNICAST;
    let route = Route { to: Subnet::new(to, length)?.network(), gateway, link: None };
    Some(Way { index: index.filter(|_| is_plain)?, route })
}

/// Over which interface the kernel would send to `address`, if it knows a way.
pub(super) fn way_to(netlink: &mut Netlink, address: IpAddr) -> Option<u32> {
    let (family, length, bytes) = match address {
        IpAddr::V4(address) => (AF_INET, 32, address.octets().to_vec()),
        IpAddr::V6(address) => (AF_INET6, 128, address.octets().to_vec()),
    };
    let mut fixed = [0; ROUTE];
    fixed[..2].copy_from_slice(&[family, length]);
    let answers = netlink.ask(&Message::new(kind::GET_ROUTE, 0, &fixed).with(1, &bytes)).ok()?;
    let (_, body) = answers.first()?;
    let [_, _, _, _, _, _, _, kind, ..] = *body.as_slice() else { return None };
    // Local (2) is this machine itself.
    let leads = matches!(kind, UNICAST | 2);
    attributes(body, ROUTE).find(|(which, _)| *which == 4 && leads).and_then(|(_, value)| u32_at(value, 0))
}
