//! How looking a name up fails.

use earlynet::NameError;
use earlynet::configured::NameServer;
use earlynet::dns::LookupError;
use std::error::Error;
use std::fmt;

/// Why a name has no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamesError {
    /// It is none.
    Name(NameError),
    /// The servers have none, or do not answer.
    Lookup(LookupError),
    /// Time is up.
    TimedOut {
        /// Who was asked.
        servers: Vec<NameServer>,
    },
    /// Nobody waits any more.
    Cancelled,
}

impl fmt::Display for NamesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NamesError::Name(error) => error.fmt(f),
            NamesError::Lookup(error) => error.fmt(f),
            NamesError::TimedOut { servers } => {
                let servers: Vec<String> = servers.iter().map(NameServer::to_string).collect();
                write!(f, "no answer in time from the servers of names ({})", servers.join(", "))
            }
            NamesError::Cancelled => f.write_str("cancelled"),
        }
    }
}

impl Error for NamesError {}
