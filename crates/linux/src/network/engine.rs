//! All interfaces at once: one loop that waits for news of the kernel, for answers, and for the time of the next message.

use super::error::{NetworkError, Standing, seen};
use super::event::{Milestone, NetworkEvent};
use super::job::{Family, Job};
use super::shared::Shared;
use super::stack;
use crate::link::{Link, LinkKind, News, View};
use crate::waiting::{wait, wait_for};
use clevis::{Cancel, Deadline};
use earlynet::{LinkName, Which};
use rustix::event::{PollFd, PollFlags};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// How long a card is waited for that is not there.
const CARD: Duration = Duration::from_secs(30);
/// How long udev may take to name a card; whoever switches it on before takes the name away from it.
const NAMING: Duration = Duration::from_secs(30);
/// How long one family waits for the other if it alone does not lead to where it should.
const GRACE: Duration = Duration::from_secs(3);
/// Nothing else is due: as good as for ever.
const LONG: Duration = Duration::from_secs(24 * 3600);

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// The work under way.
pub(super) struct Engine {
    pub(super) shared: Shared,
    news: News,
    begun: Instant,
    view: View,
    jobs: BTreeMap<u32, Job>,
    /// When each interface was first seen that is not named yet.
    unnamed: BTreeMap<u32, Duration>,
    /// Why a VLAN or a bond cannot be made.
    unmade: BTreeMap<LinkName, Standing>,
    /// When the first address could be used.
    ready_since: Option<Duration>,
    /// One card was taken where any would do: others are left alone.
    is_chosen: bool,
}

impl Engine {
    pub(super) fn new(shared: Shared, news: News, begun: Instant) -> Engine {
        let (jobs, unnamed, unmade) = Default::default();
        Engine {
            shared,
            news,
            begun,
            view: View::default(),
            jobs,
            unnamed,
            unmade,
            ready_since: None,
            is_chosen: false,
        }
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// To the moment when the network can be used: by which interface.
    pub(super) fn run(&mut self, until: Deadline, cancel: &Cancel) -> Result<LinkName, NetworkError> {
        self.look()?;
        loop {
            let now = self.now();
            self.send(now);
            if let Some((index, name)) = self.is_up(now) {
                self.choose(index, &name);
                return Ok(name);
            }
            if cancel.is_cancelled() {
                return Err(NetworkError::Cancelled);
            }
            if crate::is_past(until) || self.is_hopeless(now) {
                return Err(self.error(now));
            }
            let due = self.begun.checked_add(self.due());
            wait(&mut self.interests(None), due, until);
            self.take()?;
        }
    }

    /// What goes on when the network is there: the other family, the other interfaces that are named, leases that run out. Ends when there is
    /// nothing left of it, or when `stop` is readable or closed.
    pub(super) fn run_on(mut self, stop: BorrowedFd<'_>) {
        while !self.jobs.values().all(Job::is_quiet) {
            let now = self.now();
            self.send(now);
            let due = self.begun.checked_add(self.due());
            let mut interests = self.interests(Some(stop));
            wait_for(&mut interests, due, Deadline::NEVER, LONG);
            let stopped = interests.first().is_some_and(|interest| !interest.revents().is_empty());
            drop(interests);
            if stopped || self.take().is_err() {
                return;
            }
        }
    }

    fn interests<'a>(&'a self, stop: Option<BorrowedFd<'a>>) -> Vec<PollFd<'a>> {
        let sockets = self.jobs.values().flat_map(Job::sockets);
        let all = stop.into_iter().chain([self.news.as_fd()]).chain(sockets);
        all.map(|socket| PollFd::from_borrowed_fd(socket, PollFlags::IN)).collect()
    }

    /// Hears everything that has arrived, and looks around: after news, and as long as something is waited for that tells nobody.
    fn take(&mut self) -> Result<(), NetworkError> {
        let now = self.now();
        self.jobs.values_mut().for_each(|job| job.hear(now, &mut self.shared));
        if self.news.take() || self.has_named(now) { self.look() } else { Ok(()) }
    }

    fn send(&mut self, now: Duration) {
        self.jobs.values_mut().for_each(|job| job.send(now, &mut self.shared));
    }

    fn due(&self) -> Duration {
        self.jobs.values().map(Job::due).min().unwrap_or(Duration::MAX)
    }

    /// Takes in what the kernel says now, makes what is to be made, and begins with every interface that is meant.
    fn look(&mut self) -> Result<(), NetworkError> {
        let now = self.now();
        self.view = self.fresh_view()?;
        self.find_unnamed(now);
        let is_named = |link: &Link| !self.unnamed.contains_key(&link.index);
        if stack::build(&mut self.shared, &self.view, &is_named, &mut self.unmade) {
            self.view = self.fresh_view()?;
        }
        let links = self.view.links.clone();
        self.jobs.retain(|index, _| links.iter().any(|link| link.index == *index));
        for link in links.iter().filter(|link| !self.unnamed.contains_key(&link.index)) {
            if !self.jobs.contains_key(&link.index)
                && let Some(rules) = self.rules_of(link)
            {
                let mut job = Job::new(link.clone(), rules, now);
                job.bring_up(&mut self.shared);
                self.jobs.insert(link.index, job);
            }
        }
        // A carrier may be there by now: its news are read next, but there may be none for one that was on already.
        self.view = self.fresh_view()?;
        for (index, job) in &mut self.jobs {
            if let Some(link) = self.view.link(*index) {
                job.look(link, &self.view, now, &mut self.shared);
            }
        }
        Ok(())
    }

    fn fresh_view(&mut self) -> Result<View, NetworkError> {
        self.shared.links.view().map_err(seen)
    }

    /// Cards that udev has not seen to the end: it gives them their names, and can do so only while they are off.
    fn find_unnamed(&mut self, now: Duration) {
        let places = &self.shared.plan.places;
        if !places.expects_udev && !places.run.join("udev/control").exists() {
            return self.unnamed.clear();
        }
        let cards = self.view.links.iter().filter(|link| link.kind == LinkKind::Card && !link.is_up);
        let waiting = cards.map(|link| link.index).filter(|index| !self.is_in_udev(*index));
        let since = |index: u32| (index, self.unnamed.get(&index).copied().unwrap_or(now));
        let unnamed = waiting.map(since).filter(|(_, since)| now < since.saturating_add(NAMING)).collect();
        self.unnamed = unnamed;
    }

    /// Whether udev has written what it knows of an interface, which it does when it is through with it.
    fn is_in_udev(&self, index: u32) -> bool {
        self.shared.plan.places.run.join(format!("udev/data/n{index}")).exists()
    }

    /// Whether one that is waited for has its name, or is not waited for any longer. Nobody tells of it.
    fn has_named(&self, now: Duration) -> bool {
        self.unnamed.iter().any(|(index, since)| now >= since.saturating_add(NAMING) || self.is_in_udev(*index))
    }

    /// What is to be done with an interface; nothing is to be done with what others have made, and with members of a bond.
    fn rules_of(&self, link: &Link) -> Option<Vec<earlynet::LinkRule>> {
        let wanted = &self.shared.plan.wanted;
        if link.master.is_some() {
            return None;
        }
        let rules = wanted.rules_for(&link.name, link.mac);
        let is_ours = match &link.kind {
            LinkKind::Card => true,
            _ => wanted
                .vlans
                .iter()
                .map(|vlan| &vlan.name)
                .chain(wanted.bonds.iter().map(|bond| &bond.name))
                .any(|name| *name == link.name),
        };
        let is_named = rules.iter().any(|rule| rule.which != Which::Any);
        let is_below = wanted.vlans.iter().any(|vlan| vlan.on == link.name);
        let any = is_ours && !rules.is_empty() && !self.is_chosen;
        (any || is_named || is_below).then_some(rules)
    }

    /// The interface by which the network can be used, as far as is known.
    fn is_up(&mut self, now: Duration) -> Option<(u32, LinkName)> {
        let ready = |job: &&Job| FAMILIES.iter().any(|family| job.is_ready(*family, &self.view));
        let mut ready: Vec<&Job> = self.jobs.values().filter(ready).collect();
        let boot_link = self.shared.plan.wanted.boot_link.clone();
        let is_boot_link = |job: &Job| match &boot_link {
            Some(Which::Named(name)) => job.link.name == *name,
            Some(Which::Address(mac)) => job.link.mac == Some(*mac),
            _ => false,
        };
        ready.sort_by_key(|job| !is_boot_link(job));
        let ready: Vec<(u32, LinkName)> = ready.iter().map(|job| (job.link.index, job.link.name.clone())).collect();
        let first = ready.first()?.clone();
        let since = *self.ready_since.get_or_insert(now);
        let still_pending = self
            .jobs
            .values()
            .any(|job| FAMILIES.iter().any(|family| job.is_pending(*family, &self.view, now, &self.shared)));
        if let Some(found) = ready.into_iter().find(|(index, _)| self.leads(*index)) {
            return Some(found);
        }
        (now >= since.saturating_add(GRACE) || !still_pending).then_some(first)
    }

    /// Whether what is wanted can be reached over an interface.
    fn leads(&mut self, index: u32) -> bool {
        let reach = self.shared.plan.reach.clone();
        if reach.is_empty() {
            let has_way = self.view.addresses_of(index).any(|own| self.view.has_default(index, own.subnet.address()));
            return has_way && !self.shared.names.servers().is_empty();
        }
        reach.iter().any(|address| self.shared.links.way_to(*address) == Some(index))
    }

    /// This one counts: what was done to others for want of a better is taken back.
    fn choose(&mut self, index: u32, name: &LinkName) {
        let is_any = |job: &Job| job.rules.iter().all(|rule| rule.which == Which::Any) && !job.is_bare();
        let below: Vec<LinkName> =
            self.shared.plan.wanted.layers(name).into_iter().map(|layer| stack::name_of(layer).clone()).collect();
        if self.jobs.get(&index).is_some_and(is_any) {
            let others = self.jobs.iter().filter(|(other, job)| **other != index && is_any(job));
            let others = others.filter(|(_, job)| !below.contains(&job.link.name));
            let others: Vec<u32> = others.map(|(other, _)| *other).collect();
            others.into_iter().for_each(|other| self.drop_job(other));
            self.is_chosen = true;
        }
        (self.shared.tell)(&NetworkEvent::Up { after: self.now(), link: name.clone() });
    }

    fn drop_job(&mut self, index: u32) {
        let Some(job) = self.jobs.remove(&index) else { return };
        let failures = self.shared.links.take_back(&|change| change.index == index);
        self.shared.tell(&job.link, Milestone::TakenBack);
        failures.into_iter().for_each(|what| self.shared.trouble(what));
    }

    /// Whether nothing is to be expected of any interface, and none is waited for.
    fn is_hopeless(&self, now: Duration) -> bool {
        let card = self.shared.plan.wanted.limits.link.unwrap_or(CARD);
        let some_missing = self.jobs.is_empty() || !self.missing().is_empty() || !self.unnamed.is_empty();
        let is_over = |job: &Job| {
            job.is_bare()
                || FAMILIES
                    .iter()
                    .all(|family| !job.wants(*family) || job.hopeless(*family, &self.view, now, &self.shared).is_some())
        };
        self.jobs.values().all(is_over) && (!some_missing || now >= card)
    }

    /// Interfaces that rules name, and that are not there.
    fn missing(&self) -> Vec<String> {
        let rules = self.shared.plan.wanted.rules_or_automatic();
        let is_there = |which: &Which| match which {
            Which::Any => !self.view.links.is_empty(),
            Which::Named(name) => self.view.named(name).is_some(),
            Which::Address(mac) => self.view.links.iter().any(|link| link.mac == Some(*mac)),
        };
        let name = |which: &Which| match which {
            Which::Any => String::new(),
            Which::Named(name) => name.to_string(),
            Which::Address(mac) => mac.to_string(),
        };
        rules.iter().map(|rule| &rule.which).filter(|which| !is_there(which)).map(name).collect()
    }

    fn error(&self, now: Duration) -> NetworkError {
        let mut links: Vec<(LinkName, Standing)> = Vec::new();
        for job in self.jobs.values() {
            if job.is_bare() {
                links.push((job.link.name.clone(), Standing::Bare));
            }
            let wanted = FAMILIES.iter().filter(|family| job.wants(**family));
            let standings = wanted.map(|family| {
                job.hopeless(*family, &self.view, now, &self.shared).unwrap_or_else(|| job.standing(*family))
            });
            for standing in standings {
                let one = (job.link.name.clone(), standing);
                if !links.contains(&one) {
                    links.push(one);
                }
            }
        }
        let unnamed = self.view.links.iter().filter(|link| self.unnamed.contains_key(&link.index));
        links.extend(unnamed.map(|link| (link.name.clone(), Standing::Unnamed)));
        links.extend(self.unmade.iter().map(|(name, standing)| (name.clone(), standing.clone())));
        if links.is_empty() {
            let meant = self.missing().into_iter().filter(|name| !name.is_empty()).collect();
            return NetworkError::NoCard { meant, after: now };
        }
        NetworkError::NotUp { links, after: now }
    }

    /// Everything that was done is taken back.
    pub(super) fn take_all_back(&mut self) {
        self.jobs.clear();
        self.shared.links.take_back(&|_| true).into_iter().for_each(|what| self.shared.trouble(what));
    }
}
