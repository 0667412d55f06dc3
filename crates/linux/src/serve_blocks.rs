//! A disk offered to NBD clients on a UNIX socket: one thread for each connection, no more than a limit, and an end that
//! somebody else can ask for. The protocol itself is `block::nbd`.
//!
//! Only the owner may connect (the socket has mode 0600 from the first moment), and what was served is flushed at the end.

use block::BlockError;
use block::nbd::{Ending, Export, Negotiated, Report, SessionError, negotiate};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::{Mode, fchmod};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with};
use std::collections::HashMap;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Connections waiting to be accepted.
const BACKLOG: i32 = 16;
/// A client that does not get on with its negotiation is left after this long without a byte.
const NEGOTIATION_PATIENCE: Duration = Duration::from_secs(30);
/// How long to wait when the system has no descriptor or thread for another connection.
const SCARCITY_PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// A socket that waits for NBD clients. It is removed when this is dropped.
#[derive(Debug)]
pub struct BlockListener {
    listener: UnixListener,
    shared: Arc<Shared>,
    // Dropped last, and with it the socket's name.
    _name: SocketName,
}

/// Ends a [`BlockListener::serve`] from elsewhere.
#[derive(Clone, Debug)]
pub struct StopBlocks(Arc<Shared>);

/// What happens while serving, for a log. `connection` counts from 1.
#[derive(Debug)]
pub enum BlockEvent {
    /// A client has connected.
    Opened {
        /// Which connection.
        connection: u64,
    },
    /// A client only looked what there is, and left.
    Looked {
        /// Which connection.
        connection: u64,
        /// How it left.
        ending: Ending,
    },
    /// A client has used the disk and is gone; the report says how much, and how it ended.
    Served {
        /// Which connection.
        connection: u64,
        /// What it did.
        report: Report,
    },
    /// A negotiation failed.
    Broken {
        /// Which connection.
        connection: u64,
        /// How.
        error: SessionError,
    },
    /// A client was turned away because as many as are allowed are connected.
    TurnedAway,
    /// The system could not give us the next client; it is tried again.
    CannotAccept(io::Error),
}

impl BlockListener {
    /// Listens at `path`. A socket that nobody listens on any more is replaced; anything else at `path` is left alone.
    ///
    /// # Errors
    /// Every [`ServeBlocksError`] but [`ServeBlocksError::Flush`].
    pub fn bind(path: impl AsRef<Path>) -> Result<BlockListener, ServeBlocksError> {
        let path = path.as_ref();
        let failed = |doing| move |error: Errno| ServeBlocksError::failed(doing, path, error.into());
        clear_way(path)?;
        let address = SocketAddrUnix::new(path).map_err(failed("use as a socket's name"))?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket =
            socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).map_err(failed("make a socket for"))?;
        // Linux gives the socket's name the mode of the socket itself, so there is no moment at which others may connect.
        fchmod(&socket, Mode::RUSR | Mode::WUSR).map_err(failed("protect"))?;
        bind(&socket, &address).map_err(failed("bind to"))?;
        let name = SocketName::of(path)?;
        listen(&socket, BACKLOG).map_err(failed("listen on"))?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(failed("prepare the end of"))?;
        let shared = Arc::new(Shared { wake, state: Mutex::new(State::default()) });
        Ok(BlockListener { listener: socket.into(), shared, _name: name })
    }

    /// A handle that ends [`BlockListener::serve`], whether it has begun or not.
    pub fn stop_handle(&self) -> StopBlocks {
        StopBlocks(self.shared.clone())
    }

    /// Serves `export` to at most `limit` clients at a time until it is stopped, then closes every connection, waits for its
    /// thread and makes durable what was written.
    ///
    /// # Errors
    /// [`ServeBlocksError::Flush`]; a connection that fails is an event, not an error.
    pub fn serve(
        self,
        export: &Export,
        limit: NonZeroUsize,
        on_event: &(dyn Fn(BlockEvent) + Sync),
    ) -> Result<(), ServeBlocksError> {
        thread::scope(|scope| {
            while self.shared.wait_for_client(&self.listener) {
                let stream = match self.listener.accept() {
                    Ok((stream, _)) => stream,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                    Err(error) => {
                        on_event(BlockEvent::CannotAccept(error));
                        self.shared.pause();
                        continue;
                    }
                };
                let (stream, connection) = match self.shared.admit(stream, limit) {
                    Admission::Admitted(stream, connection) => (stream, connection),
                    Admission::Full => {
                        on_event(BlockEvent::TurnedAway);
                        continue;
                    }
                    Admission::Stopped => break,
                };
                let shared = &self.shared;
                let started = thread::Builder::new().name(format!("nbd-{connection}")).spawn_scoped(scope, move || {
                    on_event(BlockEvent::Opened { connection });
                    on_event(serve_one(connection, export, &stream));
                    shared.leave(connection);
                });
                if let Err(error) = started {
                    self.shared.leave(connection);
                    on_event(BlockEvent::CannotAccept(error));
                    self.shared.pause();
                }
            }
        });
        export.flush().map_err(ServeBlocksError::Flush)
    }
}

fn serve_one(connection: u64, export: &Export, stream: &UnixStream) -> BlockEvent {
    // A socket that does not take a time-out still works; the limit on connections holds.
    let _ = stream.set_read_timeout(Some(NEGOTIATION_PATIENCE));
    match negotiate(export, stream, stream) {
        Ok(Negotiated::Session(session)) => {
            let _ = stream.set_read_timeout(None);
            BlockEvent::Served { connection, report: session.serve() }
        }
        Ok(Negotiated::Ended(ending)) => BlockEvent::Looked { connection, ending },
        Err(error) => BlockEvent::Broken { connection, error },
    }
}

impl StopBlocks {
    /// Closes the listener and every connection. What a client has sent completely is carried out; the answer may be lost.
    pub fn stop(&self) {
        let mut state = self.0.lock();
        state.stopping = true;
        for stream in state.open.values() {
            let _ = stream.shutdown(Shutdown::Both); // it may have closed by itself
        }
        // The counter of an eventfd is only full after 2^64 - 2 stops.
        let _ = rustix::io::write(&self.0.wake, &1_u64.to_ne_bytes());
    }
}

/// What the serving thread, the connections and whoever stops them have in common.
#[derive(Debug)]
struct Shared {
    /// Readable once a stop was asked for.
    wake: OwnedFd,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    stopping: bool,
    last: u64,
    /// A second handle to each connection, to close it by.
    open: HashMap<u64, Arc<UnixStream>>,
}

enum Admission {
    Admitted(Arc<UnixStream>, u64),
    Full,
    Stopped,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// False once a stop was asked for.
    fn wait_for_client(&self, listener: &UnixListener) -> bool {
        let mut both = [PollFd::new(&self.wake, PollFlags::IN), PollFd::new(listener, PollFlags::IN)];
        // An interrupted or failed wait is one that has told nothing: look and come back.
        let _ = poll(&mut both, None);
        !self.lock().stopping
    }

    /// Waits a moment, or until the stop.
    fn pause(&self) {
        let _ = poll(&mut [PollFd::new(&self.wake, PollFlags::IN)], Some(&SCARCITY_PAUSE));
    }

    /// Registers a connection under the same lock as the stop, so that none can slip in behind it.
    fn admit(&self, stream: UnixStream, limit: NonZeroUsize) -> Admission {
        let mut state = self.lock();
        if state.stopping {
            return Admission::Stopped;
        }
        if state.open.len() >= limit.get() {
            return Admission::Full;
        }
        state.last = state.last.saturating_add(1);
        let (stream, connection) = (Arc::new(stream), state.last);
        state.open.insert(connection, stream.clone());
        Admission::Admitted(stream, connection)
    }

    fn leave(&self, connection: u64) {
        self.lock().open.remove(&connection);
    }
}

/// Removes a socket that is left from a server that is gone.
fn clear_way(path: &Path) -> Result<(), ServeBlocksError> {
    let about = match std::fs::symlink_metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(ServeBlocksError::failed("look at", path, source)),
    };
    if !about.file_type().is_socket() {
        return Err(ServeBlocksError::NotASocket { path: path.to_owned() });
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(|source| ServeBlocksError::failed("remove the old", path, source))
        }
        Err(source) => Err(ServeBlocksError::failed("look at", path, source)),
        Ok(_) => Err(ServeBlocksError::InUse { path: path.to_owned() }),
    }
}

/// The name of a socket, removed at the end unless it has come to mean another.
#[derive(Debug)]
struct SocketName {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketName {
    fn of(path: &Path) -> Result<SocketName, ServeBlocksError> {
        let about =
            std::fs::symlink_metadata(path).map_err(|source| ServeBlocksError::failed("look at", path, source))?;
        Ok(SocketName { path: path.to_owned(), identity: (about.dev(), about.ino()) })
    }
}

impl Drop for SocketName {
    fn drop(&mut self) {
        if std::fs::symlink_metadata(&self.path).is_ok_and(|about| (about.dev(), about.ino()) == self.identity) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Why a disk could not be served.
#[derive(Debug)]
pub enum ServeBlocksError {
    /// There is something at the path that is no socket.
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// Another server listens there.
    InUse {
        /// The path.
        path: PathBuf,
    },
    /// What clients wrote could not be made durable.
    Flush(BlockError),
    /// Anything else.
    Failed {
        /// What could not be done, such as `bind to`.
        doing: &'static str,
        /// With which path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl ServeBlocksError {
    fn failed(doing: &'static str, path: &Path, source: io::Error) -> ServeBlocksError {
        ServeBlocksError::Failed { doing, path: path.to_owned(), source }
    }

    /// What a person can do.
    pub fn hint(&self) -> &'static str {
        match self {
            ServeBlocksError::NotASocket { .. } => "choose another name, or remove it first",
            ServeBlocksError::InUse { .. } => "choose another name, or end the other server",
            ServeBlocksError::Flush(_) => "the disk may miss the last writes: check it before it is used",
            ServeBlocksError::Failed { .. } => "the directory must exist, and the path have less than 108 bytes",
        }
    }
}

impl fmt::Display for ServeBlocksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServeBlocksError::NotASocket { path } => write!(f, "{} exists and is not a socket", path.display()),
            ServeBlocksError::InUse { path } => write!(f, "another server listens on {}", path.display()),
            ServeBlocksError::Flush(_) => write!(f, "cannot make durable what clients have written"),
            ServeBlocksError::Failed { doing, path, .. } => write!(f, "cannot {doing} {}", path.display()),
        }
    }
}

impl std::error::Error for ServeBlocksError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ServeBlocksError::Flush(source) => Some(source),
            ServeBlocksError::Failed { source, .. } => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use block::nbd::BlockSizes;
    use block::{BlockRead, BlockWrite, Bytes, MemoryDisk};
    use std::io::{Read, Write};
    use std::os::unix::fs::PermissionsExt;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    const TWO: NonZeroUsize = NonZeroUsize::new(2).unwrap();

    fn export() -> Export {
        let sizes = BlockSizes::from_minimum(512).unwrap();
        Export::read_only("", Arc::new(MemoryDisk::from(vec![7; 4096])), sizes).unwrap()
    }

    /// Connects and asks for the default export, as far as the answer.
    fn enter(path: &Path) -> UnixStream {
        let mut stream = UnixStream::connect(path).unwrap();
        stream.read_exact(&mut [0; 18]).unwrap();
        stream.write_all(b"\0\0\0\x03IHAVEOPT\0\0\0\x07\0\0\0\x06\0\0\0\0\0\0").unwrap();
        stream.read_exact(&mut [0; 20 + 12 + 20]).unwrap();
        stream
    }

    /// Stops the server when a test ends, however it ends: a failed one would wait for the server without end.
    struct Ends(StopBlocks);

    impl Drop for Ends {
        fn drop(&mut self) {
            self.0.stop();
        }
    }

    fn is_closed(stream: &mut UnixStream) -> bool {
        matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_))
    }

    #[test]
    fn only_the_owner_may_connect_and_the_name_goes_with_the_listener() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("nbd");
        let listener = BlockListener::bind(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(listener);
        assert!(!path.exists());
    }

    #[test]
    fn only_a_dead_socket_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("nbd");
        std::fs::write(&path, b"precious").unwrap();
        assert!(matches!(BlockListener::bind(&path), Err(ServeBlocksError::NotASocket { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        std::fs::remove_file(&path).unwrap();

        drop(UnixListener::bind(&path).unwrap()); // leaves its name behind
        let listener = BlockListener::bind(&path).unwrap();
        assert!(matches!(BlockListener::bind(&path), Err(ServeBlocksError::InUse { .. })));
        drop(listener);

        let long = dir.path().join("x".repeat(200));
        assert!(matches!(BlockListener::bind(long), Err(ServeBlocksError::Failed { .. })));
        let nowhere = dir.path().join("none/nbd");
        assert!(matches!(BlockListener::bind(nowhere), Err(ServeBlocksError::Failed { doing: "bind to", .. })));
    }

    #[test]
    fn another_servers_socket_is_not_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("nbd");
        let listener = BlockListener::bind(&path).unwrap();
        std::fs::rename(&path, dir.path().join("moved")).unwrap();
        std::fs::write(&path, b"another").unwrap();
        drop(listener);
        assert!(path.exists());
    }

    #[test]
    fn a_stop_closes_everything() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("nbd");
        let listener = BlockListener::bind(&path).unwrap();
        let stop = listener.stop_handle();
        let (sender, events) = mpsc::channel();
        thread::scope(|scope| {
            let _ends = Ends(stop.clone());
            let server = scope.spawn(|| listener.serve(&export(), TWO, &|event| sender.send(event).unwrap()));
            let mut busy = enter(&path);
            let mut silent = UnixStream::connect(&path).unwrap();
            silent.read_exact(&mut [0; 18]).unwrap();
            stop.stop();
            server.join().unwrap().unwrap();
            assert!(is_closed(&mut busy) && is_closed(&mut silent));
        });
        assert!(!path.exists());
        drop(sender);
        let seen: Vec<BlockEvent> = events.iter().collect();
        let served = |event: &&BlockEvent| matches!(event, BlockEvent::Served { connection: 1, .. });
        let looked = |event: &&BlockEvent| matches!(event, BlockEvent::Looked { connection: 2, .. });
        assert_eq!(seen.iter().filter(served).count(), 1, "{seen:?}");
        assert_eq!(seen.iter().filter(looked).count(), 1, "{seen:?}");
        assert!(matches!(seen[0], BlockEvent::Opened { connection: 1 }));
    }

    #[test]
    fn a_stop_that_comes_first_is_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let listener = BlockListener::bind(dir.path().join("nbd")).unwrap();
        listener.stop_handle().stop();
        listener.serve(&export(), TWO, &|_| {}).unwrap();
    }

    #[test]
    fn one_client_too_many_is_turned_away_and_the_place_is_free_again_later() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("nbd");
        let listener = BlockListener::bind(&path).unwrap();
        let stop = listener.stop_handle();
        let (sender, events) = mpsc::channel();
        thread::scope(|scope| {
            let _ends = Ends(stop.clone());
            let server = scope.spawn(|| listener.serve(&export(), TWO, &|event| sender.send(event).unwrap()));
            let (one, _two) = (enter(&path), enter(&path));
            assert!(is_closed(&mut UnixStream::connect(&path).unwrap()));
            drop(one);
            while !matches!(events.recv().unwrap(), BlockEvent::Served { connection: 1, .. }) {}
            // The place is given back just after the event: the next client may have to ask again.
            let three = (0..1000).find_map(|_| {
                let mut stream = UnixStream::connect(&path).unwrap();
                stream.read_exact(&mut [0; 18]).ok().map(|()| stream)
            });
            assert!(three.is_some());
            stop.stop();
            server.join().unwrap().unwrap();
        });
    }

    #[test]
    fn what_was_written_is_flushed_at_the_end_and_a_failure_told() {
        #[derive(Default)]
        struct Unsafe(AtomicUsize);
        impl BlockRead for Unsafe {
            fn len(&self) -> Bytes {
                Bytes(512)
            }
            fn read_at(&self, _: Bytes, _: &mut [u8]) -> Result<(), BlockError> {
                Ok(())
            }
        }
        impl BlockWrite for Unsafe {
            fn write_at(&self, _: Bytes, _: &[u8]) -> Result<(), BlockError> {
                Ok(())
            }
            fn flush(&self) -> Result<(), BlockError> {
                self.0.fetch_add(1, Ordering::Relaxed);
                let source = ErrorKind::StorageFull.into();
                Err(BlockError::Failed { doing: "flush", offset: Bytes(0), source })
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let disk = Arc::new(Unsafe::default());
        let export = Export::read_write("", disk.clone(), BlockSizes::from_minimum(512).unwrap()).unwrap();
        let listener = BlockListener::bind(dir.path().join("nbd")).unwrap();
        listener.stop_handle().stop();
        assert!(matches!(listener.serve(&export, TWO, &|_| {}), Err(ServeBlocksError::Flush(_))));
        assert_eq!(disk.0.load(Ordering::Relaxed), 1);
    }
}
