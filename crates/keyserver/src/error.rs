//! Why a server did not start, and what to do about it.

use crate::keys::KeysUnusable;
use std::path::PathBuf;
use std::{error, fmt, io};

/// Why there is no server. Once one runs, it ends only by being stopped.
#[derive(Debug)]
pub enum ServeError {
    /// The key directory holds nothing to serve. Nothing is ever created in its place.
    Keys {
        /// The directory.
        directory: PathBuf,
        /// What is wrong with it.
        source: KeysUnusable,
    },
    /// An address cannot be listened on.
    Listen {
        /// The address.
        address: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// A socket that was handed over is not one that can be served: not a stream, or of an unknown family.
    Inherited {
        /// What the kernel said.
        source: io::Error,
    },
    /// There is no socket to listen on.
    NoListener,
    /// The machine lacks something that every server needs.
    Start {
        /// What was being started.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

impl ServeError {
    /// One command or one place to look, for the person reading the console.
    pub fn hint(&self) -> String {
        match self {
            Self::Keys { directory, source } => source.hint(directory),
            Self::Listen { address, source } => match source.kind() {
                io::ErrorKind::AddrInUse => format!("see who listens on {address}: `ss -ltnp`; or choose another port"),
                io::ErrorKind::PermissionDenied => {
                    "ports below 1024 need CAP_NET_BIND_SERVICE, or a socket unit of systemd; or choose another port"
                        .into()
                }
                io::ErrorKind::AddrNotAvailable => {
                    "see which addresses this machine has: `ip address`; or listen on all of them: `[::]:PORT`".into()
                }
                _ => "see which addresses this machine has: `ip address`".into(),
            },
            Self::Inherited { .. } => "check the socket unit: it needs `ListenStream=`".into(),
            Self::NoListener => "name an address to listen on, or start it from a socket unit".into(),
            Self::Start { .. } => {
                "check the limits of the process: `ulimit -a`, `systemctl show UNIT -p LimitNOFILE`".into()
            }
        }
    }
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keys { directory, .. } => write!(f, "no keys to serve in {}", directory.display()),
            Self::Listen { address, .. } => write!(f, "cannot listen on {address}"),
            Self::Inherited { .. } => f.write_str("the socket that was handed over cannot be served"),
            Self::NoListener => f.write_str("there is no socket to listen on"),
            Self::Start { what, .. } => write!(f, "cannot start {what}"),
        }
    }
}

impl error::Error for ServeError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Keys { source, .. } => Some(source),
            Self::Listen { source, .. } | Self::Inherited { source } | Self::Start { source, .. } => Some(source),
            Self::NoListener => None,
        }
    }
}
