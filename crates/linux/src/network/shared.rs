//! What all interfaces share: the plan, the list of changes, names, and who is told.

use super::event::{Milestone, NetworkEvent};
use super::plan::NetworkPlan;
use crate::Names;
use crate::link::{Change, Link, Links, What};
use earlynet::configured::NameServer;
use earlynet::{Name, Subnet};

/// What all interfaces share.
pub(super) struct Shared {
    pub(super) plan: NetworkPlan,
    pub(super) links: Links,
    pub(super) names: Names,
    pub(super) tell: Box<dyn Fn(&NetworkEvent) + Send>,
}

impl Shared {
    pub(super) fn tell(&self, link: &Link, milestone: Milestone) {
        (self.tell)(&NetworkEvent::Link(link.name.clone(), milestone));
    }

    pub(super) fn trouble(&self, what: String) {
        (self.tell)(&NetworkEvent::Trouble(what));
    }

    /// These servers of names are asked too.
    pub(super) fn learn(&self, servers: &[NameServer], search: &[Name]) {
        self.names.add_search(search);
        if self.names.add_servers(servers) > 0 {
            (self.tell)(&NetworkEvent::NameServers(self.names.servers()));
        }
    }

    /// Takes back what a lease has brought.
    pub(super) fn forget_lease(&mut self, index: u32, old: Subnet) {
        let goes = |change: &Change| match &change.what {
            _ if change.index != index => false,
            What::Address(own, _) => *own == old,
            What::Route(route) => route.to.address().is_ipv4(),
            What::File(_) => true,
            _ => false,
        };
        self.links.take_back(&goes).into_iter().for_each(|what| self.trouble(what));
    }
}
