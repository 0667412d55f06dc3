//! What a server is told when it starts.

use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// How to serve.
pub struct Options {
    /// The directory of `*.jwk` files.
    pub keys: PathBuf,
    /// What a peer may use up.
    pub limits: Limits,
    /// Where the log goes, one line per write or several; [`std::io::sink`] for nowhere.
    pub log: Box<dyn Write + Send>,
}

/// What a peer may use up before it is cut off.
///
/// The lengths of a target and of a body are not here: they belong to the protocol ([`tang::server::LONGEST_TARGET`],
/// [`tang::server::LONGEST_BODY`]).
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections open at the same time. More of them wait in the kernel's queue until one is closed.
    pub connections: usize,
    /// Bytes of a request head: request line and header fields together. At least 8192.
    pub head_bytes: usize,
    /// From the first byte of a request (or from the connection's beginning) to the end of its head.
    pub head: Duration,
    /// From the end of the head to the end of the body.
    pub body: Duration,
    /// From the answer to its last byte being taken by the network; also, before it, for keys that are being read.
    pub answer: Duration,
    /// From one answer to the first byte of the next request.
    pub idle: Duration,
    /// How long a stop waits for requests that have begun.
    pub grace: Duration,
}

impl Default for Limits {
    /// Ample for a client in an initramfs on a bad line. 4096 idle connections hold about 55 MB (measured); hostile ones that
    /// all hold back the end of the longest head and body could hold 350 MB.
    fn default() -> Limits {
        Limits {
            connections: 4096,
            head_bytes: 16 * 1024,
            head: Duration::from_secs(10),
            body: Duration::from_secs(10),
            answer: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            grace: Duration::from_secs(10),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("keys", &self.keys).field("limits", &self.limits).finish_non_exhaustive()
    }
}
