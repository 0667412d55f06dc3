//! Where a request goes: the URL of a configuration as curl would take it.

use clevis::NetError;
use std::borrow::Cow;
use std::fmt;
use ureq::http::Uri;

/// A host and a port. An IPv6 address stands without brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Name or address.
    pub(super) host: String,
    /// The network interface behind which an IPv6 address is, by name or number (RFC 4007, section 11). It means something to
    /// this machine only: it is for connecting, and neither the server nor a proxy is told of it.
    pub(super) zone: Option<String>,
    /// TCP port.
    pub(super) port: u16,
}

/// Whether the connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// In the clear. The Tang exchange needs no more.
    Http,
    /// TLS.
    Https,
}

/// A URL that can be asked.
#[derive(Clone, Debug)]
pub(super) struct Address {
    /// All of it.
    pub(super) uri: Uri,
    /// Its scheme.
    pub(super) scheme: Scheme,
    /// Its host and port.
    pub(super) place: Place,
    /// User name and password for the server, as `name:password`, percent-decoded as curl does.
    pub(super) credentials: Option<Vec<u8>>,
}

impl Address {
    /// Reads `url`. Without a scheme it means `http://`; the text in the configuration stays as it is.
    pub(super) fn parse(url: &str) -> Result<Address, NetError> {
        let (scheme, rest) = split_scheme(url);
        let (credentials, rest) = split_credentials(rest);
        let (zone, rest) = split_zone(&rest)?;
        let whole = format!("{scheme}://{rest}");
        let uri: Uri = whole.parse().map_err(|_| NetError::BadUrl { why: "it is not a URL" })?;
        let scheme = match uri.scheme_str() {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            _ => return Err(NetError::BadUrl { why: "its scheme is neither http nor https" }),
        };
        let place = Place { zone, ..Place::of(&uri)? };
        Ok(Address { uri, scheme, place, credentials })
    }
}

/// Takes the scheme off. One slash behind it is enough for curl, and so for bindings that exist.
fn split_scheme(url: &str) -> (&str, &str) {
    match url.split_once(":/") {
        Some((scheme, rest)) if scheme.chars().all(|c| c.is_ascii_alphanumeric()) => {
            (scheme, rest.strip_prefix('/').unwrap_or(rest))
        }
        _ => ("http", url),
    }
}

/// Longest name of an interface (`IFNAMSIZ` counts a zero byte too).
const LONGEST_ZONE: usize = 15;

/// Takes the zone out of `[fe80::1%25eth0]` (RFC 6874), and out of `[fe80::1%eth0]`, which curl takes too and in its way:
/// `25` is part of the escape if anything comes after it.
fn split_zone(rest: &str) -> Result<(Option<String>, Cow<'_, str>), NetError> {
    let bracketed = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let Some(((address, zone), behind)) =
        bracketed.and_then(|(inside, behind)| Some((inside.split_once('%')?, behind)))
    else {
        return Ok((None, rest.into()));
    };
    let zone = zone.strip_prefix("25").filter(|zone| !zone.is_empty()).unwrap_or(zone);
    if !(1..=LONGEST_ZONE).contains(&zone.len()) || !zone.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(NetError::BadUrl { why: "what is behind the % is not the name of a network interface" });
    }
    Ok((Some(zone.to_owned()), format!("[{address}]{behind}").into()))
}

/// Takes `name:password@` off the front of what follows the scheme. `ureq` would ignore it.
fn split_credentials(rest: &str) -> (Option<Vec<u8>>, Cow<'_, str>) {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let Some((server, path)) = rest.split_at_checked(end) else { return (None, rest.into()) };
    match server.rsplit_once('@') {
        Some((login, server)) => (Some(percent_decoded(login)), format!("{server}{path}").into()),
        None => (None, rest.into()),
    }
}

/// `%41` as `A` (RFC 3986, 2.1); a sign that begins no such escape stands for itself.
pub(super) fn percent_decoded(text: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let escape = behind.split_first_chunk::<2>().filter(|_| first == b'%');
        match escape.and_then(|(digits, after)| Some((hex_byte(*digits)?, after))) {
            Some((byte, after)) => (decoded.push(byte), rest = after),
            None => (decoded.push(first), rest = behind),
        };
    }
    decoded
}

fn hex_byte(digits: [u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
    u8::try_from(high? * 16 + low?).ok()
}

impl Place {
    /// Where `uri` points, with the port of its scheme if it names none. It has no zone; an [`Address`] may have one.
    pub(super) fn of(uri: &Uri) -> Result<Place, NetError> {
        let bare = |host: &str| host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let host = uri.host().map(bare).filter(|host| !host.is_empty());
        let host = host.ok_or(NetError::BadUrl { why: "it names no host" })?;
        let unset = uri.authority().is_none_or(|a| a.as_str() == a.host());
        let port = match uri.port_u16() {
            Some(port) => port,
            None if !unset => return Err(NetError::BadUrl { why: "its port is not a number up to 65535" }),
            None if uri.scheme_str() == Some("https") => 443,
            None => 80,
        };
        Ok(Place { host, zone: None, port })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { host, port, .. } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn check(url: &str, expected: Option<(Scheme, &str)>) {
        let found = Address::parse(url).ok().map(|a| (a.scheme, a.place.to_string()));
        assert_eq!(found, expected.map(|(scheme, place)| (scheme, place.to_owned())), "{url}");
    }

    #[test]
    fn urls_are_taken_with_and_without_a_scheme() {
        check("http://tang.example/adv/", Some((Scheme::Http, "tang.example:80")));
        check("tang.example:8080/adv/", Some((Scheme::Http, "tang.example:8080")));
        check("tang.example/adv/", Some((Scheme::Http, "tang.example:80")));
        check("127.0.0.1/adv/", Some((Scheme::Http, "127.0.0.1:80")));
        check("HTTPS://tang.example/adv/", Some((Scheme::Https, "tang.example:443")));
        check("http://[::1]:90/adv/", Some((Scheme::Http, "[::1]:90")));
        check("u:p@tang.example:8080/a@b", Some((Scheme::Http, "tang.example:8080")));
    }

    #[test]
    fn one_slash_is_enough_as_for_curl() {
        check("http:/tang.example/adv/", Some((Scheme::Http, "tang.example:80")));
        check("HTTPS:/u:p@tang.example:8080/adv/", Some((Scheme::Https, "tang.example:8080")));
        check("tang.example/a:/b", Some((Scheme::Http, "tang.example:80")));
    }

    #[test]
    fn zones_are_taken_out() {
        let zone = |url: &str| {
            let address = Address::parse(url).unwrap();
            assert_eq!(address.uri.authority().unwrap().as_str(), "[fe80::1]:80", "{url}");
            address.place.zone
        };
        assert_eq!(zone("http://[fe80::1]:80/adv/"), None);
        for (url, expected) in [
            ("http://[fe80::1%25eth0]:80/adv/", "eth0"),
            ("http://[fe80::1%eth0]:80/adv/", "eth0"),
            ("u:p@[fe80::1%3]:80/adv/", "3"),
            ("[fe80::1%25]:80/adv/", "25"),
        ] {
            assert_eq!(zone(url).as_deref(), Some(expected), "{url}");
        }
        for bad in ["http://[fe80::1%]/", "http://[fe80::1%25a b]/", "http://[fe80::1%sixteen-letters-]/"] {
            check(bad, None);
        }
        assert_eq!(Address::parse("http://h/[a%25b]").unwrap().place.zone, None);
    }

    #[test]
    fn credentials_are_taken_out_and_decoded() {
        let login = |url: &str| Address::parse(url).unwrap().credentials.map(|c| String::from_utf8(c).unwrap());
        assert_eq!(login("http://h/a@b"), None);
        assert_eq!(login("http://u:p@h/").as_deref(), Some("u:p"));
        assert_eq!(login("https://u%40d:%70%zz%4@h").as_deref(), Some("u@d:p%zz%4"));
        assert!(!Address::parse("http://u:p@h/x").unwrap().uri.to_string().contains('@'));
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        for url in [
            "",
            "/adv/",
            "http:///adv/",
            "http://:80/",
            "ftp://h/",
            "http://h h/",
            "http://u:p@/",
            "http://h:99999/",
            "file:///etc",
        ] {
            check(url, None);
        }
    }
}
