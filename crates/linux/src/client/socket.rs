//! A TCP connection as `ureq` wants one, on a socket that never blocks.

use super::patience::{LONG, Patience};
use rustix::event::{PollFd, PollFlags};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use ureq::Error;
use ureq::unversioned::transport::{Buffers, LazyBuffers, NextTimeout, Transport};

/// Buffer for what is sent. Requests to a key server fit in one; longer bodies pass through in pieces.
pub(super) const BUFFER: usize = 16 << 10;

/// Longest head of an answer, in bytes.
pub(super) const LONGEST_HEAD: usize = 64 << 10;

/// Buffer for what is received. `ureq` wants all of a head in it, and notices that one is too long only when more than that
/// has come; a full buffer looks to it like the end of the connection.
pub(super) const INPUT_BUFFER: usize = LONGEST_HEAD + 1;

/// How the request line names its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RequestForm {
    /// `GET /adv HTTP/1.1`, to a server or through a tunnel.
    Origin,
    /// `GET http://server/adv HTTP/1.1`, to a proxy; holds `http://server` (RFC 9112, 3.2.2). `ureq` only knows tunnels, and
    /// proxies commonly refuse those to port 80.
    Absolute(String),
}

/// A connected socket that waits as long as [`Patience`] allows; its waits take the place of `ureq`'s time limits.
#[derive(Debug)]
pub(super) struct Stream {
    socket: TcpStream,
    patience: Patience,
}

impl Stream {
    /// Takes a connected socket that does not block.
    pub(super) fn new(socket: TcpStream, patience: Patience) -> Stream {
        Stream { socket, patience }
    }

    fn wait_unless_broken(&self, ready: PollFlags, error: io::Error) -> io::Result<()> {
        match error.kind() {
            io::ErrorKind::Interrupted => Ok(()),
            io::ErrorKind::WouldBlock => {
                self.patience.wait(&mut [PollFd::new(&self.socket, ready)], LONG).map_err(io::Error::other)
            }
            _ => Err(error),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.socket.read(into) {
                Ok(amount) => return Ok(amount),
                Err(error) => self.wait_unless_broken(PollFlags::IN, error)?,
            }
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.socket.write(bytes) {
                Ok(amount) => return Ok(amount),
                Err(error) => self.wait_unless_broken(PollFlags::OUT, error)?,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The connection with its buffers.
#[derive(Debug)]
pub(super) struct Socket {
    stream: Stream,
    buffers: LazyBuffers,
    form: RequestForm,
    /// What is sent next begins a request.
    at_head: bool,
}

impl Socket {
    /// Requests of this form over this stream.
    pub(super) fn new(stream: Stream, form: RequestForm) -> Socket {
        Socket { stream, buffers: LazyBuffers::new(INPUT_BUFFER, BUFFER), form, at_head: true }
    }
}

impl Transport for Socket {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), Error> {
        let output = self.buffers.output();
        let (output, _) = output.split_at_checked(amount).ok_or(Error::ConnectionFailed)?;
        match &self.form {
            RequestForm::Absolute(server) if self.at_head => self.stream.write_all(&absolute(output, server))?,
            _ => self.stream.write_all(output)?,
        }
        self.at_head = false;
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, Error> {
        self.at_head = true;
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    /// Open is a connection that is silent: one that ended is readable, and one with bytes left over is out of step.
    fn is_open(&mut self) -> bool {
        matches!(self.stream.socket.peek(&mut [0]), Err(e) if e.kind() == io::ErrorKind::WouldBlock)
    }
}

/// The request head with `server` in front of the target of its first line.
fn absolute(head: &[u8], server: &str) -> Vec<u8> {
    let target = head.iter().position(|b| *b == b' ').map_or(0, |space| space + 1);
    let (method, rest) = head.split_at(target);
    [method, server.as_bytes(), rest].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_asked_for_the_whole_address() {
        let head = absolute(b"POST /rec/x HTTP/1.1\r\nhost: s\r\n", "http://s:8080");
        assert_eq!(head, b"POST http://s:8080/rec/x HTTP/1.1\r\nhost: s\r\n");
    }
}
