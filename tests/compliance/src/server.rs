//! Key servers on the loopback: ours as it is, Debian's `tangd` with a process for each connection as systemd would.

use crate::keys::KeyDirectory;
use crate::maker::Maker;
use crate::program::{cotter, end_group, need, pid};
use rustix::process::{Signal, kill_process};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::{NamedTempFile, TempPath};

/// How long a server may take until it listens.
const START_LIMIT: Duration = Duration::from_secs(20);
/// How our server says where it listens.
const LISTENING: &str = "listening on ";

/// A running server. Dropping it stops it and takes every process it started.
pub struct Server {
    address: SocketAddr,
    log: Arc<Log>,
    run: Run,
}

enum Run {
    Ours(Child),
    Theirs { stop: Arc<AtomicBool>, accepting: Option<JoinHandle<()>> },
}

impl Server {
    /// Serves the directory on a free port.
    pub fn start(maker: Maker, keys: &KeyDirectory) -> Server {
        Server::start_on(maker, keys, 0)
    }

    /// Serves the directory on this port, which must be free; 0 chooses one.
    pub fn start_on(maker: Maker, keys: &KeyDirectory, port: u16) -> Server {
        match maker {
            Maker::Ours => Server::start_ours(keys.path(), port),
            Maker::Theirs => Server::start_theirs(keys.path(), port),
        }
    }

    /// Where it listens, as clients are told.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The configuration of the pin `tang` that names this server alone.
    pub fn config(&self) -> String {
        format!(r#"{{"url":"{}"}}"#, self.url())
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// The process of ours; the original has one per connection.
    pub fn pid(&self) -> Option<u32> {
        match &self.run {
            Run::Ours(child) => Some(child.id()),
            Run::Theirs { .. } => None,
        }
    }

    /// The bytes of one answer, or the end of the test unless it is 200.
    pub fn fetch(&self, path: &str) -> Vec<u8> {
        let url = self.url() + path;
        crate::program::Program::new("curl").args(["-sS", "--fail", "--noproxy", "*", &url]).succeed().stdout
    }

    fn start_ours(keys: &Path, port: u16) -> Server {
        let mut command = Command::new(cotter());
        command.args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--keys"]).arg(keys);
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("cannot start our server");
        let stderr = child.stderr.take().expect("stderr is a pipe");
        let log = Arc::new(Log::Lines(Mutex::default()));
        let (found, address) = channel();
        let kept = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                kept.push(&line);
                if let Some((_, address)) = line.split_once(LISTENING) {
                    let word = address.split_whitespace().next().unwrap_or_default();
                    let _ = found.send(word.trim_start_matches("http://").parse::<SocketAddr>().ok());
                }
            }
        });
        let Ok(Some(address)) = address.recv_timeout(START_LIMIT) else {
            end_group(&mut child);
            panic!("our server has not said `{LISTENING}ADDR:PORT`; it said: {}", log.text());
        };
        Server { address, log, run: Run::Ours(child) }
    }

    fn start_theirs(keys: &Path, port: u16) -> Server {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the port is not free");
        let address = listener.local_addr().unwrap();
        let (file, path) = NamedTempFile::new().unwrap().into_parts();
        let stop = Arc::new(AtomicBool::new(false));
        let (keys, stopped) = (keys.to_owned(), Arc::clone(&stop));
        let accepting = std::thread::spawn(move || accept(&listener, &keys, &file, &stopped));
        let run = Run::Theirs { stop, accepting: Some(accepting) };
        Server { address, log: Arc::new(Log::File(path)), run }
    }
}

/// A port that nobody listened on a moment ago, for programs that must be told one.
pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Waits until somebody listens there.
pub fn wait_for(port: u16) {
    let start = Instant::now();
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        assert!(start.elapsed() < START_LIMIT, "nobody listens on {port}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// One `tangd` for each connection, with the socket as its standard input and output.
fn accept(listener: &TcpListener, keys: &Path, log: &File, stop: &AtomicBool) {
    let tangd = need("tangd");
    let mut children = Vec::new();
    for socket in listener.incoming() {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let Ok(socket) = socket else { continue };
        let Ok(second) = socket.try_clone() else { continue };
        let mut command = Command::new(&tangd);
        command.arg(keys).process_group(0);
        command.stdin(OwnedFd::from(socket)).stdout(OwnedFd::from(second));
        command.stderr(log.try_clone().unwrap());
        children.push(command.spawn().expect("cannot start tangd"));
        children.retain_mut(|child: &mut Child| !matches!(child.try_wait(), Ok(Some(_))));
    }
    children.iter_mut().for_each(end_group);
}

impl Drop for Server {
    fn drop(&mut self) {
        match &mut self.run {
            Run::Ours(child) => {
                let _ = kill_process(pid(child), Signal::TERM);
                let _ = child.wait();
            }
            Run::Theirs { stop, accepting } => {
                stop.store(true, Ordering::SeqCst);
                // Wakes the loop, which waits in `accept`.
                let _ = TcpStream::connect(self.address);
                if let Some(accepting) = accepting.take() {
                    let _ = accepting.join();
                }
            }
        }
    }
}

/// Where a server's words go: ours through a pipe that we read, theirs into one file.
enum Log {
    Lines(Mutex<String>),
    File(TempPath),
}

impl Log {
    fn push(&self, line: &str) {
        if let Log::Lines(lines) = self {
            let mut lines = lines.lock().unwrap();
            lines.push_str(line);
            lines.push('\n');
        }
    }

    fn text(&self) -> String {
        match self {
            Log::Lines(lines) => lines.lock().unwrap().clone(),
            Log::File(path) => fs::read_to_string(path).unwrap_or_default(),
        }
    }
}

/// Answers every request with the same bytes and closes, whatever was asked; for servers that answer rubbish.
pub struct Parrot {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    answering: Option<JoinHandle<()>>,
}

impl Parrot {
    /// Listens on a free port.
    pub fn start(answer: impl Into<Vec<u8>>) -> Parrot {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, answer) = (Arc::clone(&stop), answer.into());
        let answering = std::thread::spawn(move || {
            for mut socket in listener.incoming().map_while(Result::ok) {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                read_request(&socket);
                let _ = socket.write_all(&answer);
            }
        });
        Parrot { address, stop, answering: Some(answering) }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Up to the empty line: closing a socket with unread bytes would reset the connection under the answer.
fn read_request(socket: &TcpStream) {
    let _ = socket.set_read_timeout(Some(Duration::from_secs(5)));
    let lines = BufReader::new(socket).lines().map_while(Result::ok);
    lines.take_while(|line| !line.is_empty()).for_each(drop);
}

impl Drop for Parrot {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(answering) = self.answering.take() {
            let _ = answering.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Curve;

    /// The accept loop is what every pairing with tangd stands on.
    #[test]
    fn the_original_serves_several_connections_and_logs() {
        let keys = KeyDirectory::new(Maker::Theirs, Curve::P521);
        let server = Server::start(Maker::Theirs, &keys);
        let advertisement = server.fetch("/adv");
        assert!(advertisement.starts_with(b"{"));
        assert!(server.fetch("/adv").starts_with(b"{"));
        assert_eq!(server.log().matches("GET /adv => 200").count(), 2, "{}", server.log());
        let port = server.port();
        drop(server);
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
    }

    #[test]
    fn a_parrot_says_one_thing() {
        let parrot = Parrot::start("HTTP/1.0 200 OK\r\n\r\nrubbish");
        let url = parrot.url() + "/adv";
        assert_eq!(crate::Program::new("curl").args(["-sS", &url]).succeed().text(), "rubbish");
    }
}
