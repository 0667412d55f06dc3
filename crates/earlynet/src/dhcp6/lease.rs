//! What a server gives.

use super::message::{Duid, Malformed, Message, Options, code};
use crate::bytes::Reader;
use crate::name::{Compression, Name};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// The status that says that there are no addresses (section 21.13).
const NO_ADDRESSES: u16 = 2;

/// Addresses for a time, and what the server says of the network. Without addresses it is the answer to an Information-Request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Who gave it.
    pub server: Duid,
    /// The addresses. Which prefix they are in, only routers say; alone each is its own network.
    pub addresses: Vec<LeasedAddress>,
    /// Servers of names, the preferred first.
    pub name_servers: Vec<IpAddr>,
    /// The domains to search.
    pub search: Vec<Name>,
    /// When the address has to be asked for again, if the server says so.
    pub renew_after: Option<Duration>,
    /// Options that made no sense and were passed over; none of them is needed for an address.
    pub passed_over: Vec<u16>,
}

/// One address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeasedAddress {
    /// The address.
    pub address: Ipv6Addr,
    /// How long it is good for new connections; `None` is for ever.
    pub preferred: Option<Duration>,
    /// How long it is valid; `None` is for ever.
    pub valid: Option<Duration>,
}

/// One line for the console.
impl fmt::Display for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        let mut write = |what: &str, value: &dyn fmt::Display| {
            write!(f, "{comma}{what}{value}")?;
            comma = ", ";
            Ok(())
        };
        self.addresses.iter().try_for_each(|leased| write("", &leased.address))?;
        self.name_servers.iter().try_for_each(|server| write("names from ", server))?;
        self.search.iter().try_for_each(|domain| write("names in ", domain))
    }
}

/// What the answer says of our association.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Given {
    Lease(Lease),
    /// The server has no address for us, or fails otherwise.
    Nothing {
        status: u16,
        message: Option<String>,
    },
}

/// Reads an answer for the association `id`.
pub(super) fn with_addresses(message: &Message<'_>, id: u32) -> Result<Given, Malformed> {
    let (status, text) = message.options.status()?;
    if status != 0 {
        return Ok(Given::Nothing { status, message: text });
    }
    let mut lease = without_addresses(message)?;
    let (mut status, mut text) = (NO_ADDRESSES, None);
    for content in message.options.all(code::ASSOCIATION) {
        let mut reader = Reader::new(content);
        if reader.u32("IAID")? != id {
            continue;
        }
        let (renew, rebind) = (reader.u32("T1")?, reader.u32("T2")?);
        let options = Options::parse(reader.rest())?;
        (status, text) = options.status()?;
        // Section 21.4: the other way around the whole association is to be passed over.
        if status == 0 && (rebind == 0 || renew <= rebind) {
            lease.renew_after = Some(renew).filter(|renew| *renew != 0).and_then(seconds);
            lease.addresses.extend(options.all(code::ADDRESS).filter_map(address));
        }
    }
    if lease.addresses.is_empty() {
        let status = if status == 0 { NO_ADDRESSES } else { status };
        return Ok(Given::Nothing { status, message: text });
    }
    Ok(Given::Lease(lease))
}

/// Reads everything but addresses.
pub(super) fn without_addresses(message: &Message<'_>) -> Result<Lease, Malformed> {
    let mut lease = Lease {
        server: message.server()?,
        addresses: Vec::new(),
        name_servers: Vec::new(),
        search: Vec::new(),
        renew_after: None,
        passed_over: Vec::new(),
    };
    match message.options.first(code::NAME_SERVERS).unwrap_or_default().as_chunks::<16>() {
        (addresses, []) => {
            let usable = addresses.iter().map(|address| Ipv6Addr::from(*address)).filter(is_of_machine);
            lease.name_servers.extend(usable.map(IpAddr::from));
        }
        _ => lease.passed_over.push(code::NAME_SERVERS),
    }
    match Name::read_all(message.options.first(code::SEARCH).unwrap_or_default(), Compression::Refused, false) {
        Ok(names) => lease.search = names,
        Err(_) => lease.passed_over.push(code::SEARCH),
    }
    Ok(lease)
}

/// `None` if it makes no sense or is over (section 21.6).
fn address(content: &[u8]) -> Option<LeasedAddress> {
    let mut reader = Reader::new(content);
    let address = reader.v6("address").ok().filter(is_of_machine)?;
    let (preferred, valid) = (reader.u32("preferred lifetime").ok()?, reader.u32("valid lifetime").ok()?);
    let (status, _) = Options::parse(reader.rest()).and_then(|options| options.status()).ok()?;
    let makes_sense = status == 0 && valid != 0 && preferred <= valid;
    makes_sense.then(|| LeasedAddress { address, preferred: seconds(preferred), valid: seconds(valid) })
}

fn is_of_machine(address: &Ipv6Addr) -> bool {
    !address.is_unspecified() && !address.is_loopback() && !address.is_multicast()
}

fn seconds(seconds: u32) -> Option<Duration> {
    (seconds != u32::MAX).then(|| Duration::from_secs(seconds.into()))
}

#[cfg(test)]
mod tests {
    use super::super::message::{Kind, option, to_bytes};
    use super::*;

    fn texts<T: ToString>(values: &[T]) -> Vec<String> {
        values.iter().map(T::to_string).collect()
    }

    #[test]
    fn a_captured_reply() {
        let bytes = crate::vectors::bytes(include_str!("../../vectors/dhcp6_reply_dnsmasq.hex"));
        let Ok(Given::Lease(lease)) = with_addresses(&Message::parse(&bytes).unwrap(), 0x0012_3456) else { panic!() };
        let hour = Some(Duration::from_secs(3600));
        let address = "2001:db8:1::1db".parse().unwrap();
        assert_eq!(lease.addresses, [LeasedAddress { address, preferred: hour, valid: hour }]);
        assert_eq!(lease.renew_after, Some(Duration::from_secs(1800)));
        assert_eq!(texts(&lease.name_servers), ["2001:db8:1::53", "2001:db8:1::54"]);
        assert_eq!(texts(&lease.search), ["a.example", "b.example"]);
        assert_eq!(lease.server.as_bytes(), [0, 3, 0, 1, 0x0a, 0x8b, 0x34, 0xeb, 0x63, 0xd0]);
        assert_eq!(
            lease.to_string(),
            "2001:db8:1::1db, names from 2001:db8:1::53, names from 2001:db8:1::54, names in a.example, names in b.example"
        );
        let other = with_addresses(&Message::parse(&bytes).unwrap(), 1);
        assert_eq!(other, Ok(Given::Nothing { status: 2, message: None }), "another association");
    }

    #[test]
    fn a_captured_answer_without_addresses() {
        let bytes = crate::vectors::bytes(include_str!("../../vectors/dhcp6_information_dnsmasq.hex"));
        let lease = without_addresses(&Message::parse(&bytes).unwrap()).unwrap();
        assert_eq!((lease.addresses.len(), lease.name_servers.len(), lease.search.len()), (0, 2, 2));
    }

    /// The association 7 with these times and options.
    fn given(renew: u32, rebind: u32, inner: &[Vec<u8>], outer: &[(u16, Vec<u8>)]) -> Result<Given, Malformed> {
        let numbers = [7, renew, rebind].map(u32::to_be_bytes).concat();
        let mut options =
            vec![(code::SERVER, b"server".to_vec()), (code::ASSOCIATION, [numbers, inner.concat()].concat())];
        options.extend_from_slice(outer);
        let bytes = to_bytes(Kind::Reply, 1, &options);
        with_addresses(&Message::parse(&bytes).unwrap(), 7)
    }

    fn leased(address: &str, preferred: u32, valid: u32) -> Vec<u8> {
        let address = address.parse::<Ipv6Addr>().unwrap().octets();
        option(code::ADDRESS, &[&address[..], &preferred.to_be_bytes(), &valid.to_be_bytes()].concat())
    }

    #[test]
    fn addresses_that_are_none() {
        let count = |inner: &[Vec<u8>]| match given(0, 0, inner, &[]) {
            Ok(Given::Lease(lease)) => lease.addresses.len(),
            Ok(Given::Nothing { status, .. }) => usize::from(status) * 100,
            Err(malformed) => panic!("{malformed}"),
        };
        assert_eq!(count(&[leased("2001:db8::1", 1, 2), leased("2001:db8::2", u32::MAX, u32::MAX)]), 2);
        for bad in
            [leased("2001:db8::1", 3, 2), leased("2001:db8::1", 0, 0), leased("ff02::1", 1, 2), leased("::", 1, 2)]
        {
            assert_eq!(count(&[bad, leased("2001:db8::2", 1, 2)]), 1);
        }
        assert_eq!(count(&[]), 200);
        assert_eq!(count(&[option(code::STATUS, &[0, 1])]), 100);
        assert_eq!(given(9, 8, &[leased("2001:db8::1", 1, 2)], &[]), Ok(Given::Nothing { status: 2, message: None }));
    }

    #[test]
    fn what_the_server_says_counts() {
        let refused = given(0, 0, &[leased("2001:db8::1", 1, 2)], &[(code::STATUS, b"\0\x04not here".to_vec())]);
        assert_eq!(refused, Ok(Given::Nothing { status: 4, message: Some("not here".into()) }));
        let outer = [(code::NAME_SERVERS, vec![1; 17]), (code::SEARCH, vec![9])];
        let Ok(Given::Lease(lease)) = given(0, 0, &[leased("2001:db8::1", 1, 2)], &outer) else { panic!() };
        assert_eq!(lease.passed_over, [code::NAME_SERVERS, code::SEARCH]);
        assert!(given(0, 0, &[vec![0]], &[]).is_err());
    }
}
