//! The conversation (RFC 2131, section 4.4).
//!
//! ```text
//!   DISCOVER -> OFFER, REQUEST -> ACK        an address, to be asked for again in the middle of its time
//!                              -> NAK        from the beginning, after a wait
//!                   no answer, four times    from the beginning
//! ```
//!
//! Three departures from the RFC, all for speed: the first offer is taken (it may be collected, 4.4.1), the client does not wait for a
//! random time before its first message (4.4.1: so that a whole building does not shout at once when power is back; [`Client::new`] takes
//! a time to begin at), and the waits are the caller's to choose.

use super::lease::Lease;
use super::message::{Kind, Malformed, Reply, Request, code};
use super::{CLIENT_PORT, SERVER_PORT};
use crate::frame::{Datagram, udp4};
use crate::mac::Mac;
use crate::patience::{Patience, Random, low_32};
use crate::wanted::ClientId;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

/// What is asked for: everything that [`Lease`] has a place for, the routes first, as RFC 3442 wants it.
const WANTED: &[u8] = &[
    code::NETMASK,
    code::CLASSLESS_ROUTES,
    code::STATIC_ROUTES,
    code::ROUTERS,
    code::NAME_SERVERS,
    code::HOST_NAME,
    code::DOMAIN,
    code::SEARCH,
    code::MTU,
    code::TIME_SERVERS,
    code::LEASE_TIME,
    code::RENEWAL,
    code::REBINDING,
];
/// A packet of 1500 bytes without its headers.
const LONGEST_MESSAGE: u16 = 1472;
/// How often an offer is taken before the client begins anew.
const REQUESTS: u32 = 4;
/// The shortest wait while an address is kept (4.4.5).
const SHORTEST_KEEPING: Duration = Duration::from_secs(60);

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The card.
    pub mac: Mac,
    /// Option 61; without it servers go by the card, as they do for klibc and the kernel.
    pub client_id: Option<ClientId>,
    /// Told to the server, which may put it into the names that it serves.
    pub host_name: Option<String>,
    /// An address that would be welcome.
    pub address: Option<Ipv4Addr>,
}

/// One conversation on one interface.
#[derive(Clone, Debug)]
pub struct Client {
    identity: Identity,
    patience: Patience,
    state: State,
    transaction: u32,
    begun: Duration,
    /// Messages since the state was entered.
    attempt: u32,
    /// NAKs in a row.
    refusals: u32,
    due: Duration,
}

#[derive(Clone, Debug)]
enum State {
    Discovering,
    Requesting(Lease),
    Holding { lease: Lease, since: Duration },
}

/// A message to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// What it is for.
    pub kind: Kind,
    /// From where, port 68: 0.0.0.0 as long as there is no address.
    pub source: SocketAddrV4,
    /// To where, port 67: 255.255.255.255, or the server that a lease is asked of again.
    pub destination: SocketAddrV4,
    /// The payload of the datagram.
    pub payload: Vec<u8>,
}

impl Outgoing {
    /// The IPv4 packet with UDP in it, for a packet socket.
    pub fn packet(&self) -> Vec<u8> {
        let datagram = Datagram { source: self.source, destination: self.destination, payload: &self.payload };
        udp4(&datagram).unwrap_or_default()
    }
}

/// What a message that arrived was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Not for us, or at the wrong time.
    Nothing,
    /// It cannot be read.
    Malformed(Malformed),
    /// An offer, which is taken: [`Client::poll`] has the next message at once.
    Offer(Lease),
    /// The address is ours, from now on or further on.
    Lease(Lease),
    /// The server takes it back.
    Refused {
        /// The server.
        server: Option<Ipv4Addr>,
        /// What it says (option 56), without control characters.
        message: Option<String>,
    },
}

impl Client {
    /// Begins at `begin`; times are since any moment that stays the same.
    pub fn new(identity: Identity, patience: Patience, begin: Duration) -> Client {
        let state = State::Discovering;
        Client { identity, patience, state, transaction: 0, begun: begin, attempt: 0, refusals: 0, due: begin }
    }

    /// When [`Client::poll`] has something to do; [`Duration::MAX`] with a lease for ever.
    pub fn due(&self) -> Duration {
        self.due
    }

    /// The lease, as long as it is valid.
    pub fn lease(&self, now: Duration) -> Option<&Lease> {
        match &self.state {
            State::Holding { lease, since } if !is_over(lease.valid, *since, now) => Some(lease),
            _ => None,
        }
    }

    /// The message that is due.
    pub fn poll(&mut self, now: Duration, random: &mut Random<'_>) -> Option<Outgoing> {
        if now < self.due || self.due == Duration::MAX {
            return None;
        }
        if matches!(&self.state, State::Holding { lease, since } if is_over(lease.valid, *since, now))
            || matches!(&self.state, State::Requesting(_) if self.attempt >= REQUESTS)
        {
            self.begin_anew(now);
        }
        let outgoing = match self.state.clone() {
            State::Discovering => self.discover(now, random),
            State::Requesting(offer) => self.request(&offer, now, random),
            State::Holding { lease, since } => self.keep(&lease, since, now, random),
        };
        self.attempt = self.attempt.saturating_add(1);
        Some(outgoing)
    }

    /// Takes the payload of a datagram for port 68.
    pub fn receive(&mut self, now: Duration, payload: &[u8], random: &mut Random<'_>) -> Heard {
        let reply = match Reply::parse(payload) {
            Ok(reply) => reply,
            Err(malformed) => return Heard::Malformed(malformed),
        };
        if reply.transaction != self.transaction || reply.mac != self.identity.mac || self.attempt == 0 {
            return Heard::Nothing;
        }
        match (&self.state, reply.kind) {
            (State::Discovering, Kind::Offer) | (State::Requesting(_) | State::Holding { .. }, Kind::Ack) => {
                self.given(now, &reply)
            }
            (State::Requesting(_) | State::Holding { .. }, Kind::Nak) => self.refused(now, &reply, random),
            _ => Heard::Nothing,
        }
    }

    fn given(&mut self, now: Duration, reply: &Reply) -> Heard {
        let lease = match Lease::read(reply) {
            Ok(lease) => lease,
            Err(malformed) => return Heard::Malformed(malformed),
        };
        match &self.state {
            State::Discovering => {
                self.enter(State::Requesting(lease.clone()), now);
                Heard::Offer(lease)
            }
            // Somebody else's agreement to another address: a server that is not asked, or one that was dreamt up.
            State::Requesting(held) | State::Holding { lease: held, .. } if held.own() != lease.own() => Heard::Nothing,
            State::Requesting(held) if held.server != lease.server => Heard::Nothing,
            State::Requesting(_) | State::Holding { .. } => {
                self.refusals = 0;
                let due = lease.renew_after.map_or(Duration::MAX, |after| now.saturating_add(after));
                self.enter(State::Holding { lease: lease.clone(), since: now }, due);
                Heard::Lease(lease)
            }
        }
    }

    fn refused(&mut self, now: Duration, reply: &Reply, random: &mut Random<'_>) -> Heard {
        let server = reply.options.one::<4>(code::SERVER).ok().flatten().map(Ipv4Addr::from);
        let expected = match &self.state {
            State::Requesting(offer) => Some(offer.server),
            _ => server,
        };
        if server != expected {
            return Heard::Nothing;
        }
        self.begin_anew(now);
        // A server that offers and refuses in turn would otherwise be asked as fast as it answers.
        self.due = now.saturating_add(self.patience.wait(self.refusals, random()));
        self.refusals = self.refusals.saturating_add(1);
        Heard::Refused { server, message: reply.options.text(code::MESSAGE) }
    }

    fn begin_anew(&mut self, now: Duration) {
        self.begun = now;
        self.enter(State::Discovering, now);
    }

    fn enter(&mut self, state: State, due: Duration) {
        self.state = state;
        self.attempt = 0;
        self.due = due;
    }

    fn discover(&mut self, now: Duration, random: &mut Random<'_>) -> Outgoing {
        if self.attempt == 0 {
            self.transaction = low_32(random());
        }
        self.due = now.saturating_add(self.patience.wait(self.attempt, random()));
        let address = self.identity.address.map(|address| (code::ADDRESS, address.octets().to_vec()));
        self.message(Kind::Discover, now, None, address.into_iter().collect())
    }

    fn request(&mut self, offer: &Lease, now: Duration, random: &mut Random<'_>) -> Outgoing {
        self.due = now.saturating_add(self.patience.wait(self.attempt, random()));
        let options =
            vec![(code::ADDRESS, offer.own().octets().to_vec()), (code::SERVER, offer.server.octets().to_vec())];
        self.message(Kind::Request, now, None, options)
    }

    /// Asks the server, and from the second mark on any server, to go on; each time after half of what is left until the next mark.
    fn keep(&mut self, lease: &Lease, since: Duration, now: Duration, random: &mut Random<'_>) -> Outgoing {
        if self.attempt == 0 {
            self.transaction = low_32(random());
            self.begun = now;
        }
        let mark = |after: Option<Duration>| since.saturating_add(after.unwrap_or(Duration::MAX));
        let (rebind, end) = (mark(lease.rebind_after), mark(lease.valid));
        let next = if now < rebind { rebind } else { end };
        let wait = (next.saturating_sub(now) / 2).max(SHORTEST_KEEPING);
        self.due = now.saturating_add(wait).min(next);
        let server = if now < rebind { lease.server } else { Ipv4Addr::BROADCAST };
        self.message(Kind::Request, now, Some((lease.own(), server)), Vec::new())
    }

    /// `between`: our address and the server's, once there is one.
    fn message(
        &self,
        kind: Kind,
        now: Duration,
        between: Option<(Ipv4Addr, Ipv4Addr)>,
        more: Vec<(u8, Vec<u8>)>,
    ) -> Outgoing {
        let (own, server) = between.unwrap_or((Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST));
        let mut options = vec![(code::KIND, vec![kind as u8])];
        options.extend(more);
        options.push((code::WANTED, WANTED.to_vec()));
        options.push((code::LONGEST, LONGEST_MESSAGE.to_be_bytes().to_vec()));
        let id = self.identity.client_id.as_ref();
        options.extend(id.map(|id| (code::CLIENT, [&[id.kind], id.value.as_slice()].concat())));
        let name = self.identity.host_name.as_ref();
        options.extend(name.map(|name| (code::HOST_NAME, name.clone().into_bytes())));
        let seconds = u16::try_from(now.saturating_sub(self.begun).as_secs()).unwrap_or(u16::MAX);
        let request = Request { transaction: self.transaction, seconds, own, mac: self.identity.mac, options };
        Outgoing {
            kind,
            source: SocketAddrV4::new(own, CLIENT_PORT),
            destination: SocketAddrV4::new(server, SERVER_PORT),
            payload: request.to_bytes(),
        }
    }
}

fn is_over(valid: Option<Duration>, since: Duration, now: Duration) -> bool {
    valid.is_some_and(|valid| now >= since.saturating_add(valid))
}

#[cfg(test)]
mod tests;
