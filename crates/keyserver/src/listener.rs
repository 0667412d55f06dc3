//! The sockets that connections come from, and the connections themselves.

use crate::error::ServeError;
use rustix::io::Errno;
use rustix::net::sockopt::{set_tcp_nodelay, socket_acceptconn, socket_domain, socket_type};
use rustix::net::{AddressFamily, SocketType, listen};
use std::fmt;
use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};

/// Connections that wait to be accepted. The kernel takes the lesser of this and `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// A socket to take connections from: TCP, or in the file system.
#[derive(Debug)]
pub enum Listener {
    /// TCP over IPv4 or IPv6.
    Tcp(TcpListener),
    /// A UNIX stream socket.
    Unix(UnixListener),
}

/// One connection.
#[derive(Debug)]
pub enum Connection {
    /// TCP over IPv4 or IPv6.
    Tcp(TcpStream),
    /// A UNIX stream socket.
    Unix(UnixStream),
    /// What the peer sends and what it receives.
    Pipes(File, File),
}

impl Listener {
    /// Listens on a TCP address. Port 0 takes a free one, see [`Listener::address`]; `[::]` takes IPv4 too.
    pub fn bind(address: SocketAddr) -> Result<Listener, ServeError> {
        let refused = |source| ServeError::Listen { address: address.to_string(), source };
        let listener = TcpListener::bind(address).map_err(refused)?;
        Listener::Tcp(listener).ready().map_err(refused)
    }

    /// Takes over a listening stream socket, such as systemd hands to a service.
    pub fn from_fd(socket: OwnedFd) -> Result<Listener, ServeError> {
        let refused = |source| ServeError::Inherited { source };
        if !socket_acceptconn(&socket).map_err(|e| refused(e.into()))? {
            return Err(refused(io::Error::new(io::ErrorKind::InvalidInput, "it is not listening")));
        }
        match stream_family(&socket).map_err(refused)? {
            Family::Internet => Listener::Tcp(socket.into()).ready().map_err(refused),
            Family::Unix => Listener::Unix(socket.into()).ready().map_err(refused),
        }
    }

    /// The address that clients connect to; `None` for a UNIX socket.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Listener::Tcp(listener) => listener.local_addr().ok(),
            Listener::Unix(_) => None,
        }
    }

    /// Sets what every connection inherits: no delay of small packets. The original leaves the delay on, sends an answer
    /// in two pieces, and so makes a client on a kept connection wait for a delayed acknowledgement, 44 ms.
    fn ready(self) -> io::Result<Listener> {
        match &self {
            Listener::Tcp(listener) => {
                set_tcp_nodelay(listener, true)?;
                listen(listener, BACKLOG)?;
                listener.set_nonblocking(true)?;
            }
            Listener::Unix(listener) => listener.set_nonblocking(true)?,
        }
        Ok(self)
    }
}

impl Connection {
    /// Takes over a connected stream socket, such as inetd hands to a service.
    pub fn from_fd(socket: OwnedFd) -> Result<Connection, ServeError> {
        let ready = || -> io::Result<Connection> {
            match stream_family(&socket)? {
                Family::Internet => {
                    set_tcp_nodelay(&socket, true)?;
                    let stream = TcpStream::from(socket);
                    stream.set_nonblocking(true)?;
                    Ok(Connection::Tcp(stream))
                }
                Family::Unix => {
                    let stream = UnixStream::from(socket);
                    stream.set_nonblocking(true)?;
                    Ok(Connection::Unix(stream))
                }
            }
        };
        ready().map_err(|source| ServeError::Inherited { source })
    }

    /// Takes over a pipe that the peer writes to and another that it reads from.
    pub fn from_pipes(input: OwnedFd, output: OwnedFd) -> Connection {
        Connection::Pipes(input.into(), output.into())
    }

    /// Who is at the other end, as the kernel knows it.
    pub fn peer(&self) -> Peer {
        match self {
            Connection::Tcp(stream) => stream.peer_addr().map_or_else(|_| Peer::unknown(), Peer::at),
            Connection::Unix(_) | Connection::Pipes(..) => Peer::unknown(),
        }
    }
}

/// Who is asking, as it stands in the log: an address, or the original's `<unknown>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer(String);

impl Peer {
    /// A peer that somebody else knows, such as systemd by `REMOTE_ADDR`.
    pub fn named(name: &str) -> Peer {
        Peer(crate::log::shown(name).to_string())
    }

    /// A peer on the network.
    pub(crate) fn at(address: SocketAddr) -> Peer {
        Peer(address.ip().to_canonical().to_string())
    }

    /// A peer without an address worth showing, as all of a UNIX socket are.
    pub(crate) fn unknown() -> Peer {
        Peer("<unknown>".into())
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

enum Family {
    Internet,
    Unix,
}

fn stream_family(socket: &OwnedFd) -> io::Result<Family> {
    if socket_type(socket)? != SocketType::STREAM {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a stream socket"));
    }
    match socket_domain(socket)? {
        AddressFamily::INET | AddressFamily::INET6 => Ok(Family::Internet),
        AddressFamily::UNIX => Ok(Family::Unix),
        _ => Err(Errno::AFNOSUPPORT.into()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use std::error::Error;
    use std::net::UdpSocket;

    fn refusal(result: Result<impl fmt::Debug, ServeError>) -> String {
        result.unwrap_err().source().unwrap().to_string()
    }

    #[test]
    fn a_port_in_use_is_an_error_with_a_hint() {
        let first = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let error = Listener::bind(first.address().unwrap()).unwrap_err();
        assert!(error.to_string().contains(&first.address().unwrap().to_string()), "{error}");
        assert!(error.hint().contains("ss -ltnp"), "{}", error.hint());
    }

    #[test]
    fn an_address_of_another_machine_is_an_error_with_a_hint() {
        let error = Listener::bind("192.0.2.1:0".parse().unwrap()).unwrap_err();
        assert!(error.hint().contains("ip address"), "{}", error.hint());
    }

    #[test]
    fn only_listening_stream_sockets_are_listeners() {
        let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(refusal(Connection::from_fd(datagrams.into())).contains("not a stream socket"));
        let (connected, _other) = UnixStream::pair().unwrap();
        assert!(refusal(Listener::from_fd(connected.into())).contains("not listening"));
        let file = tempfile::tempfile().unwrap();
        assert!(matches!(Listener::from_fd(file.into()), Err(ServeError::Inherited { .. })));
    }

    #[test]
    fn peers_are_shown_as_addresses() {
        let listener = Listener::bind("[::]:0".parse().unwrap()).unwrap();
        let port = listener.address().unwrap().port();
        let _client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let Listener::Tcp(listener) = listener else { panic!("not TCP") };
        listener.set_nonblocking(false).unwrap();
        let (stream, address) = listener.accept().unwrap();
        assert_eq!(Peer::at(address).to_string(), "127.0.0.1", "an IPv4 peer of an IPv6 socket");
        assert!(stream.nodelay().unwrap(), "a connection has it from its listener");
        assert_eq!(Connection::Tcp(stream).peer(), Peer::at(address));
        let (one, _other) = UnixStream::pair().unwrap();
        assert_eq!(Connection::Unix(one).peer().to_string(), "<unknown>");
        assert_eq!(Peer::named("10.0.0.1\nfake").to_string(), "10.0.0.1\\x0afake");
    }
}
