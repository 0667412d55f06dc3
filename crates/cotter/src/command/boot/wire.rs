//! The way to key servers while a machine starts: one connection for each server, whoever asks; the network is brought up when the first
//! request finds none.
//!
//! Requests to one server go one after the other, over a connection that is kept: the second volume pays for no handshake. The limit of a
//! request is its own: who waits for others at a server that answers loses nothing by it. A request that is under way when the network
//! changes is begun anew: what was sent into a network that was not whole may never be answered.

use super::bell::Bell;
use super::diary::Diary;
use super::events::say;
use clevis::{Cancel, Deadline, HttpRequest, HttpResponse, Net, NetError};
use linux::network::{NetworkError, NetworkPlan, bring_up};
use linux::{Client, deadline_after, is_past};
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How soon a cancel is noticed, and how often it is looked what was done to the network meanwhile.
const NOTICE: Duration = Duration::from_millis(50);
/// Between two attempts to bring the network up, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(8));
/// How often one request is begun anew.
const MOST_ANEW: u32 = 8;

/// How it is with the network.
#[derive(Debug)]
enum State {
    /// Nobody has needed one that was not there.
    Untouched,
    /// It is needed, to reach these addresses if any are known.
    Wanted(Vec<IpAddr>),
    /// It is there, or will not be: what fails now fails for another reason.
    Settled,
}

/// A server, by scheme, name and port.
#[derive(Debug, Default)]
struct Server {
    /// A request is under way.
    busy: bool,
    /// It has answered.
    good: bool,
    /// Ends the request that is under way.
    cancel: Option<Cancel>,
}

/// What all searches of a run share.
pub struct Wire<'a> {
    client: &'a Client,
    bell: &'a Bell,
    state: Mutex<State>,
    servers: Mutex<BTreeMap<String, Server>>,
    freed: Condvar,
}

impl<'a> Wire<'a> {
    /// Over this client; `may_bring_up`: whether the network is touched at all.
    pub fn new(client: &'a Client, bell: &'a Bell, may_bring_up: bool) -> Wire<'a> {
        let state = Mutex::new(if may_bring_up { State::Untouched } else { State::Settled });
        Wire { client, bell, state, servers: Mutex::default(), freed: Condvar::new() }
    }

    /// The network for tries of this length.
    pub fn line(&'a self, limit: Duration) -> Line<'a> {
        Line { wire: self, limit }
    }

    /// Brings the network up when it is wanted, and keeps it until the cancel. Until then nothing is touched.
    pub fn keep(&self, plan: &NetworkPlan, until: Deadline, diary: &Diary, cancel: &Cancel) {
        let mut pause = PAUSE.0;
        while !cancel.is_cancelled() && !is_past(until) {
            let seen = self.bell.count();
            let Some(reach) = self.wanted() else {
                self.bell.wait(seen, NOTICE, cancel);
                continue;
            };
            let plan = NetworkPlan { reach, ..plan.clone() };
            match bring_up(&plan, until, cancel, Box::new(|event| say(None, &event.to_string()))) {
                Ok(network) => {
                    self.client.resolve_with(network.names());
                    diary.network(network.changes());
                    self.settle();
                    while !cancel.is_cancelled() {
                        self.bell.wait(self.bell.count(), NOTICE, cancel);
                        diary.network(network.changes());
                    }
                    return;
                }
                Err(NetworkError::Cancelled) => return,
                Err(error) => {
                    say(None, &error.to_string());
                    if matches!(error, NetworkError::Off) {
                        return self.settle();
                    }
                    self.bell.wait(self.bell.count(), pause, cancel);
                    pause = PAUSE.1.min(pause * 2);
                }
            }
        }
        self.settle();
    }

    fn settle(&self) {
        *self.state() = State::Settled;
        self.bell.ring();
    }

    fn wanted(&self) -> Option<Vec<IpAddr>> {
        if let State::Wanted(reach) = &*self.state() { Some(reach.clone()) } else { None }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn servers(&self) -> MutexGuard<'_, BTreeMap<String, Server>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The network has changed: requests to servers that have not answered yet are begun anew.
    pub fn begin_anew(&self) {
        for server in self.servers().values() {
            if let (false, Some(cancel)) = (server.good, &server.cancel) {
                cancel.cancel();
            }
        }
    }

    /// Waits for the network that a request has found missing; `false`: there is none to be waited for.
    fn await_network(&self, url: &str, until: Deadline, cancel: &Cancel) -> bool {
        {
            let mut state = self.state();
            let address = host(url).parse().ok();
            match &mut *state {
                State::Untouched => *state = State::Wanted(address.into_iter().collect()),
                State::Wanted(reach) => reach.extend(address.filter(|address| !reach.contains(address))),
                State::Settled => return false,
            }
        }
        self.bell.ring();
        loop {
            let seen = self.bell.count();
            if matches!(*self.state(), State::Settled) {
                return true;
            }
            if cancel.is_cancelled() || is_past(until) {
                return false;
            }
            self.bell.wait(seen, NOTICE, cancel);
        }
    }

    /// The right to ask this server, once those before have their answers. While the server has answered nobody, waiting counts as asking:
    /// nobody is to wait behind a whole row of those who wait in vain.
    fn turn(&self, name: &str, limit: Duration, cancel: &Cancel) -> Result<Turn<'_>, NetError> {
        let since = Instant::now();
        let mut servers = self.servers();
        loop {
            let server = servers.entry(name.to_owned()).or_default();
            if !server.busy {
                let child = cancel.child();
                (server.busy, server.cancel) = (true, Some(child.clone()));
                return Ok(Turn { wire: self, name: name.to_owned(), cancel: child });
            }
            if cancel.is_cancelled() {
                return Err(NetError::Cancelled);
            }
            if !server.good && since.elapsed() > limit {
                return Err(NetError::TimedOut { after: since.elapsed() });
            }
            servers = self.freed.wait_timeout(servers, NOTICE).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// The right to ask a server; the next one has it when this is dropped.
struct Turn<'a> {
    wire: &'a Wire<'a>,
    name: String,
    cancel: Cancel,
}

impl Turn<'_> {
    fn answered(&self, good: bool) {
        if let Some(server) = self.wire.servers().get_mut(&self.name) {
            server.good = good;
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(server) = self.wire.servers().get_mut(&self.name) {
            (server.busy, server.cancel) = (false, None);
        }
        self.wire.freed.notify_all();
    }
}

/// The network, as one try sees it.
pub struct Line<'a> {
    wire: &'a Wire<'a>,
    limit: Duration,
}

impl Net for Line<'_> {
    fn exchange(&self, request: &HttpRequest<'_>, until: Deadline, cancel: &Cancel) -> Result<HttpResponse, NetError> {
        let mut anew = 0;
        loop {
            let turn = self.wire.turn(origin(request.url), self.limit, cancel)?;
            let answer = self.wire.client.exchange(request, until.earlier(deadline_after(self.limit)), &turn.cancel);
            turn.answered(answer.is_ok());
            drop(turn);
            match answer {
                Err(NetError::Cancelled) if !cancel.is_cancelled() && anew < MOST_ANEW => anew += 1,
                Err(error) if is_without_network(&error) => {
                    if !self.wire.await_network(request.url, until, cancel) {
                        return Err(if cancel.is_cancelled() { NetError::Cancelled } else { error });
                    }
                }
                Err(NetError::Cancelled) if !cancel.is_cancelled() => {
                    return Err(NetError::TimedOut { after: self.limit });
                }
                answer => return answer,
            }
        }
    }
}

/// Whether an error may mean that there is no network.
fn is_without_network(error: &NetError) -> bool {
    use io::ErrorKind::{AddrNotAvailable, HostUnreachable, NetworkDown, NetworkUnreachable};
    /// There is no such interface.
    const ENODEV: i32 = 19;
    match error {
        NetError::Resolve { .. } => true,
        NetError::Connect { source, .. } => {
            matches!(source.kind(), NetworkUnreachable | HostUnreachable | NetworkDown | AddrNotAvailable)
                || source.raw_os_error() == Some(ENODEV)
        }
        _ => false,
    }
}

/// Scheme, name and port of an address, as they stand in it.
fn origin(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url.get(start..).and_then(|rest| rest.find(['/', '?', '#'])).map_or(url.len(), |at| start + at);
    url.get(..end).unwrap_or(url)
}

/// The name or address of its server.
fn host(url: &str) -> &str {
    let place = origin(url).rsplit("//").next().unwrap_or_default().rsplit('@').next().unwrap_or_default();
    match place.strip_prefix('[') {
        Some(rest) => rest.split(['%', ']']).next().unwrap_or_default(),
        None => place.split(':').next().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_known_by_scheme_name_and_port() {
        for (url, whole, name) in [
            ("http://tang.example:8080/rec/x", "http://tang.example:8080", "tang.example"),
            ("tang.example/adv", "tang.example", "tang.example"),
            ("https://u:p@192.0.2.1", "https://u:p@192.0.2.1", "192.0.2.1"),
            ("http://[fe80::1%eth0]:80/adv", "http://[fe80::1%eth0]:80", "fe80::1"),
            ("", "", ""),
        ] {
            assert_eq!((origin(url), host(url)), (whole, name));
        }
    }

    #[test]
    fn one_asks_a_server_at_a_time_and_waiting_for_a_silent_one_has_an_end() {
        let (client, bell, cancel) = (Client::with_variables(|_| None), Bell::default(), Cancel::new());
        let wire = Wire::new(&client, &bell, false);
        let (soon, long) = (Duration::from_millis(1), Duration::from_secs(600));
        let first = wire.turn("a", long, &cancel).unwrap();
        assert!(wire.turn("b", long, &cancel).is_ok());
        assert!(matches!(wire.turn("a", soon, &cancel).err(), Some(NetError::TimedOut { .. })));
        // One that has not answered is asked anew when the network changes.
        wire.begin_anew();
        assert!(first.cancel.is_cancelled() && !cancel.is_cancelled());
        first.answered(true);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| wire.turn("a", soon, &cancel).is_ok());
            drop(first);
            assert!(waiting.join().unwrap());
        });
        let _held = wire.turn("a", long, &cancel).unwrap();
        cancel.cancel();
        assert!(matches!(wire.turn("a", long, &cancel).err(), Some(NetError::Cancelled)));
    }
}
