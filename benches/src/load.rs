//! Requests over plain HTTP from blocking sockets, one thread for each connection; bounded in time and in count.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

/// How long one round of load goes on.
const LENGTH: Duration = Duration::from_secs(1);
/// Where it ends even if the time is not over: each closed connection occupies a port for a minute.
const MOST_REQUESTS: usize = 30_000;
/// An answer that takes longer is an error.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Whether a connection serves one request or many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connections {
    Kept,
    Closed,
}

/// What is asked, again and again.
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) body: Vec<u8>,
}

/// What came of it.
pub(crate) struct Answered {
    pub(crate) count: u64,
    pub(crate) seconds: f64,
    /// Of the time from the request's first byte (or the connection, if each has its own) to the answer's last.
    pub(crate) median_answer: f64,
}

impl Request {
    fn bytes(&self, connections: Connections) -> Vec<u8> {
        let close = if connections == Connections::Closed { "Connection: close\r\n" } else { "" };
        let Request { method, path, body } = self;
        let mut bytes = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{close}").into_bytes();
        if !body.is_empty() {
            let length = body.len();
            bytes.extend(format!("Content-Type: application/jwk+json\r\nContent-Length: {length}\r\n").into_bytes());
        }
        bytes.extend(b"\r\n");
        bytes.extend(body);
        bytes
    }
}

/// One round of load. An answer that is not 200 ends the bench: its time would mean nothing.
pub(crate) fn run(port: u16, clients: usize, connections: Connections, request: &Request) -> Answered {
    let bytes = request.bytes(connections);
    let start = Instant::now();
    let each = MOST_REQUESTS.div_ceil(clients);
    let answers: Vec<f64> = std::thread::scope(|scope| {
        let client = || client(port, connections, &bytes, start + LENGTH, each).expect("a server under load failed");
        let clients: Vec<_> = (0..clients).map(|_| scope.spawn(client)).collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    let seconds = start.elapsed().as_secs_f64();
    Answered { count: answers.len() as u64, seconds, median_answer: crate::table::median(answers) }
}

/// The seconds that each answer took.
fn client(port: u16, connections: Connections, request: &[u8], end: Instant, most: usize) -> io::Result<Vec<f64>> {
    let mut answers = Vec::new();
    let mut kept = None;
    while answers.len() < most && Instant::now() < end {
        let start = Instant::now();
        let mut socket = kept.take().map_or_else(|| connect(port), Ok)?;
        socket.write_all(request)?;
        read_answer(&mut socket)?;
        answers.push(start.elapsed().as_secs_f64());
        if connections == Connections::Kept {
            kept = Some(socket);
        }
    }
    Ok(answers)
}

fn connect(port: u16) -> io::Result<TcpStream> {
    let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(ANSWER_LIMIT))?;
    Ok(socket)
}

fn read_answer(socket: &mut TcpStream) -> io::Result<()> {
    let mut answer = Vec::with_capacity(4096);
    let mut piece = [0; 4096];
    while !is_whole(&answer)? {
        match socket.read(&mut piece)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => answer.extend_from_slice(piece.get(..length).unwrap_or_default()),
        }
    }
    Ok(())
}

/// Whether head and body are there. Both servers always say how long the body is.
fn is_whole(answer: &[u8]) -> io::Result<bool> {
    const END: &[u8] = b"\r\n\r\n";
    let Some(head) = answer.windows(END.len()).position(|window| window == END) else { return Ok(false) };
    let text = String::from_utf8_lossy(answer.get(..head).unwrap_or_default()).to_ascii_lowercase();
    if !text.starts_with("http/1.1 200") {
        return Err(io::Error::other(format!("answered: {}", text.lines().next().unwrap_or_default())));
    }
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    let length = length.ok_or_else(|| io::Error::other("an answer without a length"))?;
    Ok(answer.len() >= head + END.len() + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_with_its_body() {
        let whole = |answer: &str| is_whole(answer.as_bytes());
        assert!(!whole("HTTP/1.1 200 OK\r\nContent-").unwrap());
        assert!(!whole("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab").unwrap());
        assert!(whole("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc").unwrap());
        assert!(whole("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").is_err());
        assert!(whole("HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
