//! An HTTP client that sends exactly what it is told and reads exactly one answer.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

pub struct Client<S>(pub BufReader<S>);

#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Status line and header fields, as they came.
    pub head: String,
    pub body: Vec<u8>,
}

/// Nothing on a loopback takes this long, unless it is stuck.
const PATIENCE: Duration = Duration::from_secs(20);

pub trait Patient {
    fn be_patient(&self);
}

impl Patient for TcpStream {
    fn be_patient(&self) {
        self.set_nodelay(true).unwrap();
        self.set_read_timeout(Some(PATIENCE)).unwrap();
        self.set_write_timeout(Some(PATIENCE)).unwrap();
    }
}

impl Patient for UnixStream {
    fn be_patient(&self) {
        self.set_read_timeout(Some(PATIENCE)).unwrap();
    }
}

impl<S: Read + Write + Patient> Client<S> {
    pub fn new(stream: S) -> Client<S> {
        stream.be_patient();
        Client(BufReader::new(stream))
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    pub fn ask(&mut self, method: &str, target: &str, body: &str) -> Answer {
        self.send(request(method, target, body));
        self.answer()
    }

    pub fn status(&mut self, method: &str, target: &str, body: &str) -> u16 {
        self.ask(method, target, body).status
    }

    /// Reads one answer, and not a byte more.
    pub fn answer(&mut self) -> Answer {
        self.try_answer().expect("the server closed the connection")
    }

    /// Reads one answer; `None` if the connection ends instead.
    pub fn try_answer(&mut self) -> Option<Answer> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            match self.0.read_line(&mut head) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("no answer: {error}"),
            }
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.0.read_exact(&mut body).unwrap();
        Some(Answer { status, head, body })
    }

    /// Whether the server has closed the connection without another byte. Waits for it.
    pub fn is_closed(&mut self) -> bool {
        self.try_answer().is_none()
    }
}

pub fn request(method: &str, target: &str, body: &str) -> String {
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    format!("{method} {target} HTTP/1.1\r\nHost: test\r\n{length}\r\n{body}")
}
