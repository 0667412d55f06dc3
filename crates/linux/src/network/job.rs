//! One interface on its way to an address.

use super::error::Standing;
use super::event::Milestone;
use super::found::behind;
use super::net_conf::{NetConf, Origin};
use super::shared::Shared;
use super::talks::{Dhcp4, Dhcp6, Routers};
use crate::link::{Link, NewAddress, View};
use earlynet::dhcp6::Purpose;
use earlynet::router::Advertisement;
use earlynet::{LinkRule, Method, Route, Subnet, dhcp4, in_order};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// How long a carrier is waited for: a card needs two seconds to agree with its switch, a switch that starts with the machine more.
const CARRIER: Duration = Duration::from_secs(30);
/// How long a router may take, after which `either6` asks DHCPv6.
const ROUTER: Duration = Duration::from_secs(4);
/// How long it may take to find out that nobody else has an address of IPv6.
const DUPLICATE: Duration = Duration::from_secs(3);
/// Less is not obeyed of a lease: every machine takes packets of that size (RFC 791), and anybody can offer one.
const SMALLEST_MTU: u32 = 576;

/// One interface with all that is done for it.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) link: Link,
    pub(super) rules: Vec<LinkRule>,
    /// When it was switched on, or was found to be.
    up_since: Duration,
    /// When it had a carrier for the first time; addresses are set from then on.
    begun: Option<Duration>,
    v4: Option<Dhcp4>,
    v6: Option<Dhcp6>,
    routers: Option<Routers>,
    /// The address of the lease that is kept.
    held: Option<Subnet>,
    /// What was set, and has been told.
    told: Vec<Subnet>,
    /// What the system refused; nothing more is done.
    pub(super) refused: Option<String>,
}

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Job {
    pub(super) fn new(link: Link, rules: Vec<LinkRule>, now: Duration) -> Job {
        let (held, told, refused) = (None, Vec::new(), None);
        Job { link, rules, up_since: now, begun: None, v4: None, v6: None, routers: None, held, told, refused }
    }

    fn has(&self, wanted: &[Method]) -> bool {
        self.rules.iter().flat_map(|rule| &rule.methods).any(|method| wanted.contains(method))
    }

    fn addresses(&self) -> impl Iterator<Item = Subnet> {
        self.rules.iter().filter_map(|rule| rule.address)
    }

    /// Whether an address of the family is to be had.
    pub(super) fn wants(&self, family: Family) -> bool {
        let methods: &[Method] = match family {
            Family::V4 => &[Method::Dhcp4],
            Family::V6 => &[Method::Dhcp6, Method::Auto6, Method::Either6, Method::LinkLocal6],
        };
        self.has(methods) || self.addresses().any(|subnet| subnet.address().is_ipv4() == (family == Family::V4))
    }

    /// Whether an address of the family is there and can be used.
    pub(super) fn is_ready(&self, family: Family, view: &View) -> bool {
        let link_local = family == Family::V6 && self.has(&[Method::LinkLocal6]);
        self.begun.is_some()
            && self.wants(family)
            && view.addresses_of(self.link.index).any(|address| {
                let subnet = address.subnet.address();
                let is_local = matches!(subnet, IpAddr::V6(v6) if v6.is_unicast_link_local());
                let counts = if is_local { link_local } else { address.is_global || subnet.is_ipv4() };
                counts && address.is_usable && subnet.is_ipv4() == (family == Family::V4)
            })
    }

    /// Whether an address of the family may still come.
    pub(super) fn is_pending(&self, family: Family, view: &View, now: Duration, shared: &Shared) -> bool {
        self.wants(family) && !self.is_ready(family, view) && self.hopeless(family, view, now, shared).is_none()
    }

    /// Why no address of the family is to be expected any more.
    pub(super) fn hopeless(&self, family: Family, view: &View, now: Duration, shared: &Shared) -> Option<Standing> {
        let limits = &shared.plan.wanted.limits;
        let over = |since: Duration, limit: Duration| now >= since.saturating_add(limit);
        if let Some(why) = &self.refused {
            return Some(Standing::Refused(why.clone()));
        }
        let Some(begun) = self.begun else {
            let limit = limits.carrier.unwrap_or(CARRIER);
            return over(self.up_since, limit).then_some(Standing::NoCarrier);
        };
        if view.addresses_of(self.link.index).any(|address| address.is_duplicate) && family == Family::V6 {
            return Some(Standing::Duplicate);
        }
        let attempts = limits.dhcp_attempts.unwrap_or(1);
        let dhcp = limits.dhcp.map(|limit| limit.saturating_mul(attempts));
        match family {
            Family::V4 if self.has(&[Method::Dhcp4]) => {
                dhcp.filter(|limit| over(begun, *limit)).map(|_| self.standing(family))
            }
            // What was set by hand is there at once.
            Family::V4 => None,
            Family::V6 if self.has(&[Method::Dhcp6, Method::Either6]) || self.awaits_lease() => {
                dhcp.filter(|limit| over(begun, *limit)).map(|_| self.standing(family))
            }
            Family::V6 if self.has(&[Method::Auto6]) => {
                let limit = limits.auto6.unwrap_or(Duration::MAX);
                over(begun, limit).then(|| self.standing(family))
            }
            Family::V6 => over(begun, limits.duplicate.unwrap_or(DUPLICATE)).then_some(Standing::Duplicate),
        }
    }

    fn awaits_lease(&self) -> bool {
        self.v6.as_ref().is_some_and(|v6| v6.purpose == Purpose::Address && v6.lease.is_none())
    }

    /// How far it has come, for an error at the end of all patience.
    pub(super) fn standing(&self, family: Family) -> Standing {
        match family {
            _ if self.refused.is_some() => Standing::Refused(self.refused.clone().unwrap_or_default()),
            _ if self.begun.is_none() => Standing::NoCarrier,
            Family::V4 => match &self.v4 {
                Some(Dhcp4 { refused: Some(message), .. }) => Standing::DhcpRefuses(message.clone()),
                Some(v4) if v4.lease.is_none() => Standing::NoDhcp { asked: v4.sent },
                _ => Standing::NoWay,
            },
            Family::V6 if self.awaits_lease() => Standing::NoDhcp6,
            Family::V6 if self.routers.as_ref().is_some_and(|routers| routers.heard.is_none()) => Standing::NoRouter,
            Family::V6 => Standing::NoWay,
        }
    }

    /// Prepares it and switches it on.
    pub(super) fn bring_up(&mut self, shared: &mut Shared) {
        let link = self.link.clone();
        let mut prepare = || -> io::Result<()> {
            if let Some(mac) = self.rules.iter().find_map(|rule| rule.mac).filter(|mac| Some(*mac) != link.mac) {
                shared.links.set_mac(&link, mac)?;
                self.link.mac = Some(mac);
                shared.tell(&self.link, Milestone::Mac(mac));
            }
            if let Some(mtu) = self.rules.iter().find_map(|rule| rule.mtu) {
                shared.links.set_mtu(&link, mtu)?;
            }
            if self.wants(Family::V6) {
                // So that an address is used while it is found out whether it is somebody else's: that takes a second or two.
                shared.links.switch_on(&link, "optimistic_dad");
                shared.links.switch_on(&link, "use_optimistic");
            }
            if !link.is_up {
                shared.links.bring_up(&link)?;
                shared.tell(&self.link, Milestone::BroughtUp);
            }
            Ok(())
        };
        if let Err(error) = prepare() {
            self.refuse(shared, format!("it cannot be switched on: {error}"));
        }
    }

    fn refuse(&mut self, shared: &mut Shared, why: String) {
        shared.tell(&self.link, Milestone::GivenUp(why.clone()));
        self.refused = Some(why);
    }

    /// Takes what is new of the interface; from its first carrier on it is configured.
    pub(super) fn look(&mut self, link: &Link, view: &View, now: Duration, shared: &mut Shared) {
        self.link = link.clone();
        if self.begun.is_none() && link.has_carrier && self.refused.is_none() {
            self.begun = Some(now);
            shared.tell(&self.link, Milestone::Carrier { after: now.saturating_sub(self.up_since) });
            if let Err(error) = self.begin(now, shared) {
                self.refuse(shared, format!("it cannot be configured: {error}"));
            }
        }
        // Addresses that the kernel has made of what a router says.
        if self.begun.is_some() && self.routers.is_some() {
            for address in view.addresses_of(link.index) {
                if address.is_global && address.is_usable && address.subnet.address().is_ipv6() {
                    self.tell_address(address.subnet, shared);
                }
            }
        }
        self.routers.iter_mut().for_each(|routers| routers.nudge(now));
        self.v6.iter_mut().for_each(|v6| v6.nudge(now));
    }

    fn tell_address(&mut self, subnet: Subnet, shared: &mut Shared) {
        if !self.told.contains(&subnet) {
            self.told.push(subnet);
            shared.tell(&self.link, Milestone::Address(subnet));
        }
    }

    /// What stands in the rules is set, and the conversations begin.
    fn begin(&mut self, now: Duration, shared: &mut Shared) -> io::Result<()> {
        for rule in self.rules.clone() {
            let servers: Vec<_> = rule.name_servers.iter().map(|server| behind(*server, &self.link.name)).collect();
            shared.learn(&servers, &[]);
            if rule.address.is_some() {
                self.set_by_hand(&rule, shared)?;
            }
            let mac = self.link.mac.ok_or_else(|| io::Error::other("it has no hardware address"));
            if rule.methods.contains(&Method::Dhcp4) && self.v4.is_none() {
                self.v4 = Some(Dhcp4::begin(self.link.index, mac?, &rule, now)?);
            }
        }
        if self.has(&[Method::Auto6, Method::Either6, Method::Dhcp6]) {
            // Whatever is wrong with IPv6 is no reason to have no IPv4.
            let begun = self.begin6(now, shared);
            if !self.wants(Family::V4) {
                begun?;
            }
        }
        Ok(())
    }

    fn begin6(&mut self, now: Duration, shared: &mut Shared) -> io::Result<()> {
        shared.links.switch_on(&self.link, "accept_ra");
        self.routers = Some(Routers::begin(self.link.index, now)?);
        if self.has(&[Method::Dhcp6]) { self.ask_dhcp6(Purpose::Address, now) } else { Ok(()) }
    }

    fn ask_dhcp6(&mut self, purpose: Purpose, now: Duration) -> io::Result<()> {
        if self.v6.is_none() {
            let mac = self.link.mac.ok_or_else(|| io::Error::other("it has no hardware address"))?;
            self.v6 = Some(Dhcp6::begin(self.link.index, mac, purpose, now)?);
        }
        Ok(())
    }

    fn set_by_hand(&mut self, rule: &LinkRule, shared: &mut Shared) -> io::Result<()> {
        let Some(subnet) = rule.address else { return Ok(()) };
        let address = NewAddress { peer: rule.peer, ..NewAddress::from(subnet) };
        shared.links.add_address(&self.link, &address)?;
        self.tell_address(subnet, shared);
        let on_link: Vec<Subnet> = [Some(subnet), rule.peer].into_iter().flatten().map(|net| net.network()).collect();
        let routes: Vec<Route> = rule.gateway.map(Route::default_by).into_iter().collect();
        self.set_routes(routes, &on_link, shared);
        self.leave_net_conf(Origin::ByHand(rule), subnet, rule.gateway, shared);
        Ok(())
    }

    /// Sets routes, and those of the command line that are for this interface.
    fn set_routes(&mut self, mut routes: Vec<Route>, on_link: &[Subnet], shared: &mut Shared) {
        let named = |route: &&Route| match (&route.link, route.gateway) {
            (Some(link), _) => *link == self.link.name,
            (None, gateway) => gateway.is_some_and(|gateway| on_link.iter().any(|net| net.contains(gateway))),
        };
        routes.extend(shared.plan.wanted.routes.iter().filter(named).cloned());
        for route in in_order(&routes, on_link) {
            match shared.links.add_route(&self.link, &route) {
                Ok(()) => shared.tell(&self.link, Milestone::Route(route)),
                // A route that makes no sense takes neither the others nor the address with it.
                Err(error) => shared.trouble(format!("{}: the route {route} cannot be set: {error}", self.link.name)),
            }
        }
    }

    /// Everything that is due now is sent.
    pub(super) fn send(&mut self, now: Duration, shared: &mut Shared) {
        let either = self.has(&[Method::Either6]) && self.v6.is_none();
        let silent = self.routers.as_ref().is_some_and(|routers| {
            let limit = shared.plan.wanted.limits.auto6.unwrap_or(ROUTER);
            routers.heard.is_none() && now >= routers.begun.saturating_add(limit)
        });
        if either
            && silent
            && let Err(error) = self.ask_dhcp6(Purpose::Address, now)
        {
            self.refuse(shared, format!("DHCPv6 cannot be asked: {error}"));
        }
        let sent4 = self.v4.as_mut().and_then(|v4| v4.send(now));
        let sent6 = self.routers.as_mut().and_then(|routers| routers.send(now));
        let asked6 = self.v6.as_mut().and_then(|v6| v6.send(now));
        [sent4, sent6, asked6].into_iter().flatten().for_each(|milestone| shared.tell(&self.link, milestone));
    }

    /// Everything that has arrived is heard.
    pub(super) fn hear(&mut self, now: Duration, shared: &mut Shared) {
        let heard4 = self.v4.as_mut().map(|v4| v4.hear(now)).unwrap_or_default();
        for milestone in heard4 {
            let lease = if let Milestone::Leased(lease) = &milestone { Some(lease.clone()) } else { None };
            shared.tell(&self.link, milestone);
            if let Some(Err(error)) = lease.map(|lease| self.take_lease(&lease, shared)) {
                self.refuse(shared, format!("the lease cannot be used: {error}"));
            }
        }
        if let Some(advertisement) = self.routers.as_mut().and_then(Routers::hear) {
            self.advertised(&advertisement, now, shared);
        }
        let heard6 = self.v6.as_mut().map(|v6| v6.hear(now)).unwrap_or_default();
        for milestone in heard6 {
            let is_lease = matches!(milestone, Milestone::Leased6(_));
            shared.tell(&self.link, milestone);
            if is_lease && let Err(error) = self.take_lease6(shared) {
                self.refuse(shared, format!("the lease cannot be used: {error}"));
            }
        }
    }

    fn take_lease(&mut self, lease: &dhcp4::Lease, shared: &mut Shared) -> io::Result<()> {
        let own = lease.address;
        let is_new = self.held != Some(own);
        // Another address than before takes the place of the old one, with all that came with it.
        if let Some(old) = self.held.filter(|_| is_new) {
            shared.forget_lease(self.link.index, old);
            self.told.retain(|told| *told != old);
        }
        // Whoever reads the file that is left takes the network over as it is, as from ipconfig, and asks for no lease again: a root that lies
        // on the network must not lose it when the lease is over.
        let valid = lease.valid.filter(|_| !shared.plan.places.leave_net_conf);
        let address = NewAddress { subnet: own, peer: None, valid, preferred: valid };
        let is_free = self.rules.iter().all(|rule| rule.mtu.is_none());
        let small = lease.mtu.filter(|mtu| is_free && (SMALLEST_MTU..self.link.mtu).contains(mtu));
        if let Some(Err(error)) = small.map(|mtu| shared.links.set_mtu(&self.link, mtu)) {
            shared.trouble(format!("{}: the MTU of the lease cannot be set: {error}", self.link.name));
        }
        shared.links.add_address(&self.link, &address)?;
        self.held = Some(own);
        self.tell_address(own, shared);
        if is_new {
            self.set_routes(lease.routes.clone(), &[own.network()], shared);
        }
        if shared.plan.wanted.peer_dns {
            let servers: Vec<_> = lease.name_servers.iter().map(|server| behind(*server, &self.link.name)).collect();
            shared.learn(&servers, &lease.search);
        }
        let gateway = lease.routes.iter().find(|route| route.to == Subnet::ALL_V4).and_then(|route| route.gateway);
        self.leave_net_conf(Origin::Dhcp(lease), own, gateway, shared);
        Ok(())
    }

    fn advertised(&mut self, advertisement: &Advertisement, now: Duration, shared: &mut Shared) {
        let (is_default, managed) = (advertisement.default_route().is_some(), advertisement.managed);
        let name_servers = advertisement.name_servers.len();
        shared.tell(&self.link, Milestone::Advertised { is_default, managed, name_servers });
        let servers: Vec<_> =
            advertisement.name_servers.iter().map(|server| behind(*server, &self.link.name)).collect();
        shared.learn(&servers, &advertisement.search);
        let purpose = match (advertisement.managed, advertisement.other) {
            (true, _) => Purpose::Address,
            (false, true) => Purpose::Information,
            (false, false) => return,
        };
        if let Err(error) = self.ask_dhcp6(purpose, now) {
            shared.trouble(format!("{}: DHCPv6 cannot be asked: {error}", self.link.name));
        }
    }

    fn take_lease6(&mut self, shared: &mut Shared) -> io::Result<()> {
        let Some(lease) = self.v6.as_ref().and_then(|v6| v6.lease.clone()) else { return Ok(()) };
        let asked = shared.plan.wanted.peer_dns;
        for leased in &lease.addresses {
            let subnet = Subnet::host(leased.address.into());
            let new = NewAddress { subnet, peer: None, valid: leased.valid, preferred: leased.preferred };
            shared.links.add_address(&self.link, &new)?;
            self.tell_address(subnet, shared);
        }
        let told = lease.name_servers.iter().filter(|_| asked);
        let servers: Vec<_> = told.map(|server| behind(*server, &self.link.name)).collect();
        shared.learn(&servers, if asked { &lease.search } else { &[] });
        Ok(())
    }

    fn leave_net_conf(&self, origin: Origin<'_>, subnet: Subnet, gateway: Option<IpAddr>, shared: &mut Shared) {
        if !shared.plan.places.leave_net_conf {
            return;
        }
        let conf = NetConf { link: &self.link.name, origin, subnet, gateway, names: &shared.names };
        match conf.write(&shared.plan.places.run) {
            Ok(Some(path)) => shared.links.wrote(&self.link, &path),
            Ok(None) => {}
            Err(error) => {
                let path = shared.plan.places.run.display().to_string();
                shared.trouble(format!("{path}/net-{}.conf cannot be written: {error}", self.link.name));
            }
        }
    }

    /// When it has to be looked at next.
    pub(super) fn due(&self) -> Duration {
        let dues = [
            self.v4.as_ref().map(Dhcp4::due),
            self.routers.as_ref().map(Routers::due),
            self.v6.as_ref().map(Dhcp6::due),
        ];
        dues.into_iter().flatten().min().unwrap_or(Duration::MAX)
    }

    /// Nobody is asked any more, no lease is to be kept, and no carrier is waited for.
    pub(super) fn is_quiet(&self) -> bool {
        let is_begun = self.begun.is_some() || self.refused.is_some() || self.is_bare();
        is_begun && self.due() == Duration::MAX
    }

    pub(super) fn sockets(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let v4 = self.v4.as_ref().map(AsFd::as_fd);
        let routers = self.routers.as_ref().map(AsFd::as_fd);
        [v4, routers, self.v6.as_ref().map(AsFd::as_fd)].into_iter().flatten()
    }

    /// Whether nothing is to be had of it but that it is on.
    pub(super) fn is_bare(&self) -> bool {
        !self.wants(Family::V4) && !self.wants(Family::V6)
    }
}
