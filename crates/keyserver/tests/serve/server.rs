//! A server in a thread, with keys of its own and a log that can be read.

use crate::client::Client;
use crypto::SystemRandom;
use crypto::ec::Curve;
use jose::{Jwk, ThumbprintHash};
use keyserver::{Limits, Listener, Options, ServeError, Stop, StopHandle};
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::{fs, thread};
use tang::server::KeyFile;
use tempfile::TempDir;

pub struct Server {
    pub keys: Keys,
    pub address: SocketAddr,
    pub log: Kept,
    pub stop: StopHandle,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
}

/// Asked once at the beginning, to know that the server is up.
const READY: &str = "/ready";

/// A directory with one signing and one exchange key on P-256, which is quick.
pub struct Keys {
    pub room: TempDir,
    pub signing: String,
    pub exchange: String,
}

/// A log in memory.
#[derive(Clone, Default)]
pub struct Kept(Arc<Mutex<Vec<u8>>>);

impl Keys {
    pub fn new() -> Keys {
        let room = tempfile::tempdir().unwrap();
        let signing = write_key(room.path(), Jwk::signing(Curve::P256, &SystemRandom).unwrap());
        let exchange = write_key(room.path(), Jwk::exchange(Curve::P256, &SystemRandom).unwrap());
        Keys { room, signing, exchange }
    }

    pub fn path(&self) -> &Path {
        self.room.path()
    }

    pub fn file(&self, thumbprint: &str) -> PathBuf {
        self.path().join(format!("{thumbprint}.jwk"))
    }
}

/// Writes a key under its thumbprint and returns that.
pub fn write_key(directory: &Path, key: Jwk) -> String {
    let thumbprint = key.thumbprint(ThumbprintHash::S256).to_string();
    let text = key.private_json();
    fs::write(directory.join(KeyFile::named_by_thumbprint(key).name()), text.as_bytes()).unwrap();
    thumbprint
}

impl Server {
    pub fn start() -> Server {
        Server::with(Limits::default())
    }

    pub fn with(limits: Limits) -> Server {
        Server::serving(Keys::new(), limits)
    }

    pub fn serving(keys: Keys, limits: Limits) -> Server {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.address().unwrap();
        let (stop, stopped) = Stop::new();
        let log = Kept::default();
        let options = options(keys.path(), limits, &log);
        let thread = thread::spawn(move || keyserver::run(vec![listener], options, stopped));
        let server = Server { keys, address, log, stop, thread: Some(thread) };
        // Only now the keys have been read; what is done to them from here on is a change.
        assert_eq!(server.connect().status("GET", READY, ""), 404);
        server
    }

    pub fn connect(&self) -> Client<TcpStream> {
        Client::new(TcpStream::connect(self.address).unwrap())
    }

    /// Stops, and returns the whole log.
    pub fn finish(mut self) -> String {
        self.stop.stop();
        self.wait();
        self.log.text()
    }

    pub fn wait(&mut self) {
        self.thread.take().unwrap().join().unwrap().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

pub fn options(keys: &Path, limits: Limits, log: &Kept) -> Options {
    Options { keys: keys.to_owned(), limits, log: Box::new(log.clone()) }
}

impl Kept {
    /// What has been written by now, but for the line about [`READY`].
    pub fn text(&self) -> String {
        let whole = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        whole.split_inclusive('\n').filter(|line| !line.contains(READY)).collect()
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
