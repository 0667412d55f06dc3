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
    /// The lookup began where there is no way to any of the servers: there is no network, or not yet.
    NoWay {
        /// Who was to be asked.
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
                write!(f, "no answer in time from the servers of names ({})", listed(servers))
            }
            NamesError::NoWay { servers } => write!(f, "no way to the servers of names ({})", listed(servers)),
            NamesError::Cancelled => f.write_str("cancelled"),
        }
    }
}

fn listed(servers: &[NameServer]) -> String {
    servers.iter().map(NameServer::to_string).collect::<Vec<_>>().join(", ")
}

impl Error for NamesError {}
