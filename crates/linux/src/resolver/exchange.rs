//! One lookup on the wire.

use super::error::NamesError;
use crate::random::random;
use crate::waiting::wait;
use clevis::{Cancel, Deadline};
use earlynet::configured::NameServer;
use earlynet::dns::{Lookup, Outgoing, Stream, Transport, framed};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, SocketAddrV6, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// Where servers of names listen.
const PORT: u16 = 53;
/// No datagram is longer.
const LONGEST: usize = 65535;

/// Until when is waited.
pub(super) struct Limits<'a> {
    pub(super) begun: Instant,
    pub(super) until: Deadline,
    pub(super) cancel: &'a Cancel,
}

pub(super) struct Exchange<'a> {
    lookup: Lookup,
    servers: &'a [NameServer],
    limits: &'a Limits<'a>,
    lines: Vec<Line>,
}

/// A socket and the server behind it.
struct Line {
    server: usize,
    kind: LineKind,
}

enum LineKind {
    Udp(UdpSocket),
    Tcp(Connection),
}

struct Connection {
    socket: TcpStream,
    /// What has not been sent yet; empty when all is.
    out: Vec<u8>,
    stream: Stream,
}

impl<'a> Exchange<'a> {
    pub(super) fn new(lookup: Lookup, servers: &'a [NameServer], limits: &'a Limits<'a>) -> Exchange<'a> {
        Exchange { lookup, servers, limits, lines: Vec::new() }
    }

    /// To the end of the lookup, or of the wait.
    pub(super) fn run(mut self) -> Result<Vec<IpAddr>, NamesError> {
        let mut begins = true;
        loop {
            let now = self.now();
            let all = self.lookup.poll(now, &mut random);
            let mut without_way = 0;
            for outgoing in &all {
                let (server, transport) = (outgoing.server, outgoing.transport);
                if let Err(error) = self.send(outgoing) {
                    without_way += usize::from(error.kind() == io::ErrorKind::NetworkUnreachable);
                    self.lookup.unreachable(now, server, transport);
                }
            }
            // Routes come and go, and a lookup goes on without one; but whoever begins without any has no network, and can bring it up.
            if begins && without_way > 0 && without_way == all.len() {
                return Err(NamesError::NoWay { servers: self.servers.to_vec() });
            }
            begins = false;
            if let Some(outcome) = self.lookup.outcome() {
                return outcome.clone().map_err(NamesError::Lookup);
            }
            self.wait()?;
            self.take();
        }
    }

    fn now(&self) -> Duration {
        self.limits.begun.elapsed()
    }

    fn wait(&self) -> Result<(), NamesError> {
        let mut sockets: Vec<PollFd<'_>> = self.lines.iter().map(Line::interest).collect();
        let due = self.limits.begun.checked_add(self.lookup.due());
        if self.limits.cancel.is_cancelled() {
            return Err(NamesError::Cancelled);
        }
        if crate::is_past(self.limits.until) {
            return Err(NamesError::TimedOut { servers: self.servers.to_vec() });
        }
        wait(&mut sockets, due, self.limits.until);
        Ok(())
    }

    fn send(&mut self, outgoing: &Outgoing) -> io::Result<()> {
        match outgoing.transport {
            Transport::Udp => {
                let line = self.lines.iter().position(|line| line.is(outgoing.server));
                if line.is_none() {
                    self.lines.push(Line { server: outgoing.server, kind: LineKind::Udp(udp(&outgoing.to)?) });
                }
                let line = self.lines.iter().find(|line| line.is(outgoing.server));
                match line.map(|line| &line.kind) {
                    Some(LineKind::Udp(socket)) => socket.send(&outgoing.message).map(drop),
                    _ => Err(io::ErrorKind::NotConnected.into()),
                }
            }
            Transport::Tcp => {
                let out = framed(&outgoing.message).ok_or(io::ErrorKind::InvalidInput)?;
                let connection = Connection { socket: tcp(&outgoing.to)?, out, stream: Stream::default() };
                self.lines.push(Line { server: outgoing.server, kind: LineKind::Tcp(connection) });
                Ok(())
            }
        }
    }

    /// Takes what has arrived on each line; a connection that is over goes.
    fn take(&mut self) {
        let now = self.now();
        let lookup = &mut self.lookup;
        self.lines.retain_mut(|line| {
            let server = line.server;
            match &mut line.kind {
                LineKind::Udp(socket) => {
                    take_datagrams(socket, &mut |heard| match heard {
                        Some(message) => lookup.receive(now, server, Transport::Udp, message),
                        None => lookup.unreachable(now, server, Transport::Udp),
                    });
                    true
                }
                LineKind::Tcp(connection) => {
                    match connection.step(&mut |message| lookup.receive(now, server, Transport::Tcp, message)) {
                        // One question, one connection.
                        Ok(is_done) => !is_done,
                        Err(_) => {
                            lookup.unreachable(now, server, Transport::Tcp);
                            false
                        }
                    }
                }
            }
        });
    }
}

impl Line {
    fn is(&self, server: usize) -> bool {
        self.server == server && matches!(self.kind, LineKind::Udp(_))
    }

    fn interest(&self) -> PollFd<'_> {
        match &self.kind {
            LineKind::Udp(socket) => PollFd::new(socket, PollFlags::IN),
            LineKind::Tcp(connection) => {
                let flags = if connection.out.is_empty() { PollFlags::IN } else { PollFlags::OUT };
                PollFd::from_borrowed_fd(connection.as_fd(), flags)
            }
        }
    }
}

/// Each datagram, or nothing for an error: nobody listens there.
fn take_datagrams(socket: &UdpSocket, heard: &mut dyn FnMut(Option<&[u8]>)) {
    let mut buffer = vec![0; LONGEST];
    loop {
        match socket.recv(&mut buffer) {
            Ok(length) => heard(buffer.get(..length)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(_) => return heard(None),
        }
    }
}

impl Connection {
    /// Sends and takes what can be; whether a message has come. An error is its end.
    fn step(&mut self, heard: &mut dyn FnMut(&[u8])) -> io::Result<bool> {
        while !self.out.is_empty() {
            match self.socket.write(&self.out) {
                Ok(sent) => drop(self.out.drain(..sent)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Before it is connected as well.
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected) => {
                    return self.socket.take_error()?.map_or(Ok(false), Err);
                }
                Err(error) => return Err(error),
            }
        }
        let mut buffer = [0; 4096];
        loop {
            let room = self.stream.room().min(buffer.len());
            match self.socket.read(buffer.get_mut(..room).unwrap_or_default()) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => self.stream.push(buffer.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
            if let Some(message) = self.stream.next_message() {
                heard(&message);
                return Ok(true);
            }
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A socket of its own for one server and one lookup: the kernel draws the port.
fn udp(server: &NameServer) -> io::Result<UdpSocket> {
    let any: IpAddr = if server.address.is_ipv4() { [0, 0, 0, 0].into() } else { [0_u16; 8].into() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
    socket.set_nonblocking(true)?;
    socket.connect(place(server)?)?;
    Ok(socket)
}

fn tcp(server: &NameServer) -> io::Result<TcpStream> {
    let place = place(server)?;
    let family = if place.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    match connect(&socket, &place) {
        Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => Ok(socket.into()),
        Err(error) => Err(error.into()),
    }
}

/// Where it listens, behind its interface if it says one.
fn place(server: &NameServer) -> io::Result<SocketAddr> {
    match (server.address, &server.link) {
        (IpAddr::V6(address), Some(link)) => {
            let any = socket_with(AddressFamily::INET6, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
            Ok(SocketAddrV6::new(address, PORT, 0, name_to_index(any, link.as_str())?).into())
        }
        _ => Ok(SocketAddr::new(server.address, PORT)),
    }
}
