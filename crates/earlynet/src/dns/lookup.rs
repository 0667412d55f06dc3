//! One lookup from a name to addresses.
//!
//! All servers are asked at once, for both families. The first that has addresses wins. That there are none counts when all servers have
//! said so, or a quarter of a second after the first did: servers of different links know different names. Who is silent is asked again, over
//! UDP as often as the caller wants. When the candidates are through and nothing was found, the lookup is over; whether to begin another
//! one is the caller's to decide, who knows how long all may take.

use super::answer::{Answer, MOST_ALIASES, Unusable};
use super::outcome::{LookupError, ServerFailure};
use super::query::{Kind, Query, Transport};
use crate::configured::{Hosts, NameServer};
use crate::name::{Name, NameError};
use crate::patience::{Patience, Random};
use std::net::IpAddr;
use std::time::Duration;

/// How long a "no" waits for a "yes" of another server.
const GRACE: Duration = Duration::from_millis(250);
/// How long the addresses of one family wait for the other's (RFC 8305, section 3).
const OTHER_FAMILY: Duration = Duration::from_millis(50);
/// How long a connection may take with its answer.
const CONNECTION: Duration = Duration::from_secs(5);
const MOST_SERVERS: usize = 8;
const MOST_DOMAINS: usize = 16;

/// Which addresses are of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Families {
    /// Those of IPv4.
    V4,
    /// Those of IPv6.
    V6,
    /// Both.
    Both,
}

/// How names are looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolving {
    /// The servers; no more than eight are asked.
    pub servers: Vec<NameServer>,
    /// The domains to search; no more than sixteen are.
    pub search: Vec<Name>,
    /// A name with fewer dots is searched before it is asked as it stands; as a rule 1.
    pub ndots: usize,
    /// Which addresses are of use.
    pub families: Families,
    /// How long a server may take before it is asked again.
    pub patience: Patience,
    /// How often it is asked.
    pub attempts: u32,
}

/// A message to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Which of the servers, for [`Lookup::receive`].
    pub server: usize,
    /// Its address.
    pub to: NameServer,
    /// Over UDP from one socket for each server, connected; over TCP on a connection of its own, with [`super::framed`].
    pub transport: Transport,
    /// The message.
    pub message: Vec<u8>,
}

/// One lookup.
#[derive(Clone, Debug)]
pub struct Lookup {
    resolving: Resolving,
    /// Names that may be meant, the next one last.
    candidates: Vec<Name>,
    /// One for each family of the name that is asked for now.
    rounds: Vec<Round>,
    found_since: Option<Duration>,
    /// Of each server the last one; none is silence.
    failures: Vec<Option<ServerFailure>>,
    has_failed: bool,
    has_name: bool,
    outcome: Option<Result<Vec<IpAddr>, LookupError>>,
}

/// The questions for the addresses of one family.
#[derive(Clone, Debug)]
struct Round {
    kind: Kind,
    name: Name,
    aliases: u32,
    /// One for each server.
    asks: Vec<Ask>,
    denied_since: Option<Duration>,
    result: Option<Answer>,
}

#[derive(Clone, Debug)]
struct Ask {
    query: Option<Query>,
    transport: Transport,
    attempts: u32,
    due: Duration,
    state: AskState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AskState {
    Waiting,
    NoAddress,
    NoName,
    Failed,
}

impl Ask {
    fn new(now: Duration) -> Ask {
        Ask { query: None, transport: Transport::Udp, attempts: 0, due: now, state: AskState::Waiting }
    }
}

impl Lookup {
    /// Begins. An address is its own answer, and so is a name that `hosts` knows; nothing is sent for those. A dot at the end says that no
    /// domain belongs behind the name.
    pub fn new(text: &str, hosts: &Hosts, resolving: Resolving, now: Duration) -> Result<Lookup, NameError> {
        let mut lookup = Lookup {
            failures: vec![None; resolving.servers.len().min(MOST_SERVERS)],
            resolving,
            candidates: Vec::new(),
            rounds: Vec::new(),
            found_since: None,
            has_failed: false,
            has_name: false,
            outcome: None,
        };
        lookup.resolving.servers.truncate(MOST_SERVERS);
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = bare.parse() {
            lookup.outcome = Some(Ok(vec![address]));
            return Ok(lookup);
        }
        let name = Name::parse(text)?;
        let known: Vec<IpAddr> =
            hosts.addresses(&name).into_iter().filter(|address| lookup.is_of_use(*address)).collect();
        if !known.is_empty() {
            lookup.outcome = Some(Ok(known));
        } else if lookup.resolving.servers.is_empty() {
            lookup.outcome = Some(Err(LookupError::NoServers));
        } else {
            lookup.candidates = candidates(&name, text.ends_with('.'), &lookup.resolving);
            lookup.next_candidate(now);
        }
        Ok(lookup)
    }

    /// The end, once there is one: addresses of both families in turn, those of IPv6 first.
    pub fn outcome(&self) -> Option<&Result<Vec<IpAddr>, LookupError>> {
        self.outcome.as_ref()
    }

    /// When [`Lookup::poll`] has something to do; [`Duration::MAX`] after the end.
    pub fn due(&self) -> Duration {
        if self.outcome.is_some() {
            return Duration::MAX;
        }
        let open = || self.rounds.iter().filter(|round| round.result.is_none());
        let asks = open().flat_map(|round| &round.asks).filter(|ask| ask.state == AskState::Waiting).map(|ask| ask.due);
        let denials = open().filter_map(|round| round.denied_since).map(|since| since.saturating_add(GRACE));
        let found = self.found_since.map(|since| since.saturating_add(OTHER_FAMILY));
        asks.chain(denials).chain(found).min().unwrap_or(Duration::MAX)
    }

    /// The messages that are due.
    pub fn poll(&mut self, now: Duration, random: &mut Random<'_>) -> Vec<Outgoing> {
        let mut sends = Vec::new();
        // Ends: each turn but the last takes a candidate.
        loop {
            self.send_due(now, random, &mut sends);
            if !self.settle(now) {
                return sends;
            }
        }
    }

    fn send_due(&mut self, now: Duration, random: &mut Random<'_>, sends: &mut Vec<Outgoing>) {
        if self.outcome.is_some() {
            return;
        }
        for round in self.rounds.iter_mut().filter(|round| round.result.is_none()) {
            for (server, (ask, to)) in round.asks.iter_mut().zip(&self.resolving.servers).enumerate() {
                if ask.state != AskState::Waiting || now < ask.due {
                    continue;
                }
                let (most, wait) = match ask.transport {
                    Transport::Udp => (self.resolving.attempts, self.resolving.patience.wait(ask.attempts, random())),
                    Transport::Tcp => (1, CONNECTION),
                };
                if ask.attempts >= most {
                    ask.state = AskState::Failed;
                    continue;
                }
                ask.attempts += 1;
                ask.due = now.saturating_add(wait);
                let query = ask.query.get_or_insert_with(|| Query::new(&round.name, round.kind, random));
                sends.push(Outgoing { server, to: to.clone(), transport: ask.transport, message: query.to_bytes() });
            }
        }
    }

    /// Takes a message from a server: a datagram, or what [`super::Stream`] makes of a connection.
    pub fn receive(&mut self, now: Duration, server: usize, transport: Transport, message: &[u8]) {
        if self.outcome.is_some() {
            return;
        }
        for round in self.rounds.iter_mut().filter(|round| round.result.is_none()) {
            if let Some(failure) = round.receive(now, server, transport, message) {
                self.failures.iter_mut().skip(server).take(1).for_each(|place| *place = Some(failure));
            }
        }
        self.settle(now);
    }

    /// A server cannot be reached. Over UDP it is asked again all the same: while a machine starts, its routes come and go.
    pub fn unreachable(&mut self, now: Duration, server: usize, transport: Transport) {
        for ask in self.rounds.iter_mut().filter_map(|round| round.asks.get_mut(server)) {
            if transport == Transport::Tcp
                && ask.transport == transport
                && ask.state == AskState::Waiting
                && ask.attempts > 0
            {
                ask.state = AskState::Failed;
            }
        }
        self.failures.iter_mut().skip(server).take(1).for_each(|place| *place = Some(ServerFailure::Unreachable));
        self.settle(now);
    }

    /// Draws conclusions; whether another candidate is asked for now.
    fn settle(&mut self, now: Duration) -> bool {
        if self.outcome.is_some() {
            return false;
        }
        self.rounds.iter_mut().for_each(|round| round.settle(now));
        let addresses = self.addresses();
        if !addresses.is_empty() {
            let since = *self.found_since.get_or_insert(now);
            if self.rounds.iter().all(Round::is_over) || now >= since.saturating_add(OTHER_FAMILY) {
                self.outcome = Some(Ok(addresses));
            }
            return false;
        }
        if !self.rounds.iter().all(Round::is_over) {
            return false;
        }
        self.has_failed |= self.rounds.iter().any(|round| round.result.is_none());
        self.has_name |= self.rounds.iter().any(|round| round.result == Some(Answer::NoAddress));
        self.next_candidate(now)
    }

    fn next_candidate(&mut self, now: Duration) -> bool {
        let Some(name) = self.candidates.pop() else {
            self.outcome = Some(Err(self.error()));
            return false;
        };
        let kinds: &[Kind] = match self.resolving.families {
            Families::V4 => &[Kind::A],
            Families::V6 => &[Kind::Aaaa],
            Families::Both => &[Kind::Aaaa, Kind::A],
        };
        let servers = self.resolving.servers.len();
        self.rounds = kinds.iter().map(|kind| Round::new(*kind, name.clone(), servers, now)).collect();
        true
    }

    /// What may be mended by asking again comes first.
    fn error(&self) -> LookupError {
        if self.has_failed {
            let failures = self.failures.iter().map(|failure| failure.unwrap_or(ServerFailure::Silent));
            LookupError::Servers(self.resolving.servers.iter().cloned().zip(failures).collect())
        } else if self.has_name {
            LookupError::NoAddress
        } else {
            LookupError::NoName
        }
    }

    /// What was found so far, the families in turn.
    fn addresses(&self) -> Vec<IpAddr> {
        let found = |round: &Round| match &round.result {
            Some(Answer::Addresses(addresses)) => addresses.clone(),
            _ => Vec::new(),
        };
        let lists: Vec<Vec<IpAddr>> = self.rounds.iter().map(found).collect();
        let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
        (0..longest).flat_map(|n| lists.iter().filter_map(move |list| list.get(n).copied())).collect()
    }

    fn is_of_use(&self, address: IpAddr) -> bool {
        match self.resolving.families {
            Families::V4 => address.is_ipv4(),
            Families::V6 => address.is_ipv6(),
            Families::Both => true,
        }
    }
}

impl Round {
    fn new(kind: Kind, name: Name, servers: usize, now: Duration) -> Round {
        let asks = vec![Ask::new(now); servers];
        Round { kind, name, aliases: 0, asks, denied_since: None, result: None }
    }

    /// Takes a message if it is for this round; why the server is of no use, if it is of none.
    fn receive(&mut self, now: Duration, server: usize, transport: Transport, message: &[u8]) -> Option<ServerFailure> {
        let ask = self.asks.get_mut(server)?;
        let query = ask.query.as_ref().filter(|_| ask.state == AskState::Waiting && ask.transport == transport)?;
        let unusable = match Answer::read(message, query, transport) {
            Ok(answer @ Answer::Addresses(_)) => {
                self.result = Some(answer);
                return None;
            }
            Ok(Answer::Alias(name)) if self.aliases < MOST_ALIASES => {
                let aliases = self.aliases + 1;
                *self = Round { aliases, ..Round::new(self.kind, name, self.asks.len(), now) };
                return None;
            }
            Ok(answer @ (Answer::NoAddress | Answer::NoName)) => {
                ask.state = if answer == Answer::NoName { AskState::NoName } else { AskState::NoAddress };
                self.denied_since.get_or_insert(now);
                return None;
            }
            Ok(Answer::Alias(_)) => Unusable::Circle,
            Err(unusable) => unusable,
        };
        match unusable {
            // As if it had not come: it may be forged, and the answer still on its way.
            Unusable::OtherQuestion => return None,
            Unusable::Short(_) | Unusable::Name(_) => {}
            Unusable::OtherCase | Unusable::Truncated if transport == Transport::Udp => {
                (ask.transport, ask.attempts, ask.due) = (Transport::Tcp, 0, now);
            }
            Unusable::NoExtension => {
                // Not again: without EDNS0 the same refusal is an error.
                ask.query = Some(query.without_extension());
                (ask.attempts, ask.due) = (0, now);
            }
            Unusable::OtherCase | Unusable::Truncated | Unusable::Code(_) | Unusable::Circle => {
                ask.state = AskState::Failed
            }
        }
        Some(ServerFailure::Unusable(unusable))
    }

    /// Makes of what the servers said what is true, if it is time.
    fn settle(&mut self, now: Duration) {
        let is_late = self.denied_since.is_some_and(|since| now >= since.saturating_add(GRACE));
        if self.result.is_none() && (is_late || self.asks.iter().all(|ask| ask.state != AskState::Waiting)) {
            let said = |state| self.asks.iter().any(|ask| ask.state == state);
            self.result = match () {
                () if said(AskState::NoAddress) => Some(Answer::NoAddress),
                () if said(AskState::NoName) => Some(Answer::NoName),
                () => None,
            };
        }
    }

    /// Nothing more is to be expected: it has a result, or no server has.
    fn is_over(&self) -> bool {
        self.result.is_some() || self.asks.iter().all(|ask| ask.state == AskState::Failed)
    }
}

/// The names that may be meant, the first to be asked last. Of names that would be too long there is none.
fn candidates(name: &Name, is_absolute: bool, resolving: &Resolving) -> Vec<Name> {
    let domains = resolving.search.iter().take(MOST_DOMAINS).filter(|_| !is_absolute);
    let mut names: Vec<Name> = domains.filter_map(|domain| name.within(domain).ok()).collect();
    let place = if name.dots() >= resolving.ndots { 0 } else { names.len() };
    names.insert(place, name.clone());
    names.reverse();
    names
}

#[cfg(test)]
mod tests;
