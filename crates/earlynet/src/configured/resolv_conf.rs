//! `/etc/resolv.conf` (resolv.conf(5)).

use crate::link_name::LinkName;
use crate::name::Name;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// As many servers and domains as glibc takes (three and, of old, six), and some more.
pub(super) const MOST_SERVERS: usize = 8;
pub(super) const MOST_DOMAINS: usize = 16;

/// A server of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameServer {
    /// Its address.
    pub address: IpAddr,
    /// The interface it is behind, which a link-local address needs.
    pub link: Option<LinkName>,
}

impl From<IpAddr> for NameServer {
    fn from(address: IpAddr) -> NameServer {
        NameServer { address, link: None }
    }
}

impl NameServer {
    /// Reads `192.0.2.53`, `2001:db8::53`, `fe80::1%eth0`.
    pub fn parse(text: &str) -> Option<NameServer> {
        let (address, link) = match text.split_once('%') {
            Some((address, link)) => (address, Some(LinkName::new(link)?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let usable = !address.is_unspecified() && !address.is_multicast() && address != IpAddr::from([255; 4]);
        usable.then_some(NameServer { address, link })
    }

    /// Where it listens; the interface is for the caller to bind to.
    pub fn socket_address(&self) -> SocketAddr {
        SocketAddr::new(self.address, 53)
    }
}

impl fmt::Display for NameServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)?;
        self.link.as_ref().map_or(Ok(()), |link| write!(f, "%{link}"))
    }
}

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvConf {
    /// The servers in their order.
    pub servers: Vec<NameServer>,
    /// The domains of the last `search` or `domain`.
    pub search: Vec<Name>,
    /// How many dots make a name be asked as it stands first: 0 to 15, as a rule 1.
    pub ndots: usize,
}

/// Reads the file. `options` other than `ndots` are for others.
pub fn resolv_conf(bytes: &[u8]) -> ResolvConf {
    let mut conf = ResolvConf { servers: Vec::new(), search: Vec::new(), ndots: 1 };
    for line in super::lines(bytes).iter().filter(|line| !line.starts_with(['#', ';'])) {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") => {
                let server = words.next().and_then(NameServer::parse);
                let room = conf.servers.len() < MOST_SERVERS;
                conf.servers.extend(server.filter(|server| room && !conf.servers.contains(server)));
            }
            Some("search" | "domain") => {
                conf.search = words.filter_map(|word| Name::parse(word).ok()).take(MOST_DOMAINS).collect()
            }
            Some("options") => {
                let dots = words.filter_map(|word| word.strip_prefix("ndots:")?.parse::<usize>().ok()).next_back();
                conf.ndots = dots.map_or(conf.ndots, |dots| dots.min(15));
            }
            _ => {}
        }
    }
    conf
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_understood() {
        let conf = resolv_conf(
            b"# made by x\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n nameserver fe80::1%eth0\nnameserver 0.0.0.0\nnameserver x\n\
              domain old.example\nsearch a.example b.example. x..y\noptions rotate ndots:2 timeout:1\nnameserver 192.0.2.53\n",
        );
        let servers: Vec<String> = conf.servers.iter().map(NameServer::to_string).collect();
        assert_eq!(servers, ["192.0.2.53", "2001:db8::53", "fe80::1%eth0"]);
        assert_eq!(conf.search, [Name::parse("a.example").unwrap(), Name::parse("b.example").unwrap()]);
        assert_eq!(conf.ndots, 2);
        assert_eq!(conf.servers[1].socket_address().to_string(), "[2001:db8::53]:53");
        assert_eq!(resolv_conf(b"options ndots:99").ndots, 15);
    }

    #[test]
    fn a_file_without_end_has_few_servers() {
        let many: String = (0..9999).map(|n| format!("nameserver 10.0.{}.{}\n", n / 256 % 256, n % 256)).collect();
        assert_eq!(resolv_conf(many.as_bytes()).servers.len(), MOST_SERVERS);
        assert_eq!(resolv_conf(&[b"search".as_slice(), &b" a".repeat(99)].concat()).search.len(), MOST_DOMAINS);
    }
}
