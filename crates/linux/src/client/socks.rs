//! SOCKS 5 (RFC 1928), with a user name and password if there are any (RFC 1929).

use super::address::Place;
use clevis::NetError;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};

const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const WITH_PASSWORD: u8 = 2;
const CONNECT: u8 = 1;

/// Who finds the address of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resolving {
    /// We do (`socks5://`).
    Here,
    /// The proxy does (`socks5h://`).
    There,
}

/// A SOCKS proxy's part of a policy; its address is known elsewhere.
#[derive(Clone, Debug)]
pub(super) struct Socks {
    /// Who resolves names.
    pub(super) names: Resolving,
    /// User name and password, as `name:password`.
    pub(super) credentials: Option<Vec<u8>>,
    /// The variable that names the proxy.
    pub(super) variable: &'static str,
}

impl Socks {
    /// Tells the proxy at the other end of `stream` to connect to `server`.
    pub(super) fn open(
        &self,
        stream: &mut (impl Read + Write),
        server: &Place,
        lookup: impl Fn(&Place) -> Result<Vec<SocketAddr>, NetError>,
    ) -> Result<(), NetError> {
        let target = match (self.names, server.host.parse()) {
            (_, Ok(address)) => Target::Address(address),
            (Resolving::There, Err(_)) => Target::Name(server.host.as_bytes()),
            (Resolving::Here, Err(_)) => match lookup(server)?.first() {
                Some(address) => Target::Address(address.ip()),
                None => return Err(self.refused("the server's name has no address")),
            },
        };
        self.log_in(stream)?;
        let mut request = vec![VERSION, CONNECT, 0];
        target.write(&mut request).ok_or_else(|| self.refused("the server's name is too long for it"))?;
        request.extend(server.port.to_be_bytes());
        self.say(stream, &request)?;
        let [_, reply, _, kind] = self.hear(stream)?;
        if reply != 0 {
            return Err(self.refused(reason(reply)));
        }
        self.skip_address(stream, kind)
    }

    fn log_in(&self, stream: &mut (impl Read + Write)) -> Result<(), NetError> {
        match &self.credentials {
            None => self.say(stream, &[VERSION, 1, NO_LOGIN])?,
            Some(_) => self.say(stream, &[VERSION, 2, NO_LOGIN, WITH_PASSWORD])?,
        }
        match (self.hear(stream)?, &self.credentials) {
            ([VERSION, NO_LOGIN], _) => Ok(()),
            ([VERSION, WITH_PASSWORD], Some(login)) => {
                let message = login_message(login).ok_or_else(|| self.refused("the name or password is too long"))?;
                self.say(stream, &message)?;
                let [_, verdict] = self.hear(stream)?;
                if verdict == 0 { Ok(()) } else { Err(self.refused("it does not take the name and password")) }
            }
            ([VERSION, _], _) => Err(self.refused("it wants another login")),
            _ => Err(self.refused("it does not speak SOCKS 5")),
        }
    }

    /// Reads the address and port at the end of a reply, which mean nothing for a connection.
    fn skip_address(&self, stream: &mut (impl Read + Write), kind: u8) -> Result<(), NetError> {
        match kind {
            1 => self.hear::<6>(stream).map(drop),
            4 => self.hear::<18>(stream).map(drop),
            3 => {
                let [length] = self.hear(stream)?;
                let mut rest = vec![0; usize::from(length) + 2];
                stream.read_exact(&mut rest).map_err(|source| self.broken(source))
            }
            _ => Err(self.refused("it does not speak SOCKS 5")),
        }
    }

    fn say(&self, stream: &mut impl Write, message: &[u8]) -> Result<(), NetError> {
        stream.write_all(message).map_err(|source| self.broken(source))
    }

    fn hear<const N: usize>(&self, stream: &mut impl Read) -> Result<[u8; N], NetError> {
        let mut message = [0; N];
        stream.read_exact(&mut message).map_err(|source| self.broken(source))?;
        Ok(message)
    }

    fn broken(&self, source: io::Error) -> NetError {
        self.refused(&source.to_string())
    }

    fn refused(&self, why: &str) -> NetError {
        NetError::Proxy { variable: self.variable, why: why.to_owned() }
    }
}

enum Target<'a> {
    Address(IpAddr),
    Name(&'a [u8]),
}

impl Target<'_> {
    /// The address as a request has it, with its kind in front. `None` if it is too long.
    fn write(&self, into: &mut Vec<u8>) -> Option<()> {
        match self {
            Target::Address(IpAddr::V4(address)) => into.extend([&[1][..], &address.octets()].concat()),
            Target::Address(IpAddr::V6(address)) => into.extend([&[4][..], &address.octets()].concat()),
            Target::Name(name) => into.extend([&[3, u8::try_from(name.len()).ok()?][..], name].concat()),
        }
        Some(())
    }
}

fn login_message(login: &[u8]) -> Option<Vec<u8>> {
    let at = login.iter().position(|b| *b == b':').unwrap_or(login.len());
    let (name, rest) = login.split_at_checked(at)?;
    let password = rest.strip_prefix(b":").unwrap_or(rest);
    let (n, p) = (u8::try_from(name.len()).ok()?, u8::try_from(password.len()).ok()?);
    Some([&[1, n][..], name, &[p], password].concat())
}

/// RFC 1928, section 6.
fn reason(reply: u8) -> &'static str {
    match reply {
        2 => "it does not allow the connection",
        3 => "it says that the network is unreachable",
        4 => "it says that the server is unreachable",
        5 => "it says that the server refuses connections",
        6 => "it says that the server does not answer",
        7 | 8 => "it does not support such connections",
        _ => "it failed",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A proxy that says what it was told to say, whatever it hears.
    struct Script {
        says: io::Cursor<Vec<u8>>,
        heard: Vec<u8>,
    }

    impl Read for Script {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.says.read(into)
        }
    }

    impl Write for Script {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.heard.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What the proxy hears, or the error.
    fn open(names: Resolving, login: Option<&str>, host: &str, says: &[u8]) -> Result<Vec<u8>, String> {
        let socks = Socks { names, credentials: login.map(|l| l.as_bytes().to_vec()), variable: "all_proxy" };
        let mut script = Script { says: io::Cursor::new(says.to_vec()), heard: Vec::new() };
        let found = |_: &Place| Ok(vec![SocketAddr::from(([10, 0, 0, 9], 80))]);
        let server = Place { host: host.into(), zone: None, port: 80 };
        let result = socks.open(&mut script, &server, found).map_err(|e| e.to_string());
        let left = script.says.get_ref().len() - usize::try_from(script.says.position()).unwrap();
        result.map(|()| assert_eq!(left, 0, "all is read")).map(|()| script.heard)
    }

    const WELCOME: &[u8] = &[5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0];

    #[test]
    fn addresses_and_names_are_told_as_the_rfc_has_them() {
        let address = [&[5, 1, 0, 5, 1, 0, 1, 10, 0, 0, 9][..], &[0, 80]].concat();
        assert_eq!(open(Resolving::Here, None, "tang.test", WELCOME).unwrap(), address);
        assert_eq!(open(Resolving::There, None, "10.0.0.9", WELCOME).unwrap(), address);
        let name = [&[5, 1, 0, 5, 1, 0, 3, 9][..], b"tang.test", &[0, 80]].concat();
        assert_eq!(open(Resolving::There, None, "tang.test", WELCOME).unwrap(), name);
        let long = [&[5, 1, 0, 5, 1, 0, 4][..], &[0; 15], &[1, 0, 80]].concat();
        assert_eq!(open(Resolving::Here, None, "::1", WELCOME).unwrap(), long);
    }

    #[test]
    fn a_login_is_offered_and_given_when_asked_for() {
        let asked = [&[5, 2, 1, 0][..], &[5, 0, 0, 3, 2], b"xy", &[0, 0]].concat();
        let heard = open(Resolving::Here, Some("me:a:b"), "10.0.0.9", &asked).unwrap();
        let expected = [&[5, 2, 0, 2, 1, 2][..], b"me", &[3], b"a:b", &[5, 1, 0, 1, 10, 0, 0, 9, 0, 80]].concat();
        assert_eq!(heard, expected);
        let heard = open(Resolving::Here, Some("me:x"), "10.0.0.9", WELCOME).unwrap();
        assert_eq!(heard, [5, 2, 0, 2, 5, 1, 0, 1, 10, 0, 0, 9, 0, 80]);
    }

    #[test]
    fn refusals_name_their_reason() {
        let check = |login, host, says: &[u8], why| {
            let error = open(Resolving::There, login, host, says).unwrap_err();
            assert!(error.contains("all_proxy") && error.contains(why), "{error}");
        };
        let long = "x".repeat(300);
        check(None, "s", b"HTTP/1.1 400", "does not speak SOCKS 5");
        check(None, "s", &[5, 255], "another login");
        check(None, "s", &[5, 2], "another login");
        check(Some("me:x"), "s", &[5, 2, 1, 1], "does not take");
        check(Some(&long), "s", &[5, 2], "too long");
        check(None, &long, &[5, 0], "too long");
        check(None, "s", &[5, 0, 5, 5, 0, 1], "refuses connections");
        check(None, "s", &[5, 0, 5, 0, 0, 9], "does not speak SOCKS 5");
        check(None, "s", &[5, 0, 5, 0, 0, 1, 0], "fill");
        check(None, "s", &[], "fill");
    }
}
