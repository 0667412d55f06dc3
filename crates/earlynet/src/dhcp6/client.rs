//! The conversation (RFC 8415, section 18.2).
//!
//! ```text
//!   an address      Solicit -> Advertise, Request -> Reply
//!                           -> Reply                         the short form, if the server knows it (option 14)
//!   the rest        Information-Request -> Reply
//! ```
//!
//! Two departures from the RFC, both for speed: the first offer with an address is taken at once (18.2.1 collects offers for a second unless
//! one has the highest preference), and there is no random wait before the first message (the caller says when to begin).

use super::lease::{Given, Lease, with_addresses, without_addresses};
use super::message::{Duid, Kind, Malformed, Message, code, to_bytes};
use crate::patience::{Random, low_32, part_of};
use std::time::Duration;

/// IRT of Solicit, Request and Information-Request (section 7.6).
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// REQ_MAX_RT and REQ_MAX_RC.
const LONGEST_REQUEST_WAIT: Duration = Duration::from_secs(30);
const REQUESTS: u32 = 10;
/// What SOL_MAX_RT and INF_MAX_RT may be set to by a server (sections 21.24 and 21.25).
const SETTABLE_SECONDS: std::ops::RangeInclusive<u32> = 60..=86400;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// An address and everything else; an advertisement with the flag M says that there is one.
    Address,
    /// Everything but an address; the flag O.
    Information,
}

/// One conversation on one interface.
#[derive(Clone, Debug)]
pub struct Client {
    duid: Duid,
    association: u32,
    state: State,
    longest_wait: Duration,
    transaction: u32,
    begun: Duration,
    attempt: u32,
    wait: Duration,
    due: Duration,
}

#[derive(Clone, Debug)]
enum State {
    Soliciting,
    Requesting(Lease),
    Informing,
    Done,
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
    /// What was asked for. Nothing more is sent.
    Lease(Lease),
    /// A server that has nothing for us; another may have.
    Refused {
        /// Its status: 2 is no addresses, 4 not on this link (section 21.13).
        status: u16,
        /// What it says, without control characters.
        message: Option<String>,
    },
}

impl Client {
    /// `association` is any number that stays the same for the interface; `longest_wait` is what the waits, which double from a second,
    /// end at (the RFC has an hour). Begins at `begin`; times are since any moment that stays the same.
    pub fn new(duid: Duid, association: u32, purpose: Purpose, longest_wait: Duration, begin: Duration) -> Client {
        let state = match purpose {
            Purpose::Address => State::Soliciting,
            Purpose::Information => State::Informing,
        };
        let (transaction, attempt, wait) = (0, 0, Duration::ZERO);
        Client { duid, association, state, longest_wait, transaction, begun: begin, attempt, wait, due: begin }
    }

    /// When [`Client::poll`] has something to do; [`Duration::MAX`] when all is done.
    pub fn due(&self) -> Duration {
        self.due
    }

    /// The message that is due.
    pub fn poll(&mut self, now: Duration, random: &mut Random<'_>) -> Option<Vec<u8>> {
        if now < self.due {
            return None;
        }
        if matches!(self.state, State::Requesting(_)) && self.attempt >= REQUESTS {
            self.enter(State::Soliciting, now);
        }
        if self.attempt == 0 {
            self.transaction = low_32(random()) & 0x00ff_ffff;
            self.begun = now;
        }
        let message = match &self.state {
            State::Soliciting => {
                self.message(Kind::Solicit, now, vec![self.association(None), (code::RAPID, Vec::new())])
            }
            State::Requesting(offer) => {
                let server = (code::SERVER, offer.server.as_bytes().to_vec());
                self.message(Kind::Request, now, vec![server, self.association(Some(offer))])
            }
            State::Informing => self.message(Kind::InformationRequest, now, Vec::new()),
            State::Done => {
                self.due = Duration::MAX;
                return None;
            }
        };
        self.wait = self.next_wait(random());
        self.due = now.saturating_add(self.wait);
        self.attempt = self.attempt.saturating_add(1);
        Some(message)
    }

    /// Section 15: twice the last wait and a tenth more or less, the first of a Solicit never less than a second.
    fn next_wait(&self, random: u64) -> Duration {
        let longest = match self.state {
            State::Requesting(_) => LONGEST_REQUEST_WAIT.min(self.longest_wait),
            _ => self.longest_wait,
        };
        let doubled = if self.attempt == 0 { FIRST_WAIT } else { self.wait.saturating_mul(2) };
        let base = doubled.min(longest);
        if self.attempt == 0 && matches!(self.state, State::Soliciting) {
            return base + part_of(base / 10, random);
        }
        base.saturating_sub(base / 10) + part_of(base / 5, random)
    }

    /// Takes the payload of a datagram for port 546.
    pub fn receive(&mut self, now: Duration, payload: &[u8]) -> Heard {
        let message = match Message::parse(payload) {
            Ok(message) => message,
            Err(malformed) => return Heard::Malformed(malformed),
        };
        let ours = message.options.first(code::CLIENT) == Some(self.duid.as_bytes());
        if self.attempt == 0 || message.transaction != self.transaction || !ours {
            return Heard::Nothing;
        }
        self.hear(now, &message).unwrap_or_else(Heard::Malformed)
    }

    fn hear(&mut self, now: Duration, message: &Message<'_>) -> Result<Heard, Malformed> {
        let is_reply = message.kind == Kind::Reply;
        let server = message.server()?;
        match &self.state {
            State::Soliciting => {
                self.obey_waits(message, code::LONGEST_SOLICIT_WAIT);
                // A Reply is only for who asked for the short form, and says so.
                if is_reply && message.options.first(code::RAPID).is_none() {
                    return Ok(Heard::Nothing);
                }
                Ok(match with_addresses(message, self.association)? {
                    Given::Nothing { status, message } => Heard::Refused { status, message },
                    Given::Lease(lease) if is_reply => self.done(lease),
                    Given::Lease(offer) => {
                        self.enter(State::Requesting(offer.clone()), now);
                        Heard::Offer(offer)
                    }
                })
            }
            State::Requesting(offer) if is_reply && offer.server == server => {
                Ok(match with_addresses(message, self.association)? {
                    Given::Lease(lease) => self.done(lease),
                    Given::Nothing { status, message } => {
                        // From the beginning, but not at once: the same server would offer the same again.
                        let due = self.due;
                        self.enter(State::Soliciting, due);
                        Heard::Refused { status, message }
                    }
                })
            }
            State::Informing if is_reply => {
                self.obey_waits(message, code::LONGEST_INFORMATION_WAIT);
                match message.options.status()? {
                    (0, _) => without_addresses(message).map(|lease| self.done(lease)),
                    (status, message) => Ok(Heard::Refused { status, message }),
                }
            }
            State::Requesting(_) | State::Informing | State::Done => Ok(Heard::Nothing),
        }
    }

    fn done(&mut self, lease: Lease) -> Heard {
        self.enter(State::Done, Duration::MAX);
        Heard::Lease(lease)
    }

    fn enter(&mut self, state: State, due: Duration) {
        self.state = state;
        self.attempt = 0;
        self.due = due;
    }

    /// A server may ask for longer waits than ours at the end, not for shorter ones: a whole machine is waiting.
    fn obey_waits(&mut self, message: &Message<'_>, option: u16) {
        let seconds = message.options.first(option).and_then(|content| content.try_into().ok()).map(u32::from_be_bytes);
        if let Some(seconds) = seconds.filter(|seconds| SETTABLE_SECONDS.contains(seconds)) {
            self.longest_wait = self.longest_wait.min(Duration::from_secs(seconds.into()));
        }
    }

    /// IA_NA (section 21.4) with the times for the server to choose, and the addresses of an offer.
    fn association(&self, offer: Option<&Lease>) -> (u16, Vec<u8>) {
        let mut content = [self.association, 0, 0].map(u32::to_be_bytes).concat();
        for leased in offer.iter().flat_map(|offer| &offer.addresses) {
            let address = [&leased.address.octets()[..], &[0; 8]].concat();
            content.extend(super::message::option(code::ADDRESS, &address));
        }
        (code::ASSOCIATION, content)
    }

    fn message(&self, kind: Kind, now: Duration, more: Vec<(u16, Vec<u8>)>) -> Vec<u8> {
        let hundredths = u16::try_from(now.saturating_sub(self.begun).as_millis() / 10).unwrap_or(u16::MAX);
        let wanted = [code::NAME_SERVERS, code::SEARCH, code::LONGEST_SOLICIT_WAIT, code::LONGEST_INFORMATION_WAIT];
        let mut options = vec![
            (code::CLIENT, self.duid.as_bytes().to_vec()),
            (code::WANTED, wanted.map(u16::to_be_bytes).concat()),
            (code::ELAPSED, hundredths.to_be_bytes().to_vec()),
        ];
        options.extend(more);
        to_bytes(kind, self.transaction, &options)
    }
}

#[cfg(test)]
mod tests;
