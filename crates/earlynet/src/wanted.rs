//! What the kernel's command line wants of the network.
//!
//! The words are those of the kernel (Documentation/admin-guide/nfs/nfsroot.rst), of klibc's ipconfig and of dracut (dracut.cmdline(7),
//! version 059). A word that cannot be obeyed becomes a [`Fault`] and takes no other with it: a machine with one word too many on its
//! command line is to be reachable, and its owner is to read which word it is.

mod fault;
mod fields;
mod ip;
mod method;
mod stacked;

pub use fault::{Fault, Part, WordError};
pub use ip::{Dialect, LinkRule, Which};
pub use method::{ClientId, Method};
pub use stacked::{Bond, BondMode, Rename, Vlan};

use crate::command_line::{CommandLine, Word};
use crate::link_name::LinkName;
use crate::mac::Mac;
use crate::route::Route;
use crate::subnet::Subnet;
use fields::{address, link, number, part, split, wrong};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

/// As many interfaces are made, and as many rules kept; no machine has more.
const MOST_WORDS: usize = 64;

/// What the command line wants of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// `ip=none` or `ip=off`, and no other `ip=`: the network is to be left alone.
    pub off: bool,
    /// What each `ip=` says, in their order.
    pub rules: Vec<LinkRule>,
    /// Each `vlan=`; none stands on itself over others.
    pub vlans: Vec<Vlan>,
    /// Each `bond=`.
    pub bonds: Vec<Bond>,
    /// Each `ifname=`.
    pub renames: Vec<Rename>,
    /// Each `rd.route=`.
    pub routes: Vec<Route>,
    /// Each `nameserver=`.
    pub name_servers: Vec<IpAddr>,
    /// The interface that counts for routes and names: `bootdev=`, or the card that the boot loader used (`BOOTIF=`, unless `rd.bootif=0`).
    pub boot_link: Option<Which>,
    /// `rd.neednet`: the network is to be there although nothing else asks for it.
    pub needed: bool,
    /// Whether servers of names that DHCP tells count; `rd.peerdns=0` says no.
    pub peer_dns: bool,
    /// Whether interfaces get names that tell their place; `net.ifnames=0` says no.
    pub predictable_names: bool,
    /// How long to wait, and how often.
    pub limits: Limits,
    /// Words that are not obeyed.
    pub faults: Vec<Fault>,
}

/// `rd.net.timeout.*` and `rd.net.dhcp.retry`; `None` where nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Until an interface is there (`iflink`).
    pub link: Option<Duration>,
    /// Until it is up (`ifup`).
    pub up: Option<Duration>,
    /// Until it has a carrier (`carrier`).
    pub carrier: Option<Duration>,
    /// Until a route is there (`route`).
    pub route: Option<Duration>,
    /// Until DHCP has an answer (`dhcp`).
    pub dhcp: Option<Duration>,
    /// Until an address is known to be nobody else's (`ipv6dad`).
    pub duplicate: Option<Duration>,
    /// Until a router has answered (`ipv6auto`).
    pub auto6: Option<Duration>,
    /// How often DHCP is begun anew.
    pub dhcp_attempts: Option<u32>,
}

/// What has to be there for an interface, from the bottom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer<'a> {
    /// A card; nothing makes it.
    Card(&'a LinkName),
    /// A bond over the cards before it.
    Bond(&'a Bond),
    /// A VLAN on what is before it.
    Vlan(&'a Vlan),
}

impl<'a> Layer<'a> {
    /// What it stands on directly.
    fn below(self) -> impl Iterator<Item = &'a LinkName> {
        let (on, members) = match self {
            Layer::Card(_) => (None, &[][..]),
            Layer::Vlan(vlan) => (Some(&vlan.on), &[][..]),
            Layer::Bond(bond) => (None, bond.members.as_slice()),
        };
        on.into_iter().chain(members)
    }
}

impl Wanted {
    /// Reads every word that concerns the network.
    pub fn read(line: &CommandLine, dialect: Dialect) -> Wanted {
        let mut wanted = Wanted {
            off: false,
            rules: Vec::new(),
            vlans: Vec::new(),
            bonds: Vec::new(),
            renames: Vec::new(),
            routes: Vec::new(),
            name_servers: Vec::new(),
            boot_link: None,
            needed: line.switch("rd.neednet").unwrap_or(false),
            peer_dns: line.switch("rd.peerdns").unwrap_or(true),
            predictable_names: line.switch("net.ifnames").unwrap_or(true),
            limits: Limits::default(),
            faults: Vec::new(),
        };
        for word in line.words() {
            if let Err(why) = wanted.obey(word, line, dialect) {
                wanted.faults.push(Fault { word: word.text(), why });
            }
        }
        wanted.off &= wanted.rules.is_empty();
        wanted.narrow();
        wanted
    }

    /// The rules, or the one that stands for no `ip=` at all; none if the network is to be left alone.
    pub fn rules_or_automatic(&self) -> Vec<LinkRule> {
        if self.rules.is_empty() && !self.off {
            vec![LinkRule::automatic(self.boot_link.clone().unwrap_or(Which::Any))]
        } else {
            self.rules.clone()
        }
    }

    /// The rules for one interface that exists, by the name it has or is to have (`ifname=`) and its hardware address. What is for all is not
    /// for the cards of a bond: they have no addresses of their own. A hardware address means the card: a VLAN or a bond has that of what it
    /// stands on.
    pub fn rules_for(&self, name: &LinkName, mac: Option<Mac>) -> Vec<LinkRule> {
        let mac = mac.filter(|_| self.made(name).is_none());
        let renamed = self.renames.iter().find(|rename| mac == Some(rename.mac)).map(|rename| &rename.name);
        let name = renamed.unwrap_or(name);
        let is_member = self.bonds.iter().any(|bond| bond.members.contains(name));
        let is_meant = |rule: &LinkRule| match &rule.which {
            Which::Any => !is_member,
            Which::Named(wanted) => wanted == name,
            Which::Address(wanted) => Some(*wanted) == mac,
        };
        self.rules_or_automatic().into_iter().filter(is_meant).collect()
    }

    /// What has to be made for `link`, from the bottom to `link` itself, which is the last.
    pub fn layers<'a>(&'a self, link: &'a LinkName) -> Vec<Layer<'a>> {
        let mut layers = Vec::new();
        self.stack(link, &mut layers);
        layers
    }

    fn stack<'a>(&'a self, link: &'a LinkName, layers: &mut Vec<Layer<'a>>) {
        let made = self.made(link).unwrap_or(Layer::Card(link));
        // What is there has everything below it already.
        if !layers.contains(&made) {
            made.below().for_each(|below| self.stack(below, layers));
            layers.push(made);
        }
    }

    /// Whether `above` stands on `below`, directly or over others.
    fn stands_on(&self, above: &LinkName, below: &LinkName) -> bool {
        let (mut waiting, mut seen) = (vec![above], BTreeSet::new());
        while let Some(link) = waiting.pop() {
            if link == below {
                return true;
            }
            if seen.insert(link) {
                waiting.extend(self.made(link).into_iter().flat_map(|layer| layer.below()));
            }
        }
        false
    }

    fn made(&self, name: &LinkName) -> Option<Layer<'_>> {
        let vlan = self.vlans.iter().find(|vlan| vlan.name == *name).map(Layer::Vlan);
        vlan.or_else(|| self.bonds.iter().find(|bond| bond.name == *name).map(Layer::Bond))
    }

    fn obey(&mut self, word: &Word, line: &CommandLine, dialect: Dialect) -> Result<(), WordError> {
        let value = word.value.as_deref().unwrap_or_default();
        match word.key.as_str() {
            "ip" | "nfsaddrs" if word.value.is_some() => self.add_rule(ip::read(value, line, dialect)?),
            "vlan" => self.add_vlan(stacked::vlan(value)?),
            "bond" => self.add_bond(stacked::bond(value)?),
            "ifname" => self.add_rename(stacked::rename(value)?),
            "rd.route" => {
                self.routes.push(route(value)?);
                Ok(())
            }
            "nameserver" => {
                self.name_servers.push(address(value, Part::NameServer)?);
                Ok(())
            }
            "bootdev" => {
                self.boot_link = Some(link(value).map(Which::Named)?);
                Ok(())
            }
            "BOOTIF" if line.switch("rd.bootif").unwrap_or(true) => {
                let mac = Mac::from_bootif(value).map_err(|_| wrong(Part::Mac, value))?;
                self.boot_link.get_or_insert(Which::Address(mac));
                Ok(())
            }
            "bridge" => Err(WordError::Unsupported { what: "a bridge", instead: "ip= for a card of it" }),
            "team" => Err(WordError::Unsupported { what: "a team", instead: "bond=" }),
            "rd.net.dhcp.retry" => {
                let attempts = number(value).filter(|attempts| (1..=1_000_000_000).contains(attempts));
                self.limits.dhcp_attempts = Some(attempts.ok_or_else(|| wrong(Part::Attempts, value))?);
                Ok(())
            }
            key => match key.strip_prefix("rd.net.timeout.") {
                Some(what) => self.limits.set(what, value),
                None => Ok(()),
            },
        }
    }

    fn add_rule(&mut self, said: Option<LinkRule>) -> Result<(), WordError> {
        match said {
            None => self.off = true,
            Some(rule) if self.rules.contains(&rule) => {}
            Some(rule) if self.rules.iter().any(|other| contradict(&rule, other)) => {
                return Err(WordError::Twice);
            }
            Some(_) if self.rules.len() >= MOST_WORDS => return Err(WordError::TooMany { most: MOST_WORDS }),
            Some(rule) => self.rules.push(rule),
        }
        Ok(())
    }

    fn add_vlan(&mut self, vlan: Vlan) -> Result<(), WordError> {
        if self.made(&vlan.name).is_some() {
            return if self.vlans.contains(&vlan) { Ok(()) } else { Err(WordError::Twice) };
        }
        self.check_room()?;
        if self.stands_on(&vlan.on, &vlan.name) {
            return Err(WordError::Circle);
        }
        self.vlans.push(vlan);
        Ok(())
    }

    fn add_bond(&mut self, bond: Bond) -> Result<(), WordError> {
        if self.made(&bond.name).is_some() {
            return if self.bonds.contains(&bond) { Ok(()) } else { Err(WordError::Twice) };
        }
        self.check_room()?;
        if bond.members.iter().any(|member| self.stands_on(member, &bond.name)) {
            return Err(WordError::Circle);
        }
        // A card has one bond.
        if self.bonds.iter().flat_map(|other| &other.members).any(|taken| bond.members.contains(taken)) {
            return Err(WordError::Twice);
        }
        self.bonds.push(bond);
        Ok(())
    }

    fn check_room(&self) -> Result<(), WordError> {
        let there = self.vlans.len() + self.bonds.len();
        if there < MOST_WORDS { Ok(()) } else { Err(WordError::TooMany { most: MOST_WORDS }) }
    }

    fn add_rename(&mut self, rename: Rename) -> Result<(), WordError> {
        if self.renames.contains(&rename) {
            return Ok(());
        }
        if self.renames.iter().any(|other| other.name == rename.name || other.mac == rename.mac) {
            return Err(WordError::Twice);
        }
        self.renames.push(rename);
        Ok(())
    }

    /// The boot loader's card is meant where no other is named; initramfs-tools and NetworkManager do the same.
    fn narrow(&mut self) {
        if let Some(boot_link @ Which::Address(_)) = &self.boot_link {
            for rule in self.rules.iter_mut().filter(|rule| rule.which == Which::Any) {
                rule.which = boot_link.clone();
            }
        }
    }
}

/// Both set an address of the same family on the same interface by hand, or both have the same method.
fn contradict(one: &LinkRule, other: &LinkRule) -> bool {
    let family = |rule: &LinkRule| rule.address.map(|subnet| subnet.address().is_ipv4());
    let same_family = family(one).is_some() && family(one) == family(other);
    one.which == other.which && (same_family || one.methods.iter().any(|method| other.methods.contains(method)))
}

/// `rd.route=NETWORK:GATEWAY[:INTERFACE]`.
fn route(value: &str) -> Result<Route, WordError> {
    let fields = split(value);
    if fields.len() > 3 {
        return Err(WordError::TooManyParts { most: 3 });
    }
    let text = part(&fields, 0).ok_or(WordError::Missing(Part::Network))?;
    let to = Subnet::parse(text).ok_or_else(|| wrong(Part::Network, text))?.network();
    let gateway = part(&fields, 1).map(|text| address(text, Part::Gateway)).transpose()?;
    let link = part(&fields, 2).map(link).transpose()?;
    match gateway {
        None if link.is_none() => Err(WordError::Missing(Part::Gateway)),
        Some(other) if other.is_ipv4() != to.address().is_ipv4() => {
            Err(WordError::Families { address: to.address(), other })
        }
        gateway => Ok(Route { to, gateway, link }),
    }
}

impl Limits {
    fn set(&mut self, what: &str, value: &str) -> Result<(), WordError> {
        let place = match what {
            "iflink" => &mut self.link,
            "ifup" => &mut self.up,
            "carrier" => &mut self.carrier,
            "route" => &mut self.route,
            "dhcp" => &mut self.dhcp,
            "ipv6dad" => &mut self.duplicate,
            "ipv6auto" => &mut self.auto6,
            _ => return Ok(()),
        };
        let seconds = number(value).filter(|seconds| *seconds <= 86400 && !value.is_empty());
        *place = Some(
            seconds.map(|seconds| Duration::from_secs(seconds.into())).ok_or_else(|| wrong(Part::Seconds, value))?,
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests;
