//! What would be done, without doing it.

use super::error::{NetworkError, seen};
use super::event::list;
use super::found;
use super::plan::NetworkPlan;
use super::{OTHERS, names_of};
use crate::link::{Link, LinkKind, Links, View};
use earlynet::{LinkRule, Method, Route, Which};

impl NetworkPlan {
    /// What [`super::bring_up`] would do now, one line for each fact. Nothing is touched.
    ///
    /// # Errors
    /// The network cannot be seen.
    pub fn describe(&self) -> Result<Vec<String>, NetworkError> {
        let mut links = Links::open().map_err(seen)?;
        let view = links.view().map_err(seen)?;
        let names = names_of(self);
        found::learn_names(&names, &self.places, &view);
        let mut lines: Vec<String> = self.wanted.faults.iter().map(ToString::to_string).collect();
        lines.extend(view.links.iter().map(|link| interface(link, &view)));
        if let Some(link) = found::usable(&mut links, &view, self, &names).and_then(|index| view.link(index)) {
            lines.push(format!("{} can be used as it is: nothing would be touched", link.name));
        } else {
            if let Some(who) = found::at_work(&self.places) {
                lines.push(format!(
                    "{who} is at work on the network, and would be waited for up to {} s",
                    OTHERS.as_secs()
                ));
            }
            lines.extend(self.work(&view));
        }
        lines.push(match names.servers().as_slice() {
            [] => "no server of names is known yet".to_owned(),
            servers => format!("servers of names: {}", list(servers)),
        });
        if !names.search().is_empty() {
            lines.push(format!("names are searched in: {}", list(&names.search())));
        }
        Ok(lines)
    }

    /// What would be made and set.
    fn work(&self, view: &View) -> Vec<String> {
        let wanted = &self.wanted;
        if wanted.off {
            return vec!["ip=none or ip=off: the network would be left alone".to_owned()];
        }
        let mut lines = Vec::new();
        for rename in &wanted.renames {
            lines.push(format!("the card {} would be named {}", rename.mac, rename.name));
        }
        for bond in &wanted.bonds {
            let options: Vec<String> = bond.options.iter().map(|(name, value)| format!(", {name}={value}")).collect();
            let members = list(&bond.members);
            lines.push(format!(
                "{} would be made of {members}: mode {}{}",
                bond.name,
                bond.mode as u8,
                options.concat()
            ));
        }
        for vlan in &wanted.vlans {
            lines.push(format!("{} would be made on {}: VLAN {}", vlan.name, vlan.on, vlan.id));
        }
        lines.extend(wanted.rules_or_automatic().iter().map(|rule| format!("{}: {}", which(rule, view), steps(rule))));
        lines.extend(wanted.routes.iter().map(|route| format!("route {route}")));
        if self.places.leave_net_conf {
            lines.push(format!("{}/net-INTERFACE.conf would be written", self.places.run.display()));
        }
        lines
    }
}

fn interface(link: &Link, view: &View) -> String {
    let kind = match &link.kind {
        LinkKind::Card => "card",
        LinkKind::Vlan => "VLAN",
        LinkKind::Bond => "bond",
        LinkKind::Other(kind) => kind,
    };
    let mac = link.mac.map(|mac| format!(" {mac}")).unwrap_or_default();
    let state = match (link.is_up, link.has_carrier) {
        (false, _) => "off",
        (true, false) => "on, no carrier",
        (true, true) => "on, with a carrier",
    };
    let addresses: Vec<String> = view.addresses_of(link.index).map(|address| format!(", {}", address.subnet)).collect();
    format!("{}: {kind}{mac}, {state}{}", link.name, addresses.concat())
}

fn which(rule: &LinkRule, view: &View) -> String {
    match &rule.which {
        Which::Any => "every card with a carrier, until one has an address".to_owned(),
        Which::Named(name) if view.named(name).is_some() => name.to_string(),
        Which::Named(name) => format!("{name}, which is not there yet"),
        Which::Address(mac) => format!("the card {mac}"),
    }
}

fn steps(rule: &LinkRule) -> String {
    let mut steps = Vec::new();
    steps.extend(rule.mac.map(|mac| format!("hardware address {mac}")));
    steps.extend(rule.mtu.map(|mtu| format!("MTU {mtu}")));
    steps.push("switched on".to_owned());
    steps.extend(rule.address.map(|address| format!("address {address}")));
    steps.extend(rule.peer.map(|peer| format!("peer {peer}")));
    steps.extend(rule.gateway.map(|gateway| format!("route {}", Route::default_by(gateway))));
    steps.extend(rule.methods.iter().map(|method| {
        let method = match method {
            Method::Dhcp4 => "DHCP",
            Method::Dhcp6 => "DHCPv6",
            Method::Auto6 => "router advertisements",
            Method::Either6 => "router advertisements, or DHCPv6 if there are none",
            Method::LinkLocal6 => "the link-local address of IPv6",
        };
        method.to_owned()
    }));
    steps.join(", ")
}
