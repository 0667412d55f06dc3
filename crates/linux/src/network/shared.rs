//! What all interfaces share: the plan, the list of changes, names, and who is told.

use super::event::{Milestone, NetworkEvent};
use super::plan::NetworkPlan;
use crate::Names;
use crate::link::{Change, Link, Links, What};
use earlynet::configured::NameServer;
use earlynet::{Name, Subnet};
use std::sync::PoisonError;

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

    /// Takes back what another lease than `kept` has brought.
    pub(super) fn forget_v4(&mut self, index: u32, kept: Subnet) {
        let is_v4 = |subnet: &Subnet| subnet.address().is_ipv4();
        let changes = self.links.changes();
        let changes = changes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut old = changes.iter().filter(|change| change.index == index);
        if !old.any(|change| matches!(&change.what, What::Address(own, _) if is_v4(own) && *own != kept)) {
            return;
        }
        let goes = |change: &Change| match &change.what {
            _ if change.index != index => false,
            What::Address(own, _) => is_v4(own) && *own != kept,
            What::Route(route) => is_v4(&route.to),
            What::File(_) => true,
            _ => false,
        };
        self.links.take_back(&goes).into_iter().for_each(|what| self.trouble(what));
    }

    pub(super) fn has_routes_of(&self, index: u32) -> bool {
        let changes = self.links.changes();
        let changes = changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes
            .iter()
            .any(|c| c.index == index && matches!(&c.what, What::Route(route) if route.to.address().is_ipv4()))
    }
}
