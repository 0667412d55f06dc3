//! Names to addresses, and addresses to a connection: several addresses race (RFC 8305, without its address sorting, which
//! the resolver has done), so that a silent IPv6 route costs a quarter of a second and not the whole limit.

use super::address::Place;
use super::patience::{LONG, Patience};
use super::socket::{RequestForm, Socket, Stream};
use super::socks::Socks;
use crate::resolver::{self, NamesError};
use clevis::NetError;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6, TcpStream};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};
use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{ConnectionDetails, Connector, Either, NextTimeout, Transport};

/// How long one address has the race to itself (RFC 8305, section 5, "Connection Attempt Delay").
const HEAD_START: Duration = Duration::from_millis(250);

/// Most addresses of one name that are tried; `ureq` carries no more.
const MOST_ADDRESSES: usize = 16;

/// Finds addresses within the limits of the exchange.
#[derive(Debug)]
pub(super) struct Names {
    /// Limits of the exchange in progress.
    pub(super) patience: Patience,
    /// What is connected to: the server, or the proxy in front of it. `ureq` asks for no other name.
    pub(super) place: Place,
    /// Who is asked; nobody is the system.
    pub(super) own: Option<resolver::Names>,
}

impl Resolver for Names {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let found = lookup_by(self.own.as_ref(), &self.place, &self.patience).map_err(boxed)?;
        let mut addresses = self.empty();
        found.into_iter().take(MOST_ADDRESSES).for_each(|address| addresses.push(address));
        Ok(addresses)
    }
}

/// The addresses of `place`, at least one.
fn lookup_by(own: Option<&resolver::Names>, place: &Place, patience: &Patience) -> Result<Vec<SocketAddr>, NetError> {
    match own {
        Some(names) if place.host.parse::<IpAddr>().is_err() => {
            let (until, cancel) = patience.limits();
            let found = names.look_up(&place.host, until, &cancel).map_err(|error| match error {
                NamesError::Cancelled => NetError::Cancelled,
                other => NetError::Resolve { host: place.host.clone(), source: io::Error::other(other) },
            })?;
            Ok(found.into_iter().map(|address| SocketAddr::new(address, place.port)).collect())
        }
        _ => lookup(place, patience, system_resolver),
    }
}

/// What the system knows of a name: its hosts file and its name servers.
#[cfg(feature = "name-service")]
fn system_resolver(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    std::net::ToSocketAddrs::to_socket_addrs(&(host, port)).map(Iterator::collect)
}

/// How long our own resolver works for one name, nobody waiting.
#[cfg(not(feature = "name-service"))]
const LONGEST_LOOKUP: Duration = Duration::from_secs(30);

/// The same by our own resolver. It ends by itself, for a caller that has gone away.
#[cfg(not(feature = "name-service"))]
fn system_resolver(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let names = crate::network::names_of_files();
    let found =
        names.look_up(host, crate::deadline_after(LONGEST_LOOKUP), &clevis::Cancel::new()).map_err(io::Error::other)?;
    Ok(found.into_iter().map(|address| SocketAddr::new(address, port)).collect())
}

/// The addresses of `place`, at least one. A resolver cannot be interrupted, so it works in a thread that is left behind when
/// nobody waits any more.
fn lookup(
    place: &Place,
    patience: &Patience,
    resolver: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + 'static,
) -> Result<Vec<SocketAddr>, NetError> {
    if let Ok(address) = place.host.parse::<IpAddr>() {
        return Ok(vec![with_zone(address, place)?]);
    }
    let failed = |source: io::Error| NetError::Resolve { host: place.host.clone(), source };
    let (found, answer) = mpsc::sync_channel(1);
    let (host, port) = (place.host.clone(), place.port);
    let ask = move || {
        // Nobody may be waiting any more; then the answer is of no use.
        let _ = found.send(resolver(&host, port));
    };
    thread::Builder::new().name("resolver".into()).spawn(ask).map_err(failed)?;
    loop {
        match answer.recv_timeout(patience.left()?) {
            Ok(Ok(addresses)) if addresses.is_empty() => return Err(failed(io::ErrorKind::NotFound.into())),
            Ok(addresses) => return addresses.map_err(failed),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(failed(io::ErrorKind::Other.into())),
        }
    }
}

/// The address of `place`, behind the interface that it names.
fn with_zone(address: IpAddr, place: &Place) -> Result<SocketAddr, NetError> {
    match (address, &place.zone) {
        (IpAddr::V6(address), Some(zone)) => {
            let failed = |source| NetError::Connect { address: format!("[{address}%{zone}]:{}", place.port), source };
            Ok(SocketAddrV6::new(address, place.port, 0, interface(zone).map_err(failed)?).into())
        }
        _ => Ok(SocketAddr::new(address, place.port)),
    }
}

/// The number of an interface. One that is not there yet, early in a boot, may come.
fn interface(zone: &str) -> io::Result<u32> {
    match zone.parse() {
        Ok(number) => Ok(number),
        Err(_) => {
            Ok(name_to_index(socket_with(AddressFamily::INET6, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?, zone)?)
        }
    }
}

/// Opens connections, unless a tunnel through a proxy is there already.
#[derive(Debug)]
pub(super) struct Dial {
    /// Limits of the exchange in progress.
    pub(super) patience: Patience,
    /// How requests on these connections name their target.
    pub(super) form: RequestForm,
    /// A proxy that has to be told the target first.
    pub(super) socks: Option<Socks>,
    /// Who is asked for names; nobody is the system.
    pub(super) own: Option<resolver::Names>,
}

impl<In: Transport> Connector<In> for Dial {
    type Out = Either<In, Socket>;

    fn connect(&self, details: &ConnectionDetails<'_>, tunnel: Option<In>) -> Result<Option<Self::Out>, Error> {
        if let Some(tunnel) = tunnel {
            return Ok(Some(Either::A(tunnel)));
        }
        let socket = race(&details.addrs, &self.patience).map_err(boxed)?;
        // A request is one or two small writes: they must not wait for the acknowledgement of the one before.
        socket.set_nodelay(true)?;
        let mut stream = Stream::new(socket, self.patience.clone());
        if let Some(socks) = &self.socks {
            let server = Place::of(details.uri).map_err(boxed)?;
            let lookup = |server: &Place| lookup_by(self.own.as_ref(), server, &self.patience);
            socks.open(&mut stream, &server, lookup).map_err(boxed)?;
        }
        Ok(Some(Either::B(Socket::new(stream, self.form.clone()))))
    }
}

/// The first of `addresses` that accepts a connection. The next one starts when one has failed or had its head start.
fn race(addresses: &[SocketAddr], patience: &Patience) -> Result<TcpStream, NetError> {
    let mut race =
        Race { waiting: addresses.to_vec().into(), running: Vec::new(), next_start: Instant::now(), failed: None };
    loop {
        race.start_those_due();
        if race.running.is_empty() {
            return Err(no_connection(race.failed));
        }
        if let Some(stream) = race.step(patience)? {
            return Ok(stream);
        }
    }
}

/// Connections on their way.
struct Race {
    waiting: VecDeque<SocketAddr>,
    running: Vec<(SocketAddr, TcpStream)>,
    next_start: Instant,
    failed: Option<(SocketAddr, io::Error)>,
}

impl Race {
    fn start_those_due(&mut self) {
        while self.running.is_empty() || Instant::now() >= self.next_start {
            let Some(address) = self.waiting.pop_front() else { return };
            match start(address) {
                Ok(stream) => {
                    self.running.push((address, stream));
                    self.next_start = Instant::now() + HEAD_START;
                }
                Err(source) => self.failed = Some((address, source)),
            }
        }
    }

    /// Waits for one of them to be connected or refused, at most until the next may start.
    fn step(&mut self, patience: &Patience) -> Result<Option<TcpStream>, NetError> {
        let mut sockets: Vec<PollFd<'_>> = self.running.iter().map(|(_, s)| PollFd::new(s, PollFlags::OUT)).collect();
        let pause =
            if self.waiting.is_empty() { LONG } else { self.next_start.saturating_duration_since(Instant::now()) };
        patience.wait(&mut sockets, pause)?;
        let Some(ready) = sockets.iter().position(|s| !s.revents().is_empty()) else { return Ok(None) };
        let (address, stream) = self.running.swap_remove(ready);
        match stream.take_error() {
            Ok(None) => Ok(Some(stream)),
            Ok(Some(source)) | Err(source) => {
                self.failed = Some((address, source));
                self.next_start = Instant::now();
                Ok(None)
            }
        }
    }
}

/// Starts connecting without waiting for the end of it.
fn start(address: SocketAddr) -> io::Result<TcpStream> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    match connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => Ok(TcpStream::from(socket)),
        Err(errno) => Err(errno.into()),
    }
}

fn no_connection(failed: Option<(SocketAddr, io::Error)>) -> NetError {
    match failed {
        Some((address, source)) => NetError::Connect { address: address.to_string(), source },
        None => NetError::Connect { address: "no address".into(), source: io::ErrorKind::NotFound.into() },
    }
}

fn boxed(error: NetError) -> Error {
    Error::Other(error.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use clevis::Cancel;
    use rustix::net::{bind, listen, socket};
    use std::net::{Ipv4Addr, TcpListener};

    fn patience(limit: Duration, cancel: &Cancel) -> Patience {
        let now = Instant::now();
        Patience::new(now, now + limit, cancel)
    }

    fn ample() -> Patience {
        patience(Duration::from_secs(20), &Cancel::new())
    }

    fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    /// An address that refuses, because nobody listens there any more.
    fn refusing() -> SocketAddr {
        listener().1
    }

    /// An address that never answers: a listener whose queue is full.
    fn silent() -> (TcpListener, Vec<TcpStream>, SocketAddr) {
        let queue = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&queue, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        listen(&queue, 0).unwrap();
        let queue = TcpListener::from(queue);
        let address = queue.local_addr().unwrap();
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(100)).ok();
        (queue, std::iter::from_fn(connect).collect(), address)
    }

    #[test]
    fn the_first_address_that_answers_wins() {
        let (_silent, _filling, black_hole) = silent();
        let (_listener, alive) = listener();
        for addresses in
            [vec![alive], vec![refusing(), alive], vec![black_hole, refusing(), alive], vec![black_hole, alive]]
        {
            let stream = race(&addresses, &ample()).unwrap();
            assert_eq!(stream.peer_addr().unwrap(), alive, "{addresses:?}");
        }
    }

    #[test]
    fn when_none_answers_the_last_reason_is_told() {
        let (first, last) = (refusing(), refusing());
        let error = race(&[first, last], &ample()).unwrap_err();
        assert!(matches!(&error, NetError::Connect { address, .. } if *address == last.to_string()), "{error:?}");
        assert!(matches!(race(&[], &ample()).unwrap_err(), NetError::Connect { .. }));
    }

    #[test]
    fn a_zone_becomes_the_number_of_its_interface() {
        let found = |host: &str, zone: &str| {
            let place = Place { host: host.into(), zone: Some(zone.into()), port: 80 };
            lookup(&place, &ample(), |_, _| unreachable!()).map(|found| found.iter().map(ToString::to_string).collect())
        };
        let check = |host, zone, expected: &str| assert_eq!(found(host, zone).unwrap(), expected, "{host} {zone}");
        // The loopback interface is the first of every network namespace.
        check("fe80::1", "lo", "[fe80::1%1]:80");
        check("fe80::1", "7", "[fe80::1%7]:80");
        let error: Result<String, NetError> = found("fe80::1", "no-such");
        let Err(NetError::Connect { address, source }) = error else { panic!("{error:?}") };
        assert_eq!((address.as_str(), source.raw_os_error()), ("[fe80::1%no-such]:80", Some(libc::ENODEV)));
    }

    #[test]
    fn a_slow_resolver_is_left_behind() {
        let place = Place { host: "slow.test".into(), zone: None, port: 80 };
        let slow = || {
            let (hold, held) = mpsc::channel::<()>();
            let held = std::sync::Mutex::new(held);
            let resolver = move |_: &str, _: u16| {
                held.lock().unwrap().recv().ok();
                Ok(Vec::new())
            };
            (hold, resolver)
        };
        let (_hold, resolver) = slow();
        let timed_out = lookup(&place, &patience(Duration::from_millis(50), &Cancel::new()), resolver);
        assert!(matches!(timed_out, Err(NetError::TimedOut { .. })));
        let (_hold, resolver) = slow();
        let cancel = Cancel::new();
        cancel.cancel();
        let cancelled = lookup(&place, &patience(Duration::from_secs(20), &cancel), resolver);
        assert!(matches!(cancelled, Err(NetError::Cancelled)));
        let nothing = lookup(&place, &ample(), |_, _| Ok(Vec::new()));
        assert!(matches!(nothing, Err(NetError::Resolve { host, .. }) if host == "slow.test"));
    }
}
