//! Servers that never answer, in the two ways a client meets.

use rustix::net::{AddressFamily, SocketType, bind, listen, socket};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// Long enough for a loopback connection on a busy machine; past it, nobody takes connections any more.
const PATIENCE: Duration = Duration::from_millis(300);
/// Connections that are tried until the queue is full; the kernel rounds its length up.
const ATTEMPTS: usize = 64;

/// A server that takes the connection and says nothing. The connections wait in the kernel's queue.
pub struct Silent {
    listener: TcpListener,
}

impl Silent {
    /// Listens on a free port.
    pub fn start() -> Silent {
        Silent { listener: TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap() }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.listener.local_addr().unwrap())
    }
}

/// An address where a connection is never made, as behind a firewall that drops: the queue of a listening socket is
/// full, and the kernel drops what comes then.
pub struct BlackHole {
    address: SocketAddr,
    _listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl BlackHole {
    /// Listens on a free port and fills its own queue.
    pub fn start() -> BlackHole {
        let listener = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&listener, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        listen(&listener, 0).unwrap();
        let listener = TcpListener::from(listener);
        let address = listener.local_addr().unwrap();
        let mut queue = Vec::new();
        while let Ok(waiting) = TcpStream::connect_timeout(&address, PATIENCE) {
            queue.push(waiting);
            assert!(queue.len() < ATTEMPTS, "this kernel's queue never fills");
        }
        BlackHole { address, _listener: listener, _queue: queue }
    }

    /// Where nobody answers.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_silent_server_connects_and_a_black_hole_does_not() {
        let silent = Silent::start();
        let mut connection = TcpStream::connect(silent.listener.local_addr().unwrap()).unwrap();
        connection.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        assert!(connection.read(&mut [0]).is_err());

        let hole = BlackHole::start();
        assert!(TcpStream::connect_timeout(&hole.address, Duration::from_millis(100)).is_err());
    }
}
