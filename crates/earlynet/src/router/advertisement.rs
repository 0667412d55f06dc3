//! Router advertisements (RFC 4861, section 4.2) with the options of RFC 4191 and RFC 8106.

use crate::bytes::{Reader, Short};
use crate::mac::Mac;
use crate::name::{Compression, Name};
use crate::route::Route;
use crate::subnet::Subnet;
use std::error::Error;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

const KIND: u8 = 134;
const SOURCE: u8 = 1;
const PREFIX: u8 = 3;
const MTU: u8 = 5;
const ROUTE: u8 = 24;
const NAME_SERVERS: u8 = 25;
const SEARCH: u8 = 31;
/// What IPv6 carries everywhere (RFC 8200, section 5); less is no size for a link.
const SMALLEST_MTU: u32 = 1280;

/// What a router says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertisement {
    /// The router's link-local address.
    pub router: Ipv6Addr,
    /// Addresses come by DHCPv6 (the flag M).
    pub managed: bool,
    /// Everything else comes by DHCPv6 (the flag O).
    pub other: bool,
    /// How good a default router it is.
    pub preference: Preference,
    /// For how long it is a default router; zero says that it is none.
    pub lifetime: Duration,
    /// The hop limit for packets, if the router says one.
    pub hop_limit: Option<u8>,
    /// The largest packet, 1280 bytes at least.
    pub mtu: Option<u32>,
    /// The router's hardware address.
    pub hardware: Option<Mac>,
    /// The prefixes of the link.
    pub prefixes: Vec<Prefix>,
    /// Other networks that this router leads to.
    pub routes: Vec<RouteInformation>,
    /// Servers of names that are valid; link-local ones are behind the same link.
    pub name_servers: Vec<IpAddr>,
    /// Domains to search that are valid.
    pub search: Vec<Name>,
}

/// One prefix (RFC 4861, section 4.6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// The prefix.
    pub subnet: Subnet,
    /// Its machines are on the link (the flag L).
    pub on_link: bool,
    /// Machines may make themselves addresses of it (the flag A).
    pub autonomous: bool,
    /// For how long; `None` is for ever.
    pub valid: Option<Duration>,
    /// For how long it is good for new connections; `None` is for ever.
    pub preferred: Option<Duration>,
}

/// A network behind a router (RFC 4191, section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteInformation {
    /// The network.
    pub to: Subnet,
    /// How good the way is.
    pub preference: Preference,
    /// For how long; `None` is for ever.
    pub lifetime: Option<Duration>,
}

/// How good a router is beside others (RFC 4191, section 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Preference {
    /// A last resort.
    Low,
    /// As good as any.
    Medium,
    /// To be taken first.
    High,
}

/// Why an advertisement is not obeyed (RFC 4861, section 6.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// It ends within a field.
    Short(Short),
    /// It is another message.
    NotAdvertisement,
    /// It has passed a router, so it comes from elsewhere.
    HopLimit {
        /// The hop limit it arrived with, which has to be 255.
        found: u8,
    },
    /// It does not come from a link-local address.
    Source {
        /// From where.
        found: Ipv6Addr,
    },
    /// An option of no length.
    EmptyOption,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unusable::Short(short) => short.fmt(f),
            Unusable::NotAdvertisement => f.write_str("the message is no router advertisement"),
            Unusable::HopLimit { found } => {
                write!(f, "the advertisement has a hop limit of {found}, not 255: it comes from elsewhere")
            }
            Unusable::Source { found } => {
                write!(f, "the advertisement comes from {found}, which is no router on this link")
            }
            Unusable::EmptyOption => f.write_str("the advertisement has an option without a length"),
        }
    }
}

impl Error for Unusable {}

impl From<Short> for Unusable {
    fn from(short: Short) -> Unusable {
        Unusable::Short(short)
    }
}

impl Advertisement {
    /// Reads an ICMPv6 message from its type on, whose sum was found right. An option that makes no sense is passed over, as one that is
    /// not known; `hop_limit` is that of the packet.
    pub fn parse(message: &[u8], router: Ipv6Addr, hop_limit: u8) -> Result<Advertisement, Unusable> {
        let mut reader = Reader::new(message);
        let [kind, code, _, _] = reader.array("the header")?;
        if kind != KIND || code != 0 {
            return Err(Unusable::NotAdvertisement);
        }
        if hop_limit != 255 {
            return Err(Unusable::HopLimit { found: hop_limit });
        }
        if !router.is_unicast_link_local() {
            return Err(Unusable::Source { found: router });
        }
        let [hops, flags] = reader.array("the flags")?;
        let lifetime = Duration::from_secs(reader.u16("the lifetime")?.into());
        reader.take(8, "the timers")?;
        let mut advertisement = Advertisement {
            router,
            managed: flags & 0x80 != 0,
            other: flags & 0x40 != 0,
            preference: preference(flags).unwrap_or(Preference::Medium),
            lifetime,
            hop_limit: Some(hops).filter(|hops| *hops != 0),
            mtu: None,
            hardware: None,
            prefixes: Vec::new(),
            routes: Vec::new(),
            name_servers: Vec::new(),
            search: Vec::new(),
        };
        while !reader.is_empty() {
            let [kind, eights] = reader.array("an option")?;
            let length = (usize::from(eights) * 8).checked_sub(2).ok_or(Unusable::EmptyOption)?;
            let content = reader.take(length, "an option")?;
            // Passed over: all of it stays as it was.
            advertisement.add(kind, content).unwrap_or_default();
        }
        Ok(advertisement)
    }

    /// The way to everywhere, if this is a default router.
    pub fn default_route(&self) -> Option<Route> {
        (!self.lifetime.is_zero()).then(|| Route::default_by(self.router.into()))
    }

    /// `None` says that the option makes no sense.
    fn add(&mut self, kind: u8, content: &[u8]) -> Option<()> {
        let mut reader = Reader::new(content);
        match kind {
            SOURCE => self.hardware = Some(Mac(reader.array("address").ok().filter(|_| content.len() == 6)?)),
            PREFIX => self.prefixes.push(prefix(&mut reader)?),
            MTU => {
                reader.take(2, "reserved").ok()?;
                self.mtu = Some(reader.u32("mtu").ok().filter(|mtu| (SMALLEST_MTU..=65535).contains(mtu))?);
            }
            ROUTE => self.routes.push(route(&mut reader)?),
            NAME_SERVERS => {
                let valid = lifetime(&mut reader)?;
                let (addresses, rest) = reader.rest().as_chunks::<16>();
                let servers = addresses.iter().map(|address| Ipv6Addr::from(*address));
                let usable = servers
                    .filter(|address| !address.is_unspecified() && !address.is_multicast() && !address.is_loopback());
                if valid != Some(Duration::ZERO) && rest.is_empty() {
                    self.name_servers.extend(usable.map(IpAddr::from));
                }
            }
            SEARCH => {
                let valid = lifetime(&mut reader)?;
                let names = Name::read_all(reader.rest(), Compression::Refused, true).ok()?;
                if valid != Some(Duration::ZERO) {
                    self.search.extend(names);
                }
            }
            _ => {}
        }
        Some(())
    }
}

fn prefix(reader: &mut Reader<'_>) -> Option<Prefix> {
    let [length, flags] = reader.array("prefix length").ok()?;
    let valid = seconds(reader.u32("valid lifetime").ok()?);
    let preferred = seconds(reader.u32("preferred lifetime").ok()?);
    reader.take(4, "reserved").ok()?;
    let address = reader.v6("prefix").ok()?;
    let subnet = Subnet::new(address.into(), length)?.network();
    // RFC 4861, section 6.3.4, and RFC 4862, section 5.5.3.
    let makes_sense = !address.is_unicast_link_local() && !address.is_multicast() && !is_longer(preferred, valid);
    makes_sense.then_some(Prefix {
        subnet,
        on_link: flags & 0x80 != 0,
        autonomous: flags & 0x40 != 0,
        valid,
        preferred,
    })
}

fn route(reader: &mut Reader<'_>) -> Option<RouteInformation> {
    let [length, flags] = reader.array("prefix length").ok()?;
    // A preference that is reserved makes the option worthless (RFC 4191, section 2.3).
    let preference = preference(flags)?;
    let lifetime = seconds(reader.u32("route lifetime").ok()?);
    // As many bytes as the length needs, in steps of eight.
    let given = reader.rest();
    let mut network = [0; 16];
    network.get_mut(..given.len())?.copy_from_slice(given);
    let to =
        Subnet::new(Ipv6Addr::from(network).into(), length).filter(|_| given.len() * 8 >= length.into())?.network();
    Some(RouteInformation { to, preference, lifetime })
}

/// Of options 25 and 31: two reserved bytes and a time.
fn lifetime(reader: &mut Reader<'_>) -> Option<Option<Duration>> {
    reader.take(2, "reserved").ok()?;
    reader.u32("lifetime").ok().map(seconds)
}

fn preference(flags: u8) -> Option<Preference> {
    match flags >> 3 & 3 {
        0 => Some(Preference::Medium),
        1 => Some(Preference::High),
        3 => Some(Preference::Low),
        _ => None,
    }
}

fn seconds(seconds: u32) -> Option<Duration> {
    (seconds != u32::MAX).then(|| Duration::from_secs(seconds.into()))
}

fn is_longer(one: Option<Duration>, other: Option<Duration>) -> bool {
    one.unwrap_or(Duration::MAX) > other.unwrap_or(Duration::MAX)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0x5424, 0xff, 0xfeea, 0x2ae2);

    pub(crate) fn captured() -> Vec<u8> {
        crate::vectors::bytes(include_str!("../../vectors/router_advertisement_dnsmasq.hex"))
    }

    fn parse(message: &[u8]) -> Result<Advertisement, Unusable> {
        Advertisement::parse(message, ROUTER, 255)
    }

    fn with(options: &[&[u8]]) -> Advertisement {
        parse(&[&[134, 0, 0, 0, 64, 0, 0, 180, 0, 0, 0, 0, 0, 0, 0, 0][..], &options.concat()].concat()).unwrap()
    }

    fn texts<T: ToString>(values: &[T]) -> Vec<String> {
        values.iter().map(T::to_string).collect()
    }

    #[test]
    fn a_captured_advertisement() {
        let message = captured();
        assert!(crate::icmp6::is_right(&message, ROUTER, "ff02::1".parse().unwrap()));
        let read = parse(&message).unwrap();
        assert_eq!((read.managed, read.other, read.preference), (false, true, Preference::High));
        assert_eq!((read.lifetime, read.mtu, read.hop_limit), (Duration::from_secs(180), Some(1400), Some(64)));
        let prefix = read.prefixes[0];
        assert_eq!((prefix.subnet.to_string().as_str(), read.prefixes.len()), ("2001:db8:1::/64", 1));
        assert_eq!((prefix.on_link, prefix.autonomous, prefix.valid, prefix.preferred), (true, true, None, None));
        assert_eq!(texts(&read.name_servers), ["2001:db8:1::53", "2001:db8:1::54"]);
        assert_eq!(texts(&read.search), ["a.example", "b.example"]);
        assert_eq!(read.hardware.unwrap().to_string(), "56:24:00:ea:2a:e2");
        assert_eq!(read.default_route().unwrap().to_string(), "::/0 by fe80::5424:ff:feea:2ae2");
    }

    #[test]
    fn what_comes_from_elsewhere_is_not_obeyed() {
        let message = captured();
        let read = |from: &str, hops| Advertisement::parse(&message, from.parse().unwrap(), hops).unwrap_err();
        assert_eq!(read("fe80::1", 254), Unusable::HopLimit { found: 254 });
        assert!(matches!(read("2001:db8::1", 255), Unusable::Source { .. }));
        for at in [0, 1] {
            let mut bytes = message.clone();
            bytes[at] ^= 1;
            assert_eq!(parse(&bytes), Err(Unusable::NotAdvertisement));
        }
        assert_eq!(parse(&message[..15]), Err(Unusable::Short(Short { field: "the timers" })));
        assert_eq!(parse(&[&message[..16], &[5, 0]].concat()), Err(Unusable::EmptyOption));
        assert_eq!(
            parse(&[&message[..16], &[5, 2, 0, 0, 0, 0, 5, 0]].concat()),
            Err(Unusable::Short(Short { field: "an option" }))
        );
    }

    #[test]
    fn flags() {
        let flags = |flags: u8| parse(&[134, 0, 0, 0, 0, flags, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
        assert!(flags(0x80).managed && !flags(0x80).other && flags(0x40).other && !flags(0x40).managed);
        assert_eq!(
            [0, 0x08, 0x18, 0x10].map(|f| flags(f).preference),
            [Preference::Medium, Preference::High, Preference::Low, Preference::Medium]
        );
        assert_eq!((flags(0).default_route(), flags(0).hop_limit), (None, None));
    }

    #[test]
    fn options_that_make_no_sense_are_passed_over() {
        let prefix = |length: u8, valid: u8, preferred: u8, first: u8| {
            let mut option = vec![3, 4, length, 0xc0, 0, 0, 0, valid, 0, 0, 0, preferred, 0, 0, 0, 0, first, 0x80];
            option.resize(32, 0);
            with(&[&option]).prefixes.len()
        };
        assert_eq!(prefix(64, 9, 9, 0x20), 1);
        assert_eq!(
            (prefix(129, 9, 9, 0x20), prefix(64, 8, 9, 0x20), prefix(64, 9, 9, 0xfe), prefix(64, 9, 9, 0xff)),
            (0, 0, 0, 0)
        );
        let mtu = |mtu: u32| with(&[&[5, 1, 0, 0], &mtu.to_be_bytes()]).mtu;
        assert_eq!([mtu(1279), mtu(1280), mtu(65535), mtu(65536)], [None, Some(1280), Some(65535), None]);
        let server = |lifetime: u8, address: &str| {
            let address = address.parse::<Ipv6Addr>().unwrap().octets();
            with(&[&[25, 3, 0, 0, 0, 0, 0, lifetime], &address]).name_servers.len()
        };
        assert_eq!(
            [server(1, "fe80::53"), server(0, "2001:db8::53"), server(1, "ff02::1"), server(1, "::")],
            [1, 0, 0, 0]
        );
        let search = |lifetime: u8, names: &[u8; 8]| with(&[&[31, 2, 0, 0, 0, 0, 0, lifetime], names]).search.len();
        assert_eq!(
            [search(1, b"\x01a\0\x01b\0\0\0"), search(0, b"\x01a\0\x01b\0\0\0"), search(1, b"\x01a\0\xc0\0\0\0\0")],
            [2, 0, 0]
        );
    }

    #[test]
    fn networks_behind_a_router() {
        let route = |option: &[u8]| {
            with(&[option]).routes.first().map(|route| (route.to.to_string(), route.preference, route.lifetime))
        };
        let hour = Some(Duration::from_secs(3600));
        let option = [24, 2, 48, 0x08, 0, 0, 0x0e, 0x10, 0x20, 1, 0x0d, 0xb8, 0, 9, 0, 0];
        assert_eq!(route(&option), Some(("2001:db8:9::/48".into(), Preference::High, hour)));
        assert_eq!(route(&[24, 1, 0, 0, 0xff, 0xff, 0xff, 0xff]), Some(("::/0".into(), Preference::Medium, None)));
        assert_eq!(route(&[24, 1, 48, 0, 0, 0, 0, 9]), None, "fewer bytes than its length needs");
        assert_eq!(route(&[24, 1, 0, 0x10, 0, 0, 0, 9]), None, "a reserved preference");
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let message = [&[134, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &bytes].concat();
            if let Ok(read) = parse(&message) {
                prop_assert!(read.name_servers.len() * 16 <= bytes.len() && read.prefixes.len() * 32 <= bytes.len());
            }
        }

        #[test]
        fn a_flipped_byte_is_noticed(at in 0_usize..136, flip in 1_u8..=255) {
            let mut message = captured();
            message[at] ^= flip;
            prop_assert!(!crate::icmp6::is_right(&message, ROUTER, "ff02::1".parse().unwrap()));
            let _ = parse(&message);
        }
    }
}
