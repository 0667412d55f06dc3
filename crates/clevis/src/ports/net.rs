//! One HTTP exchange at a time: a request goes out, an answer or a reason comes back.

use super::moment::Moment;
use super::tls::{ServerPin, TlsSettings, Unseal};
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
    /// What TLS needs to know for this exchange.
    pub tls: &'a TlsSettings,
    /// Opens the client's key if its file holds a sealed one; without it such a file is an error.
    pub unseal: Option<&'a dyn Unseal>,
}

/// The two methods that the Tang protocol uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Fetch.
    Get,
    /// Send a body.
    Post,
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
    /// The client's key does not come out of what its file holds.
    ClientKey {
        /// The path of the file.
        path: String,
        /// Why: what [`Unseal`] says.
        source: Box<dyn Error + Send + Sync>,
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
    /// The server's key is none of those that were pinned.
    OtherKey {
        /// The key that it showed.
        shown: ServerPin,
        /// Those that were wanted.
        wanted: Vec<ServerPin>,
    },
    /// A certificate that the server showed is not good yet, by the clock of this machine.
    NotYetGood {
        /// What the clock says.
        now: Moment,
        /// From when on it is good.
        from: Moment,
    },
    /// A certificate that the server showed is not good any more.
    Expired {
        /// What the clock says, or when the image was built, if that is later.
        now: Moment,
        /// Until when it was good.
        until: Moment,
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
            NetError::ClientKey { path, .. } => write!(f, "the client's key does not come out of {path}"),
            NetError::Proxy { variable, why } => write!(f, "the proxy in {variable} cannot be used: {why}"),
            NetError::Resolve { host, .. } => write!(f, "the name {host} has no address"),
            NetError::Connect { address, .. } => write!(f, "no connection to {address}"),
            NetError::Tls { .. } => f.write_str("no agreement on TLS"),
            NetError::OtherKey { shown, wanted } => {
                write!(f, "the server's key is none of the pinned ones: it shows {shown}, and ")?;
                wanted
                    .iter()
                    .enumerate()
                    .try_for_each(|(at, pin)| write!(f, "{}{pin}", if at == 0 { "" } else { " or " }))?;
                f.write_str(" is wanted")
            }
            NetError::NotYetGood { now, from } => {
                write!(f, "the server's certificate is good from {from} on, and the clock of this machine says {now}")
            }
            NetError::Expired { now, until } => {
                write!(f, "the server's certificate was good until {until}, and now it is {now}")
            }
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
            NetError::ClientKey { source, .. } | NetError::Tls { source } | NetError::Broken { source } => {
                Some(source.as_ref())
            }
            NetError::BadUrl { .. }
            | NetError::Proxy { .. }
            | NetError::OtherKey { .. }
            | NetError::NotYetGood { .. }
            | NetError::Expired { .. }
            | NetError::TooLong
            | NetError::HeadTooLong { .. }
            | NetError::TimedOut { .. }
            | NetError::Cancelled => None,
        }
    }
}
