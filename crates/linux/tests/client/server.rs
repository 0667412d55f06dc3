//! Servers of a few lines, each in a thread of its own that ends with the test process.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Runs `each` on every connection, one thread each, and counts the connections.
pub(crate) fn serve(each: impl Fn(TcpStream, usize) + Send + Sync + 'static) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let (each, counted) = (Arc::new(each), count.clone());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let number = counted.fetch_add(1, Ordering::SeqCst);
            let (each, stream) = (each.clone(), stream.unwrap());
            thread::spawn(move || each(stream, number));
        }
    });
    (address, count)
}

/// Answers every request on every connection with `answer` as it stands, and closes the connection if `close`.
pub(crate) fn answering(answer: &'static [u8], close: After) -> (SocketAddr, Arc<AtomicUsize>) {
    serve(move |mut stream, _| {
        while request(&mut stream).is_some() {
            // The client may be gone already when it refuses what we send.
            if stream.write_all(answer).is_err() || close == After::Close {
                return;
            }
        }
    })
}

/// What a server does after an answer.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum After {
    Keep,
    Close,
}

/// Reads one request, head and body; `None` when the client is gone.
pub(crate) fn request(stream: &mut (impl Read + ?Sized)) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        bytes.push(byte[0]);
    }
    let head = String::from_utf8(bytes.clone()).unwrap().to_ascii_lowercase();
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length:")).map_or(0, |n| n.trim().parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    bytes.extend(body);
    Some(bytes)
}
