//! `/run/systemd/netif/links/INDEX` and `…/state`: what systemd-networkd knows of an interface or of all, `KEY=VALUE` lines.
//!
//! The files say of themselves that they are private; systemd's own library reads them, and since version 209 the lines that are read here
//! have kept their meaning. In an initramfs without resolved nothing else says which servers of names networkd has learnt.

use super::resolv_conf::{MOST_DOMAINS, MOST_SERVERS, NameServer};
use crate::name::Name;

/// What networkd says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networkd {
    /// Whether an address that is good beyond the link is there (`OPER_STATE=routable`).
    pub is_routable: bool,
    /// Whether networkd is at work on the interface and not done (`ADMIN_STATE=pending`, `initialized` or `configuring`).
    pub is_under_way: bool,
    /// The servers of names on port 53; others need what early boot has not (a name in a certificate, another port).
    pub servers: Vec<NameServer>,
    /// The domains to search.
    pub search: Vec<Name>,
}

/// Reads the file.
pub fn networkd(bytes: &[u8]) -> Networkd {
    let mut found = Networkd::default();
    for line in super::lines(bytes) {
        match line.split_once('=') {
            Some(("OPER_STATE", state)) => found.is_routable = state == "routable",
            Some(("ADMIN_STATE", state)) => {
                found.is_under_way = matches!(state, "pending" | "initialized" | "configuring")
            }
            Some(("DNS", servers)) => {
                found.servers = servers.split(' ').filter_map(server).take(MOST_SERVERS).collect()
            }
            Some(("DOMAINS", domains)) => {
                found.search =
                    domains.split(' ').filter_map(|name| Name::parse(name).ok()).take(MOST_DOMAINS).collect();
            }
            _ => {}
        }
    }
    found
}

/// `ADDRESS[:PORT][%INTERFACE][#NAME]`, an IPv6 address with a port in brackets (systemd.network(5), `DNS=`). The name is for TLS.
fn server(text: &str) -> Option<NameServer> {
    let plain = text.split('#').next()?;
    let (address, link) = match plain.split_once('%') {
        Some((address, link)) => (address, format!("%{link}")),
        None => (plain, String::new()),
    };
    let address = match address.strip_prefix('[') {
        Some(rest) => rest.strip_suffix("]:53").or_else(|| rest.strip_suffix(']'))?,
        None if address.contains('.') => address.strip_suffix(":53").unwrap_or(address),
        None => address,
    };
    NameServer::parse(&format!("{address}{link}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemd_writes() {
        let found = networkd(
            b"# This is private data. Do not parse.\nADMIN_STATE=configured\nOPER_STATE=routable\nCARRIER_STATE=carrier\n\
              DNS=192.0.2.53 fe80::1%eth0 2001:db8::53#dns.example 192.0.2.54:53 [2001:db8::54]:53 192.0.2.55:853 [2001:db8::55]:853\n\
              NTP=192.0.2.123\nDOMAINS=a.example b.example .\nROUTE_DOMAINS=\n",
        );
        let servers: Vec<String> = found.servers.iter().map(NameServer::to_string).collect();
        assert_eq!(servers, ["192.0.2.53", "fe80::1%eth0", "2001:db8::53", "192.0.2.54", "2001:db8::54"]);
        assert_eq!(found.search, [Name::parse("a.example").unwrap(), Name::parse("b.example").unwrap()]);
        assert!(found.is_routable && !found.is_under_way);
    }

    #[test]
    fn an_interface_that_networkd_works_on() {
        for (state, expected) in
            [("pending", true), ("initialized", true), ("configuring", true), ("unmanaged", false), ("failed", false)]
        {
            assert_eq!(networkd(format!("ADMIN_STATE={state}\n").as_bytes()).is_under_way, expected, "{state}");
        }
    }

    #[test]
    fn an_interface_that_is_not_ready() {
        assert!(!networkd(b"OPER_STATE=degraded\nDNS=\nDOMAINS=\n").is_routable);
        assert_eq!(networkd(b""), Networkd::default());
        assert_eq!(networkd(&[b"DNS=".as_slice(), &b"192.0.2.1 ".repeat(99)].concat()).servers.len(), MOST_SERVERS);
    }
}
