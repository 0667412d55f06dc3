//! What somebody else opened: sockets of systemd's (sd_listen_fds(3)), or of inetd's on the standard streams; a file descriptor that was
//! named.

use rustix::fs::{FileType, OFlags, fcntl_getfl, fstat};
use rustix::io::{Errno, FdFlags, fcntl_dupfd_cloexec, fcntl_getfd, fcntl_setfd};
use rustix::net::sockopt::socket_acceptconn;
use rustix::stdio::{stderr, stdin, stdout};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::{env, error, fmt, io};

/// The first socket of systemd's (`SD_LISTEN_FDS_START`).
const FIRST: RawFd = 3;
/// More sockets than any unit lists.
const MOST: RawFd = 1024;

static TAKEN: AtomicBool = AtomicBool::new(false);

/// What this process was started with.
#[derive(Debug)]
pub enum Inherited {
    /// Nothing: it has to open its own sockets.
    Nothing,
    /// Listening sockets: a socket unit with `Accept=no`, or inetd's `wait`.
    Listening(Vec<OwnedFd>),
    /// One connection: a socket unit with `Accept=yes`, or inetd's `nowait`.
    Connected {
        /// The connection.
        socket: OwnedFd,
        /// Standard error is the same connection, as under inetd: whatever is written there, the peer reads.
        stderr_is_peer: bool,
    },
    /// A pipe in and a pipe out on the standard streams.
    Pipes {
        /// What the peer sends.
        input: OwnedFd,
        /// What it receives.
        output: OwnedFd,
    },
}

/// What was promised is not what was found.
#[derive(Debug)]
pub enum InheritedError {
    /// `LISTEN_FDS` is no number of sockets.
    Count {
        /// What it is.
        text: String,
    },
    /// A file descriptor that should be a socket is closed or something else.
    NotASocket {
        /// Its number.
        number: RawFd,
        /// What the kernel said.
        source: io::Error,
    },
    /// Listening sockets beside a connection, or several connections: nobody starts a server like that.
    Mixed,
    /// They were taken before.
    TakenBefore,
    /// A file descriptor that was named is closed.
    Closed {
        /// Its number.
        number: RawFd,
        /// What the kernel said.
        source: io::Error,
    },
    /// Nothing can be written to it.
    ReadOnly {
        /// Its number.
        number: RawFd,
    },
}

/// Takes the sockets over, once in the life of a process: systemd's if `LISTEN_PID` means this process, else the standard
/// streams if they are a socket or two pipes.
///
/// # Errors
/// [`InheritedError`]: a promise that was not kept, or a second call.
pub fn take_inherited() -> Result<Inherited, InheritedError> {
    if TAKEN.swap(true, Ordering::SeqCst) {
        return Err(InheritedError::TakenBefore);
    }
    let ours = env::var("LISTEN_PID").is_ok_and(|pid| pid == std::process::id().to_string());
    match env::var("LISTEN_FDS") {
        Ok(count) if ours && count != "0" => sort(from_systemd(&count)?),
        _ => from_standard_streams(),
    }
}

/// A file descriptor to write to, whose number somebody named who opened it for this process. To be called before anything is opened
/// here: a number that was not opened could mean one of our own files afterwards.
///
/// # Errors
/// [`InheritedError::Closed`], [`InheritedError::ReadOnly`].
pub fn named_output(number: RawFd) -> Result<OwnedFd, InheritedError> {
    let closed = |source: Errno| InheritedError::Closed { number, source: source.into() };
    if number < 0 {
        return Err(closed(Errno::BADF));
    }
    // SAFETY: it is copied by the kernel, which says if it is closed; a copy is all that is kept.
    let copy = fcntl_dupfd_cloexec(unsafe { BorrowedFd::borrow_raw(number) }, FIRST).map_err(closed)?;
    let mode = fcntl_getfl(&copy).map_err(closed)? & OFlags::ACCMODE;
    if mode == OFlags::RDONLY { Err(InheritedError::ReadOnly { number }) } else { Ok(copy) }
}

fn from_systemd(count: &str) -> Result<Vec<OwnedFd>, InheritedError> {
    let bad = || InheritedError::Count { text: count.chars().take(20).collect() };
    let count = count.parse().ok().filter(|count| (1..=MOST).contains(count)).ok_or_else(bad)?;
    (FIRST..FIRST + count).map(take).collect()
}

/// Takes one file descriptor by its number.
fn take(number: RawFd) -> Result<OwnedFd, InheritedError> {
    // SAFETY: it is only asked about, and closed is an answer; nothing else in this process can close it meanwhile, for the
    // numbers from 3 on were promised to this call.
    let seen = fcntl_getfd(unsafe { BorrowedFd::borrow_raw(number) });
    seen.map_err(|source| InheritedError::NotASocket { number, source: source.into() })?;
    // SAFETY: it is open, systemd opened it for this process (`LISTEN_PID` says so), and `TAKEN` lets nobody take it twice.
    let socket = unsafe { OwnedFd::from_raw_fd(number) };
    fcntl_setfd(&socket, FdFlags::CLOEXEC)
        .map_err(|source| InheritedError::NotASocket { number, source: source.into() })?;
    Ok(socket)
}

fn from_standard_streams() -> Result<Inherited, InheritedError> {
    match (kind(stdin()), kind(stdout())) {
        (Some(FileType::Socket), _) => sort(vec![copy(stdin(), 0)?]),
        (Some(FileType::Fifo), Some(FileType::Fifo)) => {
            Ok(Inherited::Pipes { input: copy(stdin(), 0)?, output: copy(stdout(), 1)? })
        }
        _ => Ok(Inherited::Nothing),
    }
}

fn kind(stream: BorrowedFd<'_>) -> Option<FileType> {
    fstat(stream).ok().map(|found| FileType::from_raw_mode(found.st_mode))
}

/// A copy beyond the standard streams, which stay as they are.
fn copy(stream: BorrowedFd<'_>, number: RawFd) -> Result<OwnedFd, InheritedError> {
    fcntl_dupfd_cloexec(stream, FIRST).map_err(|source| InheritedError::NotASocket { number, source: source.into() })
}

/// Listeners or a connection?
fn sort(sockets: Vec<OwnedFd>) -> Result<Inherited, InheritedError> {
    let mut listening = Vec::new();
    let mut connected = Vec::new();
    for (socket, number) in sockets.into_iter().zip(FIRST..) {
        match socket_acceptconn(&socket) {
            Ok(true) => listening.push(socket),
            Ok(false) => connected.push(socket),
            Err(source) => return Err(InheritedError::NotASocket { number, source: source.into() }),
        }
    }
    match (listening.is_empty(), connected.pop()) {
        (false, None) => Ok(Inherited::Listening(listening)),
        (true, Some(socket)) if connected.is_empty() => {
            Ok(Inherited::Connected { stderr_is_peer: is_same_file(&socket, stderr()), socket })
        }
        _ => Err(InheritedError::Mixed),
    }
}

fn is_same_file(one: impl AsFd, other: impl AsFd) -> bool {
    match (fstat(one), fstat(other)) {
        (Ok(one), Ok(other)) => (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino),
        _ => false,
    }
}

impl InheritedError {
    /// One place to look.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Count { .. } | Self::NotASocket { .. } => {
                "check what starts this program: it sets LISTEN_FDS and LISTEN_PID"
            }
            Self::Mixed => {
                "check the socket units: one service takes either listeners or one connection (`Accept=yes`)"
            }
            Self::TakenBefore => "this is a fault of the program: please report it",
            Self::Closed { .. } | Self::ReadOnly { .. } => "open it for the program, as with 3>FILE in a shell",
        }
    }
}

impl fmt::Display for InheritedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count { text } => write!(f, "LISTEN_FDS is {text:?}, which is no number of sockets"),
            Self::NotASocket { number, .. } => write!(f, "file descriptor {number} should be a socket and is not"),
            Self::Mixed => f.write_str("the sockets handed over are neither all listening nor one connection"),
            Self::TakenBefore => f.write_str("the sockets handed over were taken before"),
            Self::Closed { number, .. } => write!(f, "file descriptor {number} is not open"),
            Self::ReadOnly { number } => write!(f, "file descriptor {number} is open for reading alone"),
        }
    }
}

impl error::Error for InheritedError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::NotASocket { source, .. } | Self::Closed { source, .. } => Some(source),
            _ => None,
        }
    }
}
