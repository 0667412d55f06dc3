//! `/run/net-INTERFACE.conf`: what klibc's ipconfig, and the scripts that took its place in initramfs-tools, say of an interface they have
//! configured. The file is meant for a shell: `NAME='VALUE'`, where `'\''` is a quote and `'\!'` an exclamation mark.

use super::resolv_conf::NameServer;
use crate::link_name::LinkName;
use crate::name::Name;
use crate::route::Route;
use crate::subnet::{Subnet, length_of};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// More than klibc writes.
const MOST_ROUTES: usize = 64;

/// An interface that somebody has configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetConf {
    /// Its name.
    pub link: Option<LinkName>,
    /// How it was configured: `none`, `dhcp`, `bootp`.
    pub method: String,
    /// Its addresses.
    pub addresses: Vec<Subnet>,
    /// The ways to other networks.
    pub routes: Vec<Route>,
    /// The servers of names, `IPV6DNS0` and `1` before `IPV4DNS0` and `1`.
    pub servers: Vec<NameServer>,
    /// The domains to search.
    pub search: Vec<Name>,
    /// The machine's own name.
    pub host_name: Option<String>,
}

/// Reads the file. `0.0.0.0` and an empty value say that there is none.
pub fn net_conf(bytes: &[u8]) -> NetConf {
    let mut values = BTreeMap::new();
    for line in super::lines(bytes) {
        if let Some((name, value)) = line.split_once('=') {
            values.insert(name.trim_start_matches("export ").to_owned(), unquoted(value));
        }
    }
    let values = Values(values);
    let mut conf = NetConf {
        link: values.text("DEVICE").and_then(LinkName::new),
        method: values.text("PROTO").unwrap_or_default().to_owned(),
        host_name: values.text("HOSTNAME").filter(|name| Name::parse(name).is_ok()).map(str::to_owned),
        ..NetConf::default()
    };
    conf.addresses.extend(values.subnet("IPV4ADDR", "IPV4NETMASK"));
    conf.addresses.extend(values.subnet("IPV6ADDR", "IPV6NETMASK"));
    conf.routes = routes(&values);
    for name in ["IPV6DNS0", "IPV6DNS1", "IPV4DNS0", "IPV4DNS1"] {
        let server = values.text(name).and_then(NameServer::parse);
        conf.servers.extend(server.filter(|server| !conf.servers.contains(server)));
    }
    for name in ["DOMAINSEARCH", "IPV6DOMAINSEARCH", "IPV4DOMAINSEARCH", "DNSDOMAIN", "IPV4DNSDOMAIN"] {
        let domains = values.text(name).unwrap_or_default().split_whitespace();
        for domain in domains.filter_map(|domain| Name::parse(domain).ok()).take(MOST_ROUTES) {
            if !conf.search.contains(&domain) {
                conf.search.push(domain);
            }
        }
    }
    conf
}

fn routes(values: &Values) -> Vec<Route> {
    let gateways = ["IPV4GATEWAY", "IPV6GATEWAY"].into_iter().filter_map(|name| values.address(name));
    let mut routes: Vec<Route> = gateways.map(Route::default_by).collect();
    for n in 0..MOST_ROUTES {
        let Some(to) = values.text(&format!("IPV4ROUTE{n}SUBNET")).and_then(Subnet::parse) else { break };
        routes.push(Route { to: to.network(), gateway: values.address(&format!("IPV4ROUTE{n}GATEWAY")), link: None });
    }
    routes
}

struct Values(BTreeMap<String, String>);

impl Values {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn address(&self, name: &str) -> Option<IpAddr> {
        self.text(name)?.parse().ok().filter(|address: &IpAddr| !address.is_unspecified())
    }

    fn subnet(&self, address: &str, mask: &str) -> Option<Subnet> {
        let whole = self.text(address).and_then(Subnet::parse).filter(|subnet| !subnet.address().is_unspecified())?;
        match self.text(mask).and_then(|mask| length_of(mask, whole.address())) {
            Some(length) => Subnet::new(whole.address(), length),
            None => Some(whole),
        }
    }
}

/// What a shell makes of a value that is quoted with `'`, with `"`, by backslashes or not at all. Nothing is expanded.
fn unquoted(value: &str) -> String {
    let (mut plain, mut quote, mut characters) = (String::new(), None, value.chars());
    while let Some(character) = characters.next() {
        match (character, quote) {
            ('\\', None | Some('"')) => plain.extend(characters.next()),
            ('\'' | '"', None) => quote = Some(character),
            (_, Some(open)) if open == character => quote = None,
            (' ' | '\t' | ';' | '#', None) => break,
            _ => plain.push(character),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts<T: ToString>(values: &[T]) -> Vec<String> {
        values.iter().map(T::to_string).collect()
    }

    /// What ipconfig of klibc 2.0.12 wrote after an answer of dnsmasq 2.90.
    #[test]
    fn what_klibc_writes() {
        let conf = net_conf(include_bytes!("../../vectors/klibc_ipconfig.conf"));
        assert_eq!(conf.link, LinkName::new("c0"));
        assert_eq!(conf.method, "dhcp");
        assert_eq!(texts(&conf.addresses), ["192.0.2.57/24"]);
        assert_eq!(texts(&conf.routes), ["198.51.100.0/24 by 192.0.2.2", "0.0.0.0/0 by 192.0.2.1"]);
        assert_eq!(texts(&conf.servers), ["192.0.2.53", "192.0.2.54"]);
        assert_eq!(texts(&conf.search), ["a.example", "b.example", "lan.example"]);
    }

    #[test]
    fn routes_and_six() {
        let conf = net_conf(
            b"DEVICE=eth0\nIPV4ADDR=\"192.0.2.7\"\nIPV4NETMASK=255.255.255.128\nIPV4GATEWAY='0.0.0.0'\nIPV4ROUTE0SUBNET='198.51.100.0/24'\n\
              IPV4ROUTE0GATEWAY='192.0.2.2'\nIPV4ROUTE1SUBNET='203.0.113.0/24'\nIPV4ROUTE1GATEWAY='0.0.0.0'\nIPV4ROUTE3SUBNET='10.0.0.0/8'\n\
              IPV6ADDR='2001:db8::7'\nIPV6NETMASK='64'\nIPV6GATEWAY='fe80::1'\nIPV6DNS0='2001:db8::53'\nIPV4DNS0='0.0.0.0'\nHOSTNAME='a b'\n\
              DOMAINSEARCH='lan.example'\nDNSDOMAIN='lan.example'\n",
        );
        assert_eq!(texts(&conf.addresses), ["192.0.2.7/25", "2001:db8::7/64"]);
        assert_eq!(texts(&conf.routes), ["::/0 by fe80::1", "198.51.100.0/24 by 192.0.2.2", "203.0.113.0/24"]);
        assert_eq!(texts(&conf.servers), ["2001:db8::53"]);
        assert_eq!((conf.host_name, texts(&conf.search)), (None, vec!["lan.example".to_owned()]));
    }

    #[test]
    fn quotes_as_a_shell_reads_them() {
        for (quoted, plain) in [
            ("'a b'", "a b"),
            ("'it'\\''s'\\!''", "it's!"),
            ("\"a\\\"b\"", "a\"b"),
            ("a\\ b c", "a b"),
            ("'a", "a"),
            ("$(reboot)", "$(reboot)"),
            ("", ""),
        ] {
            assert_eq!(unquoted(quoted), plain);
        }
    }
}
