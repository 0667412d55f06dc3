//! How a lookup ends without addresses.

use super::answer::Unusable;
use crate::configured::NameServer;
use std::error::Error;
use std::fmt;

/// Why a name has no addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookupError {
    /// Nobody has said which servers there are.
    NoServers,
    /// All servers that answered say that there is no such name, nor one in the domains to search.
    NoName,
    /// There is such a name, without addresses of the families that were asked for.
    NoAddress,
    /// No server gave an answer.
    Servers(Vec<(NameServer, ServerFailure)>),
}

/// Why a server gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerFailure {
    /// Nothing came.
    Silent,
    /// It cannot be reached, or has broken off.
    Unreachable,
    /// What came was no answer.
    Unusable(Unusable),
}

impl fmt::Display for ServerFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerFailure::Silent => f.write_str("silent"),
            ServerFailure::Unreachable => f.write_str("unreachable"),
            ServerFailure::Unusable(unusable) => unusable.fmt(f),
        }
    }
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LookupError::NoServers => {
                f.write_str("no server of names is known; write nameserver=ADDRESS on the kernel command line")
            }
            LookupError::NoName => f.write_str("there is no such name"),
            LookupError::NoAddress => f.write_str("the name has no address of a family that this machine has"),
            LookupError::Servers(servers) => {
                f.write_str("no server of names gave an answer: ")?;
                for (n, (server, failure)) in servers.iter().enumerate() {
                    let comma = if n == 0 { "" } else { ", " };
                    write!(f, "{comma}{server} ({failure})")?;
                }
                Ok(())
            }
        }
    }
}

impl Error for LookupError {}
