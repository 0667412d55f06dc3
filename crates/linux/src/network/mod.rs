//! The network of a machine that starts, in one story: [`bring_up`].
//!
//! 1. **What is there is used.** If an interface has a carrier, an address and a way to where the caller wants to go, nothing is touched; what
//!    others have learnt of names is collected (`found` has the list).
//! 2. **Who is at work is waited for**, half a minute at most (`found` says who counts); if the network is there then, it is used.
//! 3. **Otherwise it is done here**, as the words of the kernel's command line say; without any, whatever the network offers, on all cards at
//!    once. Cards that udev has not named yet are left alone until it has: only a card that is off can be renamed.
//!    An interface is switched on, and from its carrier on asks DHCP and routers. The first address that leads to where it should ends the
//!    wait; if no word says which card, what was done to the others is taken back. The other family, other cards that are named, and leases that
//!    run out are seen to in a thread of their own, until the [`Network`] is dropped.
//!
//! What sources say of names is asked in this order: the command line, the caller's own servers, others, leases and advertisements as they come.
//! Nothing sleeps: every step follows from news of the kernel, an answer, or the time of the next message. A cancel is seen within 50 ms.
//!
//! Everything that was done is on a list ([`Network::changes`]) which [`take_back`] undoes, in this process or another one.

mod describe;
mod engine;
mod error;
mod event;
mod found;
mod job;
mod net_conf;
mod plan;
mod shared;
mod stack;
mod talks;

pub use error::{NetworkError, Standing};
pub use event::{Milestone, NetworkEvent};
pub use plan::{NetworkPlan, Places};

use crate::Names;
use crate::link::{Change, Links, News, View};
use crate::waiting::wait;
use clevis::{Cancel, Deadline};
use earlynet::LinkName;
use earlynet::configured::{Hosts, NameServer};
use engine::Engine;
use error::seen;
use rustix::event::{PollFd, PollFlags};
use rustix::pipe::{PipeFlags, pipe_with};
use shared::Shared;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long others are waited for.
const OTHERS: Duration = Duration::from_secs(30);
/// How often it is looked whether they are still at work: processes tell nobody of their end.
const GLANCE: Duration = Duration::from_millis(500);

/// A network that can be used. When this is dropped nothing more is done for it; it stays as it is.
#[derive(Debug)]
pub struct Network {
    link: Option<LinkName>,
    names: Names,
    changes: Arc<Mutex<Vec<Change>>>,
    /// Closed when this is dropped, which ends the thread.
    _stop: Option<OwnedFd>,
}

impl Network {
    /// The interface that counts; none if it is this machine alone that is to be reached.
    pub fn link(&self) -> Option<&LinkName> {
        self.link.as_ref()
    }

    /// What is known of names; what is learnt later is in it too.
    pub fn names(&self) -> Names {
        self.names.clone()
    }

    /// What was done, one line each, for [`take_back`]; it holds no secret. It may grow for as long as this is not dropped.
    pub fn changes(&self) -> Vec<String> {
        let changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes.iter().map(Change::to_string).collect()
    }
}

/// Takes back what [`Network::changes`] says, last first. Each failure is a line, and keeps nothing else from being taken back; what is gone
/// already is no failure. A line that is none of ours does nothing, and is told.
pub fn take_back(changes: &[String]) -> Vec<String> {
    let parsed: Vec<Result<Change, String>> = changes
        .iter()
        .map(|line| {
            Change::parse(line).ok_or_else(|| format!("{line:?} is no change of the network, and is left alone"))
        })
        .collect();
    let known: Vec<Change> = parsed.iter().filter_map(|line| line.as_ref().ok().cloned()).collect();
    let mut failures: Vec<String> = parsed.into_iter().filter_map(Result::err).collect();
    match crate::link::take_back(&known) {
        Ok(more) => failures.extend(more),
        Err(error) => failures.push(format!("the network cannot be changed: {error}")),
    }
    failures
}

/// Brings the network up, or finds that it is.
///
/// `on_event` is told of each step, from this thread and later from another one.
///
/// # Errors
/// What stands in the way of each interface. What was done is taken back then, and everything can be tried again.
pub fn bring_up(
    plan: &NetworkPlan,
    until: Deadline,
    cancel: &Cancel,
    on_event: Box<dyn Fn(&NetworkEvent) + Send>,
) -> Result<Network, NetworkError> {
    let begun = Instant::now();
    // Before the first look, so that nothing is missed between the two.
    let news = News::listen().map_err(seen)?;
    let mut links = Links::open().map_err(seen)?;
    plan.wanted.faults.iter().for_each(|fault| on_event(&NetworkEvent::Word(fault.clone())));
    let names = names_of(plan);
    if plan.reach.iter().any(IpAddr::is_loopback) {
        // This machine itself needs no card.
        let changes = links.changes();
        return Ok(Network { link: None, names, changes, _stop: None });
    }
    if let Some(link) = reuse(plan, &mut links, &names, &news, until, cancel, &on_event)? {
        let changes = links.changes();
        return Ok(Network { link: Some(link), names, changes, _stop: None });
    }
    if plan.wanted.off {
        return Err(NetworkError::Off);
    }
    let changes = links.changes();
    let shared = Shared { plan: plan.clone(), links, names: names.clone(), tell: on_event };
    let mut engine = Engine::new(shared, news, begun);
    match engine.run(until, cancel) {
        Ok(link) => {
            let stop = go_on(engine).map_err(seen)?;
            Ok(Network { link: Some(link), names, changes, _stop: Some(stop) })
        }
        Err(error) => {
            engine.take_all_back();
            Err(error)
        }
    }
}

/// The rest of the work, in a thread that ends when what is returned is closed.
fn go_on(engine: Engine) -> io::Result<OwnedFd> {
    let (stopped, stop) = pipe_with(PipeFlags::CLOEXEC)?;
    thread::Builder::new().name("network".into()).spawn(move || engine.run_on(stopped.as_fd()))?;
    Ok(stop)
}

/// Names by what the kernel's command line and files of this machine say, for a program without the C library's resolver.
#[cfg(not(feature = "name-service"))]
pub(crate) fn names_of_files() -> Names {
    let words = std::fs::read("/proc/cmdline").unwrap_or_default();
    let Ok(plan) = NetworkPlan::of(&words, None) else { return Names::default() };
    let names = names_of(&plan);
    let view = Links::open().and_then(|mut links| links.view()).unwrap_or_default();
    found::learn_names(&names, &plan.places, &view);
    names
}

/// The names and servers that the machine's owner has written down.
fn names_of(plan: &NetworkPlan) -> Names {
    let mut hosts = plan.hosts.clone();
    if let Ok(file) =
        crate::read_regular_file(&plan.places.etc.join("hosts"), earlynet::configured::LONGEST_FILE as u64)
    {
        hosts.extend(Hosts::parse(&file));
    }
    let names = Names::new(hosts);
    let by_rules = plan.wanted.rules.iter().flat_map(|rule| &rule.name_servers);
    let said: Vec<NameServer> = by_rules.chain(&plan.wanted.name_servers).map(|server| (*server).into()).collect();
    names.add_servers(&said);
    names.add_servers(&plan.name_servers);
    names
}

/// The interface that is there already, or is there soon because somebody else is at work.
fn reuse(
    plan: &NetworkPlan,
    links: &mut Links,
    names: &Names,
    news: &News,
    until: Deadline,
    cancel: &Cancel,
    on_event: &dyn Fn(&NetworkEvent),
) -> Result<Option<LinkName>, NetworkError> {
    let begun = Instant::now();
    let mut told = None;
    loop {
        let view = links.view().map_err(seen)?;
        found::learn_names(names, &plan.places, &view);
        if let Some(link) = found::usable(links, &view, plan, names).and_then(|index| view.link(index)) {
            tell_reused(&view, link.index, &link.name, names, on_event);
            return Ok(Some(link.name.clone()));
        }
        let Some(who) = found::at_work(&plan.places) else { return Ok(None) };
        if told != Some(who) {
            on_event(&NetworkEvent::Others { who: who.to_owned(), at_most: OTHERS });
            told = Some(who);
        }
        let glance = Instant::now() + GLANCE;
        while Instant::now() < glance {
            if cancel.is_cancelled() {
                return Err(NetworkError::Cancelled);
            }
            wait(&mut [PollFd::new(news, PollFlags::IN)], Some(glance), until);
            if news.take() || crate::is_past(until) {
                break;
            }
        }
        if begun.elapsed() >= OTHERS || crate::is_past(until) {
            on_event(&NetworkEvent::OthersTookTooLong { who: who.to_owned() });
            return Ok(None);
        }
    }
}

fn tell_reused(view: &View, index: u32, link: &LinkName, names: &Names, on_event: &dyn Fn(&NetworkEvent)) {
    let addresses =
        view.addresses_of(index).filter(|address| address.is_global).map(|address| address.subnet).collect();
    on_event(&NetworkEvent::Reused { link: link.clone(), addresses });
    let servers = names.servers();
    if !servers.is_empty() {
        on_event(&NetworkEvent::NameServers(servers));
    }
}
