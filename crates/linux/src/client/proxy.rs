//! Proxies from the environment, as curl reads them (curl(1), "Environment", and CURLOPT_NOPROXY).
//!
//! `http_proxy` counts in lower case only: a CGI program finds the client's `Proxy:` header in `HTTP_PROXY`. Proxies that
//! speak plain HTTP or SOCKS 5 are used; another kind is an error, because going around a proxy that somebody has set is not
//! ours to decide.

use super::address::{Address, Place, Scheme};
use super::socks::{Resolving, Socks};
use clevis::NetError;
use std::net::IpAddr;

/// Port of a proxy that names none; curl's own default.
const PROXY_PORT: u16 = 1080;

/// The settings, read once.
#[derive(Clone, Debug, Default)]
pub(super) struct Proxies {
    http: Option<Setting>,
    https: Option<Setting>,
    except: Vec<String>,
}

#[derive(Clone, Debug)]
struct Setting {
    variable: &'static str,
    value: String,
}

/// How to reach one server.
#[derive(Debug)]
pub(super) enum Route {
    /// Straight.
    Direct,
    /// A plain request, sent to the proxy with the whole address in it.
    Through {
        /// The proxy.
        proxy: Place,
        /// User name and password for it, as `name:password`.
        credentials: Option<Vec<u8>>,
    },
    /// Through a SOCKS proxy.
    Socks {
        /// The proxy.
        proxy: Place,
        /// What to tell it.
        socks: Socks,
    },
    /// A tunnel through the proxy, for TLS.
    Tunnel {
        /// The proxy.
        proxy: Place,
        /// What `ureq` knows of it, with user name and password.
        connect: ureq::Proxy,
        /// The variable that names it.
        variable: &'static str,
    },
}

impl Proxies {
    /// Reads the settings by name; an empty one is none.
    pub(super) fn read(variable: impl Fn(&str) -> Option<String>) -> Proxies {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let first = |names: &[&'static str]| {
            names.iter().find_map(|&variable| set(variable).map(|value| Setting { variable, value }))
        };
        let except = set("no_proxy").or_else(|| set("NO_PROXY")).unwrap_or_default();
        Proxies {
            http: first(&["http_proxy", "all_proxy", "ALL_PROXY"]),
            https: first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
            except: except.split([',', ' ']).filter(|item| !item.is_empty()).map(str::to_ascii_lowercase).collect(),
        }
    }

    /// How to reach `address`.
    pub(super) fn route(&self, address: &Address) -> Result<Route, NetError> {
        let setting = match address.scheme {
            Scheme::Http => &self.http,
            Scheme::Https => &self.https,
        };
        match setting {
            Some(setting) if !self.excepts(&address.place.host) => setting.route(address.scheme),
            _ => Ok(Route::Direct),
        }
    }

    fn excepts(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.except.iter().any(|item| item == "*" || matches(item, &host))
    }
}

impl Setting {
    fn route(&self, scheme: Scheme) -> Result<Route, NetError> {
        let refused = |why: &str| NetError::Proxy { variable: self.variable, why: why.to_owned() };
        let (kind, rest) = self.value.split_once("://").unwrap_or(("http", &self.value));
        let names = match kind.to_ascii_lowercase().as_str() {
            "http" => None,
            "socks5" => Some(Resolving::Here),
            "socks5h" => Some(Resolving::There),
            _ => return Err(refused("it is none of http, socks5 and socks5h")),
        };
        let address = Address::parse(&format!("http://{rest}")).map_err(|_| refused("it is not an address"))?;
        let proxy = Place { port: address.uri.port_u16().unwrap_or(PROXY_PORT), ..address.place };
        if let Some(names) = names {
            let socks = Socks { names, credentials: address.credentials, variable: self.variable };
            return Ok(Route::Socks { proxy, socks });
        }
        match scheme {
            Scheme::Http => Ok(Route::Through { proxy, credentials: address.credentials }),
            Scheme::Https => {
                let login = rest.rsplit_once('@').map(|(login, _)| format!("{login}@")).unwrap_or_default();
                let connect = ureq::Proxy::new(&format!("http://{login}{proxy}"));
                let connect = connect.map_err(|_| refused("it is not an address"))?;
                Ok(Route::Tunnel { proxy, connect, variable: self.variable })
            }
        }
    }
}

/// Whether `host` is what one item of `no_proxy` names: an address, a network (`10.0.0.0/8`), or a domain and all below it.
fn matches(item: &str, host: &str) -> bool {
    let bare = |text: &str| text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
    if let Some(address) = bare(host) {
        let (network, bits) = item.split_once('/').map_or((item, None), |(n, b)| (n, Some(b)));
        let bits = bits.map_or(Some(u32::MAX), |bits| bits.parse().ok());
        return bare(network).zip(bits).is_some_and(|(network, bits)| within(address, network, bits));
    }
    let domain = item.trim_start_matches('.').trim_end_matches('.');
    let above = host.strip_suffix(domain);
    !domain.is_empty() && above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
}

fn within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(n)) => {
            u32::MAX.checked_shl(32 - bits.min(32)).unwrap_or(0) & (a.to_bits() ^ n.to_bits()) == 0
        }
        (IpAddr::V6(a), IpAddr::V6(n)) => {
            u128::MAX.checked_shl(128 - bits.min(128)).unwrap_or(0) & (a.to_bits() ^ n.to_bits()) == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn route(variables: &[(&str, &str)], url: &str) -> String {
        let read = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        match Proxies::read(read).route(&Address::parse(url).unwrap()) {
            Ok(Route::Direct) => "direct".into(),
            Ok(Route::Through { proxy, credentials }) => {
                format!("through {proxy} {}", String::from_utf8(credentials.unwrap_or_default()).unwrap())
            }
            Ok(Route::Socks { proxy, socks }) => format!("socks {proxy} {:?}", socks.names),
            Ok(Route::Tunnel { proxy, connect, .. }) => {
                assert_eq!((connect.host(), connect.port()), (proxy.host.as_str(), proxy.port));
                format!("tunnel {proxy} {}", connect.username().unwrap_or_default())
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn variables_are_read_as_curl_reads_them() {
        let check = |variables, url, expected| assert_eq!(route(variables, url), expected, "{variables:?} {url}");
        check(&[], "http://s/", "direct");
        check(&[("http_proxy", "p:3128")], "http://s/", "through p:3128 ");
        check(&[("http_proxy", "http://u:w@p/")], "http://s/", "through p:1080 u:w");
        check(&[("http_proxy", "http://[::1]:8")], "http://s/", "through [::1]:8 ");
        check(&[("HTTP_PROXY", "p:3128")], "http://s/", "direct");
        check(&[("http_proxy", "")], "http://s/", "direct");
        check(&[("http_proxy", "p:3128")], "https://s/", "direct");
        check(&[("HTTPS_PROXY", "p:3128")], "https://s/", "tunnel p:3128 ");
        check(&[("https_proxy", "u:w@p:1"), ("HTTPS_PROXY", "q:2")], "https://s/", "tunnel p:1 u");
        check(&[("ALL_PROXY", "p:3128")], "http://s/", "through p:3128 ");
        check(&[("all_proxy", "p:3128")], "https://s/", "tunnel p:3128 ");
        check(&[("all_proxy", "socks5://p")], "http://s/", "socks p:1080 Here");
        check(&[("ALL_PROXY", "SOCKS5H://u:w@p:9")], "https://s/", "socks p:9 There");
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_not_passed_by() {
        let error = route(&[("ALL_PROXY", "socks4://p:1080")], "http://s/");
        assert!(error.contains("the proxy in ALL_PROXY cannot be used"), "{error}");
        assert!(route(&[("http_proxy", "p q")], "http://s/").contains("http_proxy"));
    }

    #[test]
    fn exceptions_are_names_domains_addresses_and_networks() {
        let check = |list, url, direct| {
            let found = route(&[("http_proxy", "p:1"), ("no_proxy", list)], url);
            assert_eq!(found == "direct", direct, "{list} {url}");
        };
        for (list, url) in [
            ("*", "http://anything/"),
            ("a, s.example", "http://s.example/"),
            ("example", "http://s.EXAMPLE./"),
            (".example", "http://s.example:80/"),
            ("127.0.0.1", "http://127.0.0.1/"),
            ("10.0.0.0/8", "http://10.200.0.1/"),
            ("0.0.0.0/0", "http://10.200.0.1/"),
            ("::1", "http://[::1]/"),
            ("fd00::/8", "http://[fd12::1]/"),
        ] {
            check(list, url, true);
        }
        for (list, url) in [
            ("", "http://s/"),
            ("ample", "http://s.example/"),
            ("s.example", "http://example/"),
            ("10.0.0.0/8", "http://11.0.0.1/"),
            ("10.0.0.0/x", "http://10.0.0.1/"),
            ("127.0.0.1", "http://s/"),
            (".", "http://s/"),
        ] {
            check(list, url, false);
        }
        assert_eq!(route(&[("http_proxy", "p:1"), ("NO_PROXY", "s")], "http://s/"), "direct");
    }
}
