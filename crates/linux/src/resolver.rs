//! Names to addresses with servers of our own knowledge: `earlynet::dns` with sockets, for the time when there is no C library's resolver
//! with files of its own, and for names that it does not know.
//!
//! All servers are asked at once, over UDP and where an answer does not fit over TCP, each from a new port. A cancel and a deadline end a wait
//! within 50 ms.

mod error;
mod exchange;

pub use error::NamesError;

use clevis::{Cancel, Deadline};
use earlynet::configured::{Hosts, NameServer};
use earlynet::dns::{Families, Lookup, Resolving};
use earlynet::{Name, Patience};
use exchange::{Exchange, Limits};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A server on the same link answers in a millisecond, one that looks a name up itself in some hundred.
const PATIENCE: Patience = Patience { first: Duration::from_millis(600), most: Duration::from_secs(3) };
const ATTEMPTS: u32 = 4;
/// More are not kept; no more than eight are asked.
const MOST: usize = 32;

/// What is known of names: entries of hosts, servers, domains. Clones share it, so that who looks names up sees what is learnt later.
#[derive(Clone, Debug, Default)]
pub struct Names(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    hosts: Hosts,
    servers: Vec<NameServer>,
    search: Vec<Name>,
    ndots: Option<usize>,
}

impl Names {
    /// With these entries and no servers.
    pub fn new(hosts: Hosts) -> Names {
        Names(Arc::new(Mutex::new(Known { hosts, ..Known::default() })))
    }

    /// Adds servers behind those that are known already; how many of them are new.
    pub fn add_servers(&self, servers: &[NameServer]) -> usize {
        self.change(|known| add(&mut known.servers, servers))
    }

    /// Adds domains to search behind those that are known already.
    pub fn add_search(&self, domains: &[Name]) {
        self.change(|known| add(&mut known.search, domains));
    }

    /// How many dots make a name be asked as it stands first.
    pub fn set_ndots(&self, ndots: usize) {
        self.change(|known| known.ndots = Some(ndots));
    }

    /// The servers, the preferred first.
    pub fn servers(&self) -> Vec<NameServer> {
        self.change(|known| known.servers.clone())
    }

    /// The domains to search.
    pub fn search(&self) -> Vec<Name> {
        self.change(|known| known.search.clone())
    }

    /// The addresses of a name, at least one: those of IPv6 and IPv4 in turn.
    ///
    /// # Errors
    /// There is none, nobody answered, or the wait ended.
    pub fn look_up(&self, name: &str, until: Deadline, cancel: &Cancel) -> Result<Vec<IpAddr>, NamesError> {
        let (hosts, resolving) = self.change(|known| (known.hosts.clone(), known.resolving()));
        let servers = resolving.servers.clone();
        let begun = Instant::now();
        let lookup = Lookup::new(name, &hosts, resolving, Duration::ZERO).map_err(NamesError::Name)?;
        let limits = Limits { begun, until, cancel };
        Exchange::new(lookup, &servers, &limits).run()
    }

    fn change<T>(&self, with: impl FnOnce(&mut Known) -> T) -> T {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Known {
    fn resolving(&self) -> Resolving {
        Resolving {
            servers: self.servers.clone(),
            search: self.search.clone(),
            ndots: self.ndots.unwrap_or(1),
            families: Families::Both,
            patience: PATIENCE,
            attempts: ATTEMPTS,
        }
    }
}

fn add<T: Clone + PartialEq>(known: &mut Vec<T>, more: &[T]) -> usize {
    let before = known.len();
    for one in more {
        if known.len() < MOST && !known.contains(one) {
            known.push(one.clone());
        }
    }
    known.len() - before
}
