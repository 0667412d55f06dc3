//! `/etc/hosts` (hosts(5)): names that need no server.

use crate::name::Name;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// More lines are not kept.
const MOST_ENTRIES: usize = 4096;

/// Which names have which addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    entries: Vec<(Name, IpAddr)>,
}

impl Hosts {
    /// Reads `ADDRESS NAME…` lines; `#` begins a comment.
    pub fn parse(bytes: &[u8]) -> Hosts {
        let mut hosts = Hosts::default();
        for line in super::lines(bytes) {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let Some(Ok(address)) = words.next().map(str::parse) else { continue };
            for name in words.filter_map(|word| Name::parse(word).ok()) {
                hosts.add(name, address);
            }
        }
        hosts
    }

    /// Adds one.
    pub fn add(&mut self, name: Name, address: IpAddr) {
        if self.entries.len() < MOST_ENTRIES {
            self.entries.push((name, address));
        }
    }

    /// Adds those of `others` behind these.
    pub fn extend(&mut self, others: Hosts) {
        others.entries.into_iter().for_each(|(name, address)| self.add(name, address));
    }

    /// The addresses of a name, in the order of the lines. `localhost` has its own everywhere (RFC 6761, section 6.3).
    pub fn addresses(&self, name: &Name) -> Vec<IpAddr> {
        let mut found: Vec<IpAddr> =
            self.entries.iter().filter(|(known, _)| known == name).map(|entry| entry.1).collect();
        if found.is_empty() && name.split().last() == Some(b"localhost") {
            found.extend([IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)]);
        }
        found.dedup();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_addresses() {
        let text = b"127.0.0.1 localhost\n# 192.0.2.1 tang\n192.0.2.7\tTang.Example tang # here\nx y\n2001:db8::7 tang\n192.0.2.8";
        let hosts = Hosts::parse(text);
        let of = |name: &str| -> Vec<String> {
            hosts.addresses(&Name::parse(name).unwrap()).iter().map(IpAddr::to_string).collect()
        };
        assert_eq!(of("tang.example"), ["192.0.2.7"]);
        assert_eq!(of("TANG"), ["192.0.2.7", "2001:db8::7"]);
        assert_eq!(of("y"), [""; 0]);
        assert_eq!(of("localhost"), ["127.0.0.1"]);
        assert_eq!(of("a.localhost"), ["127.0.0.1", "::1"]);
        let mut first = Hosts::parse(b"192.0.2.9 tang");
        first.extend(hosts.clone());
        let tang: Vec<String> = first.addresses(&Name::parse("tang").unwrap()).iter().map(IpAddr::to_string).collect();
        assert_eq!(tang, ["192.0.2.9", "192.0.2.7", "2001:db8::7"]);
    }
}
