//! One HTTP exchange at a time: a request goes out, an answer or a reason comes back.

use super::{Cancel, Deadline};
use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

/// Longest body of an answer that a port hands over, in bytes. An advertisement of a hundred keys is a tenth of it.
pub const LONGEST_ANSWER: usize = 1 << 20;

/// The network.
pub trait Net: Sync {
    /// Sends `request` and brings the answer, whatever its status.
    ///
    /// The whole exchange, name resolution included, ends at `until` or at a limit of the port's own, and within 50 ms of a
    /// cancel. Redirects are not followed: a key server has no reason to send one.
    fn exchange(&self, request: &HttpRequest<'_>, until: Deadline, cancel: &Cancel) -> Result<HttpResponse, NetError>;
}

/// A request to a key server.
#[derive(Clone, Copy, Debug)]
pub struct HttpRequest<'a> {
    /// What to do.
    pub method: Method,
    /// The full address; without a scheme it means `http://`.
    pub url: &'a str,
    /// Media type of the body.
    pub content_type: Option<&'a str>,
    /// The body; a `GET` has none.
    pub body: &'a [u8],
    /// Certificates for this exchange.
    pub tls: &'a TlsFiles,
}

/// The two methods that the Tang protocol uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Fetch.
    Get,
    /// Send a body.
    Post,
}

/// Files that a policy names for TLS, as paths to PEM files. They are read by the port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TlsFiles {
    /// Certificates that may sign the server's; if named, no others may.
    pub cacert: Option<String>,
    /// The certificate (and chain) to show to the server.
    pub cert: Option<String>,
    /// The private key of `cert`.
    pub key: Option<String>,
}

/// An answer, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResponse {
    /// Status code.
    pub status: u16,
    /// Body, at most [`LONGEST_ANSWER`] bytes.
    pub body: Vec<u8>,
}

/// Why an exchange brought no answer.
#[derive(Debug)]
pub enum NetError {
    /// The address cannot be asked at all.
    BadUrl {
        /// What is wrong with it.
        why: &'static str,
    },
    /// A TLS file cannot be used.
    TlsFile {
        /// Its path.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A proxy is set in the environment, but cannot be used.
    Proxy {
        /// The variable that sets it.
        variable: &'static str,
        /// Why.
        why: String,
    },
    /// The name has no address.
    Resolve {
        /// The name.
        host: String,
        /// What the resolver says.
        source: io::Error,
    },
    /// No connection.
    Connect {
        /// The last address that was tried.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// The two sides do not agree on TLS, or the server's certificate is not accepted.
    Tls {
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The connection broke, or what came over it is not HTTP.
    Broken {
        /// How.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The answer is longer than [`LONGEST_ANSWER`].
    TooLong,
    /// The status line and header fields of the answer are longer than the port takes.
    HeadTooLong {
        /// What it takes, in bytes.
        limit: usize,
    },
    /// Time is up.
    TimedOut {
        /// How long the exchange had.
        after: Duration,
    },
    /// Somebody else answered first, or the person gave up.
    Cancelled,
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NetError::BadUrl { why } => write!(f, "the address cannot be used: {why}"),
            NetError::TlsFile { path, .. } => write!(f, "the TLS file {path} cannot be used"),
            NetError::Proxy { variable, why } => write!(f, "the proxy in {variable} cannot be used: {why}"),
            NetError::Resolve { host, .. } => write!(f, "the name {host} has no address"),
            NetError::Connect { address, .. } => write!(f, "no connection to {address}"),
            NetError::Tls { .. } => f.write_str("no agreement on TLS"),
            NetError::Broken { .. } => f.write_str("no whole HTTP answer came"),
            NetError::TooLong => write!(f, "the answer is longer than {LONGEST_ANSWER} bytes"),
            NetError::HeadTooLong { limit } => write!(f, "the head of the answer is longer than {limit} bytes"),
            NetError::TimedOut { after } => write!(f, "no answer within {:.1} s", after.as_secs_f64()),
            NetError::Cancelled => f.write_str("cancelled"),
        }
    }
}

impl Error for NetError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            NetError::TlsFile { source, .. } | NetError::Resolve { source, .. } | NetError::Connect { source, .. } => {
                Some(source)
            }
            NetError::Tls { source } | NetError::Broken { source } => Some(source.as_ref()),
            NetError::BadUrl { .. }
            | NetError::Proxy { .. }
            | NetError::TooLong
            | NetError::HeadTooLong { .. }
            | NetError::TimedOut { .. }
            | NetError::Cancelled => None,
        }
    }
}
