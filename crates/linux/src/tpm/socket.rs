//! swtpm behind a socket. Each command has a connection of its own: swtpm may be set to close it after the answer, and it serves one at a
//! time.

use super::waiting::{GLANCE, Waiting};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::sockopt::{set_tcp_nodelay, socket_error};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};
use rustix::net::{connect, recv, send, socket_with};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use tpm2::{LONGEST_ANSWER, TransportError};

/// Tag, length, code: what every answer begins with.
const HEADER_LEN: usize = 10;

/// Where swtpm listens.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Socket {
    pub(super) fn exchange(&self, command: &[u8], waiting: &Waiting<'_>) -> Result<Vec<u8>, TransportError> {
        let socket = self.connect(waiting)?;
        let mut left = command;
        while !left.is_empty() {
            let sent = ready(&socket, PollFlags::OUT, waiting, || send(&socket, left, SendFlags::NOSIGNAL))?;
            left = left.get(sent..).unwrap_or_default();
        }
        let mut answer = Vec::new();
        receive(&socket, &mut answer, HEADER_LEN, waiting)?;
        let size = answer.get(2..6).and_then(|size| size.try_into().ok()).map_or(0, u32::from_be_bytes);
        let size = usize::try_from(size).ok().filter(|size| *size <= LONGEST_ANSWER).ok_or(TransportError::TooLong)?;
        receive(&socket, &mut answer, size, waiting)?;
        Ok(answer)
    }

    fn connect(&self, waiting: &Waiting<'_>) -> Result<OwnedFd, TransportError> {
        let place = match self {
            Socket::Tcp(address) => address.to_string(),
            Socket::Unix(path) => path.display().to_string(),
        };
        let failed = |errno: Errno| TransportError::Open { place: place.clone(), source: errno.into() };
        let family = match self {
            Socket::Tcp(SocketAddr::V4(_)) => AddressFamily::INET,
            Socket::Tcp(SocketAddr::V6(_)) => AddressFamily::INET6,
            Socket::Unix(_) => AddressFamily::UNIX,
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(family, SocketType::STREAM, flags, None).map_err(failed)?;
        loop {
            let connected = match self {
                Socket::Tcp(address) => connect(&socket, address),
                Socket::Unix(path) => SocketAddrUnix::new(path).and_then(|address| connect(&socket, &address)),
            };
            match connected {
                Ok(()) => break,
                Err(Errno::INPROGRESS) => {
                    waiting.poll(PollFd::new(&socket, PollFlags::OUT))?;
                    socket_error(&socket).map_err(failed)?.map_err(failed)?;
                    break;
                }
                // The queue of a UNIX socket is full; nothing tells when it is not.
                Err(Errno::AGAIN) => std::thread::sleep(waiting.left()?.min(GLANCE)),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
        if matches!(self, Socket::Tcp(_)) {
            set_tcp_nodelay(&socket, true).map_err(failed)?;
        }
        Ok(socket)
    }
}

/// Receives until the answer has `len` bytes.
fn receive(socket: &OwnedFd, answer: &mut Vec<u8>, len: usize, waiting: &Waiting<'_>) -> Result<(), TransportError> {
    let mut buffer = [0; LONGEST_ANSWER];
    while answer.len() < len {
        let room = buffer.get_mut(..len.saturating_sub(answer.len())).unwrap_or_default();
        let (count, _) = ready(socket, PollFlags::IN, waiting, || recv(socket, &mut *room, RecvFlags::empty()))?;
        if count == 0 {
            return Err(TransportError::Broken { source: io::ErrorKind::UnexpectedEof.into() });
        }
        answer.extend(buffer.get(..count).unwrap_or_default());
    }
    Ok(())
}

/// Does it as soon as the socket lets it be done.
fn ready<T>(
    socket: &OwnedFd,
    flags: PollFlags,
    waiting: &Waiting<'_>,
    mut act: impl FnMut() -> Result<T, Errno>,
) -> Result<T, TransportError> {
    loop {
        match act() {
            Ok(done) => return Ok(done),
            Err(Errno::AGAIN) => waiting.poll(PollFd::new(socket, flags))?,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(TransportError::Broken { source: errno.into() }),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;
    use std::time::{Duration, Instant};
    use tpm2::Patience;

    const CALM: Patience<'_> = Patience { until: None, at_most: Some(Duration::from_secs(60)), cancelled: &|| false };

    /// What comes back when the far side answers one command with these bytes and closes.
    fn exchange(answer: &'static [u8]) -> Result<Vec<u8>, TransportError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("swtpm");
        let listener = UnixListener::bind(&path).unwrap();
        let far = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut command = [0; 7];
            socket.read_exact(&mut command).unwrap();
            socket.write_all(answer).unwrap();
            command
        });
        let found = Socket::Unix(path).exchange(b"command", &Waiting::new(&CALM));
        assert_eq!(far.join().unwrap(), *b"command");
        found
    }

    #[test]
    fn an_answer_is_as_long_as_its_header_says() {
        let good = b"\x80\x01\0\0\0\x0b\0\0\0\0x";
        assert_eq!(exchange(good).unwrap(), good);
        assert_eq!(exchange(b"\x80\x01\0\0\0\x0a\0\0\0\0x").unwrap(), b"\x80\x01\0\0\0\x0a\0\0\0\0");
        for cut in [&b""[..], b"\x80", b"\x80\x01\0\0\0\x0c\0\0\0\0x"] {
            assert!(matches!(exchange(cut), Err(TransportError::Broken { .. })), "{cut:?}");
        }
        assert!(matches!(exchange(b"\x80\x01\xff\0\0\x0a\0\0\0\0x"), Err(TransportError::TooLong)));
    }

    #[test]
    fn nobody_there_and_nobody_answering_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("swtpm");
        let socket = Socket::Unix(path.clone());
        assert!(matches!(socket.exchange(b"c", &Waiting::new(&CALM)), Err(TransportError::Open { .. })));
        let _listener = UnixListener::bind(&path).unwrap();
        let hurry = Patience { at_most: Some(Duration::from_millis(20)), ..CALM };
        assert!(matches!(socket.exchange(b"c", &Waiting::new(&hurry)), Err(TransportError::TimedOut { .. })));
        let start = Instant::now();
        let soon = || start.elapsed() > Duration::from_millis(30);
        let given_up = Patience { cancelled: &soon, ..CALM };
        assert!(matches!(socket.exchange(b"c", &Waiting::new(&given_up)), Err(TransportError::Cancelled)));
        assert!(start.elapsed() < Duration::from_secs(30), "it was waited for");
    }
}
