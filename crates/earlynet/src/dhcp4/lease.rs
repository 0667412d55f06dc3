//! What a server gives.

use super::message::{Malformed, Options, Reply, code};
use crate::bytes::Reader;
use crate::name::{Compression, Name};
use crate::route::Route;
use crate::subnet::{Subnet, length_of_mask};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// An address for a time, and what the server says of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The address with its network.
    pub address: Subnet,
    /// Who gave it.
    pub server: Ipv4Addr,
    /// Ways to other networks: option 121, or if that is missing options 33 and 3 (RFC 3442).
    pub routes: Vec<Route>,
    /// Servers of names, the preferred first.
    pub name_servers: Vec<IpAddr>,
    /// The domains to search: option 119, or if that is missing the one of option 15.
    pub search: Vec<Name>,
    /// The machine's name.
    pub host_name: Option<String>,
    /// The largest packet, 68 bytes at least.
    pub mtu: Option<u32>,
    /// Servers of the time.
    pub time_servers: Vec<IpAddr>,
    /// How long it is valid; `None` is for ever.
    pub valid: Option<Duration>,
    /// When to ask this server to go on with it.
    pub renew_after: Option<Duration>,
    /// When to ask any server.
    pub rebind_after: Option<Duration>,
    /// Options that made no sense and were passed over; none of them is needed for an address.
    pub passed_over: Vec<u8>,
}

impl Lease {
    /// Reads an offer or an agreement.
    pub(super) fn read(reply: &Reply) -> Result<Lease, Malformed> {
        let options = &reply.options;
        let server = options.one::<4>(code::SERVER)?.ok_or(Malformed::Missing { option: code::SERVER })?;
        let mut passed_over = Vec::new();
        let (routes, search) = (routes(options, &mut passed_over), search(options, &mut passed_over));
        let mut addresses = |option| {
            let found = kept(options.several::<4>(option), &mut passed_over).unwrap_or_default();
            let found = found.into_iter().map(Ipv4Addr::from);
            found.filter(|server| is_of_machine(*server)).map(IpAddr::from).collect()
        };
        let (name_servers, time_servers) = (addresses(code::NAME_SERVERS), addresses(code::TIME_SERVERS));
        let mtu =
            kept(options.one(code::MTU), &mut passed_over).flatten().map(|mtu| u32::from(u16::from_be_bytes(mtu)));
        let times = Times::read(options)?;
        Ok(Lease {
            address: address(reply)?,
            server: server.into(),
            routes,
            name_servers,
            search,
            host_name: options.text(code::HOST_NAME).filter(|name| Name::parse(name).is_ok()),
            mtu: mtu.filter(|mtu| *mtu >= 68),
            time_servers,
            valid: times.valid,
            renew_after: times.renew_after,
            rebind_after: times.rebind_after,
            passed_over,
        })
    }

    /// The address alone.
    pub(super) fn own(&self) -> Ipv4Addr {
        match self.address.address() {
            IpAddr::V4(address) => address,
            IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
        }
    }
}

/// One line for the console.
impl fmt::Display for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {}", self.address, self.server)?;
        match self.valid {
            Some(valid) => write!(f, " for {} s", valid.as_secs())?,
            None => f.write_str(" for ever")?,
        }
        self.routes.iter().try_for_each(|route| write!(f, ", {route}"))?;
        self.name_servers.iter().try_for_each(|server| write!(f, ", names from {server}"))
    }
}

fn address(reply: &Reply) -> Result<Subnet, Malformed> {
    let address = reply.yours;
    if !is_of_machine(address) {
        return Err(Malformed::Address { address });
    }
    let subnet = match reply.options.one::<4>(code::NETMASK)? {
        None => Subnet::of_class(address),
        Some(mask) => {
            let length = length_of_mask(mask.into()).filter(|length| *length > 0);
            let length = length.ok_or(Malformed::Option { option: code::NETMASK })?;
            Subnet::new(address.into(), length)
        }
    };
    subnet.ok_or(Malformed::Address { address })
}

/// Whether a single machine can be called that.
fn is_of_machine(address: Ipv4Addr) -> bool {
    let [first, ..] = address.octets();
    !matches!(first, 0 | 127 | 224..)
}

/// The value, or nothing and a note that the option was passed over.
fn kept<T>(value: Result<T, Malformed>, passed_over: &mut Vec<u8>) -> Option<T> {
    match value {
        Ok(value) => Some(value),
        Err(malformed) => {
            if let Malformed::Option { option } = malformed {
                passed_over.push(option);
            }
            None
        }
    }
}

fn routes(options: &Options, passed_over: &mut Vec<u8>) -> Vec<Route> {
    if let Some(bytes) = options.bytes(code::CLASSLESS_ROUTES) {
        match classless(bytes) {
            Some(routes) => return routes,
            None => passed_over.push(code::CLASSLESS_ROUTES),
        }
    }
    let mut routes = Vec::new();
    for [a, b, c, d, rest @ ..] in kept(options.several::<8>(code::STATIC_ROUTES), passed_over).unwrap_or_default() {
        let gateway = Ipv4Addr::from(rest);
        let Some(class) = Subnet::of_class([a, b, c, d].into()).filter(|_| a != 0 && is_of_machine(gateway)) else {
            continue;
        };
        // A destination with bits behind its class is a machine.
        let to = if class.network() == class { class } else { Subnet::host(class.address()) };
        routes.push(Route { to, gateway: Some(gateway.into()), link: None });
    }
    let routers = kept(options.several::<4>(code::ROUTERS), passed_over).unwrap_or_default();
    let first = routers.into_iter().map(Ipv4Addr::from).find(|router| is_of_machine(*router));
    routes.extend(first.map(|router| Route::default_by(router.into())));
    routes
}

/// RFC 3442: a length, as many bytes of the network as it needs, and a gateway, which is 0.0.0.0 for a network on the link itself.
fn classless(bytes: &[u8]) -> Option<Vec<Route>> {
    let (mut reader, mut routes) = (Reader::new(bytes), Vec::new());
    while !reader.is_empty() {
        let length = reader.u8("length").ok().filter(|length| *length <= 32)?;
        let given = reader.take(usize::from(length.div_ceil(8)), "network").ok()?;
        let mut network = [0; 4];
        network.get_mut(..given.len())?.copy_from_slice(given);
        let gateway =
            reader.v4("gateway").ok().filter(|gateway| gateway.is_unspecified() || is_of_machine(*gateway))?;
        let to = Subnet::new(Ipv4Addr::from(network).into(), length)?.network();
        routes.push(Route { to, gateway: Some(gateway.into()).filter(|_| !gateway.is_unspecified()), link: None });
    }
    (!routes.is_empty()).then_some(routes)
}

/// RFC 3397: names that may point at each other within the option.
fn search(options: &Options, passed_over: &mut Vec<u8>) -> Vec<Name> {
    if let Some(bytes) = options.bytes(code::SEARCH) {
        match Name::read_all(bytes, Compression::Allowed, false) {
            Ok(names) => return names,
            Err(_) => passed_over.push(code::SEARCH),
        }
    }
    // One name; several with spaces between them are a custom that RFC 3397 was made against, and still one.
    let text = options.text(code::DOMAIN).unwrap_or_default();
    text.split_whitespace().filter_map(|name| Name::parse(name).ok()).collect()
}

struct Times {
    valid: Option<Duration>,
    renew_after: Option<Duration>,
    rebind_after: Option<Duration>,
}

impl Times {
    /// What is missing or out of order is a half and seven eighths of the whole (RFC 2131, section 4.4.5).
    fn read(options: &Options) -> Result<Times, Malformed> {
        let seconds = |option| options.one(option).map(|time| time.map(u32::from_be_bytes));
        let whole = seconds(code::LEASE_TIME)?.ok_or(Malformed::Missing { option: code::LEASE_TIME })?;
        match whole {
            // It would be over before it is used, and asked for again as fast as the server answers.
            0 => return Err(Malformed::Option { option: code::LEASE_TIME }),
            u32::MAX => return Ok(Times { valid: None, renew_after: None, rebind_after: None }),
            _ => {}
        }
        let whole = Duration::from_secs(whole.into());
        let given = |option| seconds(option).map(|time| time.map(|time| Duration::from_secs(time.into())));
        let rebind = given(code::REBINDING)?.filter(|time| *time <= whole).unwrap_or(whole * 7 / 8);
        let renew = given(code::RENEWAL)?.filter(|time| *time <= rebind).unwrap_or((whole / 2).min(rebind));
        Ok(Times { valid: Some(whole), renew_after: Some(renew), rebind_after: Some(rebind) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::reply;
    use super::*;
    use crate::mac::Mac;

    fn read(yours: &str, options: &[u8]) -> Result<Lease, Malformed> {
        let always = [53, 1, 5, 54, 4, 192, 0, 2, 1, 51, 4, 0, 0, 0x0e, 0x10];
        Lease::read(&Reply::parse(&reply(1, yours, Mac([2; 6]), &[&always, options].concat())).unwrap())
    }

    fn good(options: &[u8]) -> Lease {
        read("192.0.2.57", options).unwrap()
    }

    fn texts<T: ToString>(values: &[T]) -> Vec<String> {
        values.iter().map(T::to_string).collect()
    }

    #[test]
    fn a_captured_lease() {
        let bytes = crate::vectors::bytes(include_str!("../../vectors/dhcp4_ack_dnsmasq.hex"));
        let lease = Lease::read(&Reply::parse(&bytes).unwrap()).unwrap();
        assert_eq!(lease.address.to_string(), "192.0.2.57/24");
        assert_eq!(texts(&lease.routes), ["198.51.100.0/24 by 192.0.2.2", "0.0.0.0/0 by 192.0.2.1"]);
        assert_eq!(texts(&lease.name_servers), ["192.0.2.53", "192.0.2.54"]);
        assert_eq!(texts(&lease.search), ["a.example", "b.example"]);
        assert_eq!((lease.mtu, &lease.host_name), (Some(1400), &None));
        assert_eq!(
            lease.to_string(),
            "192.0.2.57/24 from 192.0.2.1 for 3600 s, 198.51.100.0/24 by 192.0.2.2, 0.0.0.0/0 by 192.0.2.1, names from 192.0.2.53, \
             names from 192.0.2.54"
        );
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs());
        assert_eq!(
            [lease.valid, lease.renew_after, lease.rebind_after].map(seconds),
            [Some(3600), Some(1800), Some(3150)]
        );
    }

    /// RFC 3442: a client that understands 121 ignores 3 and 33.
    #[test]
    fn classless_routes_come_first() {
        let others = [3, 4, 192, 0, 2, 9, 33, 8, 10, 0, 0, 0, 192, 0, 2, 8];
        let with = |own: &[u8]| texts(&good(&[&others, own].concat()).routes);
        assert_eq!(with(&[]), ["10.0.0.0/8 by 192.0.2.8", "0.0.0.0/0 by 192.0.2.9"]);
        assert_eq!(with(&[121, 5, 0, 192, 0, 2, 1]), ["0.0.0.0/0 by 192.0.2.1"]);
        // The RFC's own examples: 10.17.0.0/16, 10.27.129.0/24, 10.229.0.128/25, 10.198.122.47/32.
        let examples = [
            &[121, 33][..],
            &[16, 10, 17, 192, 0, 2, 1, 24, 10, 27, 129, 192, 0, 2, 1, 25, 10, 229, 0, 128, 0, 0, 0, 0],
            &[32, 10, 198, 122, 47, 192, 0, 2, 1],
        ];
        assert_eq!(
            with(&examples.concat()),
            [
                "10.17.0.0/16 by 192.0.2.1",
                "10.27.129.0/24 by 192.0.2.1",
                "10.229.0.128/25",
                "10.198.122.47/32 by 192.0.2.1"
            ]
        );
        for broken in [&[121, 1, 33][..], &[121, 2, 24, 10], &[121, 0], &[121, 5, 0, 127, 0, 0, 1]] {
            assert_eq!(with(broken).len(), 2, "{broken:?}");
        }
        assert_eq!(good(&[121, 1, 33]).passed_over, [121]);
        assert_eq!(
            texts(&good(&[33, 16, 10, 1, 2, 3, 192, 0, 2, 8, 10, 0, 0, 0, 224, 0, 0, 1]).routes),
            ["10.1.2.3/32 by 192.0.2.8"]
        );
    }

    #[test]
    fn what_is_not_needed_is_passed_over_when_it_makes_no_sense() {
        let lease = good(&[6, 3, 1, 2, 3, 26, 1, 9, 119, 1, 9, 3, 5, 1, 2, 3, 4, 5, 42, 4, 0, 0, 0, 0]);
        assert_eq!(lease.passed_over, [3, 119, 6, 26]);
        assert!(lease.routes.is_empty() && lease.name_servers.is_empty() && lease.search.is_empty());
        assert_eq!((lease.mtu, lease.time_servers), (None, Vec::new()));
        assert_eq!(good(&[26, 2, 0, 67]).mtu, None);
        assert_eq!(good(&[12, 3, b'a', b' ', b'b']).host_name, None);
        assert_eq!(texts(&good(&[15, 4, b'l', b'a', b'n', 0]).search), ["lan"]);
    }

    #[test]
    fn what_is_needed_has_to_be_there() {
        let bare = |options: &[u8]| {
            Lease::read(&Reply::parse(&reply(1, "192.0.2.57", Mac([2; 6]), options)).unwrap()).unwrap_err()
        };
        assert_eq!(bare(&[53, 1, 5]), Malformed::Missing { option: 54 });
        assert_eq!(bare(&[53, 1, 5, 54, 4, 192, 0, 2, 1]), Malformed::Missing { option: 51 });
        for address in ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"] {
            assert!(matches!(read(address, &[]), Err(Malformed::Address { .. })), "{address}");
        }
        for mask in [[255, 0, 255, 0], [0; 4]] {
            assert_eq!(read("192.0.2.57", &[&[1, 4], &mask[..]].concat()), Err(Malformed::Option { option: 1 }));
        }
        assert_eq!(good(&[1, 4, 255, 255, 255, 255]).address.length(), 32);
    }

    #[test]
    fn times_that_are_missing_or_out_of_order() {
        let times = |options: &[u8]| {
            let lease = good(options);
            (lease.renew_after.unwrap().as_secs(), lease.rebind_after.unwrap().as_secs())
        };
        assert_eq!(times(&[]), (1800, 3150));
        assert_eq!(times(&[58, 4, 0, 0, 0, 10, 59, 4, 0, 0, 0, 20]), (10, 20));
        assert_eq!(times(&[58, 4, 0, 0, 0, 30, 59, 4, 0, 0, 0, 20]), (20, 20));
        assert_eq!(times(&[59, 4, 0xff, 0, 0, 0]), (1800, 3150));
        let none = reply(1, "192.0.2.57", Mac([2; 6]), &[53, 1, 5, 54, 4, 192, 0, 2, 1, 51, 4, 0, 0, 0, 0]);
        assert_eq!(Lease::read(&Reply::parse(&none).unwrap()), Err(Malformed::Option { option: 51 }));
        let ever = reply(1, "192.0.2.57", Mac([2; 6]), &[53, 1, 5, 54, 4, 192, 0, 2, 1, 51, 4, 255, 255, 255, 255]);
        assert_eq!(Lease::read(&Reply::parse(&ever).unwrap()).unwrap().valid, None);
    }
}
