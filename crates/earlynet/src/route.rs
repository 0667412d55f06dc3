//! Ways to other networks.

use crate::link_name::LinkName;
use crate::subnet::Subnet;
use std::fmt;
use std::net::IpAddr;

/// A way to a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The network; the bits behind its prefix are zero.
    pub to: Subnet,
    /// The next machine on the way; `None` if the network is on the link itself.
    pub gateway: Option<IpAddr>,
    /// The interface, if it is said which.
    pub link: Option<LinkName>,
}

impl Route {
    /// The way to everywhere.
    pub fn default_by(gateway: IpAddr) -> Route {
        Route { to: Subnet::all_of(gateway), gateway: Some(gateway), link: None }
    }
}

/// The order in which routes of one interface can be set: what is on the link itself, then what is behind a gateway, ways to everywhere last.
///
/// A gateway that is in none of `prefixes` (the interface's addresses with their networks) and on no network on the link gets a route to
/// itself alone first: clouds give addresses whose network is the address alone, with a gateway beside it.
pub fn in_order(routes: &[Route], prefixes: &[Subnet]) -> Vec<Route> {
    let mut ordered: Vec<Route> = Vec::new();
    let mut push = |route: Route| {
        if !ordered.contains(&route) {
            ordered.push(route);
        }
    };
    let on_link: Vec<&Route> = routes.iter().filter(|route| route.gateway.is_none()).collect();
    on_link.iter().for_each(|route| push((*route).clone()));
    let is_reachable = |gateway: IpAddr| {
        let networks = prefixes.iter().copied().chain(on_link.iter().map(|route| route.to));
        let is_link_local = matches!(gateway, IpAddr::V6(address) if address.is_unicast_link_local());
        is_link_local || networks.into_iter().any(|network| network.contains(gateway))
    };
    let mut behind: Vec<(&Route, IpAddr)> = routes.iter().filter_map(|route| Some((route, route.gateway?))).collect();
    behind.sort_by_key(|(route, _)| std::cmp::Reverse(route.to.length()));
    for (route, gateway) in behind {
        if !is_reachable(gateway) {
            push(Route { to: Subnet::host(gateway), gateway: None, link: route.link.clone() });
        }
        push(route.clone());
    }
    ordered
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to)?;
        self.gateway.map_or(Ok(()), |gateway| write!(f, " by {gateway}"))?;
        self.link.as_ref().map_or(Ok(()), |link| write!(f, " on {link}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(text: &str) -> Route {
        let (to, gateway) = text.split_once(" by ").map_or((text, None), |(to, gateway)| (to, Some(gateway)));
        Route { to: Subnet::parse(to).unwrap(), gateway: gateway.map(|gateway| gateway.parse().unwrap()), link: None }
    }

    fn check(prefix: &str, routes: &[&str], expected: &[&str]) {
        let routes: Vec<Route> = routes.iter().map(|text| route(text)).collect();
        let ordered: Vec<String> =
            in_order(&routes, &[Subnet::parse(prefix).unwrap()]).iter().map(Route::to_string).collect();
        assert_eq!(ordered, expected, "{routes:?}");
    }

    #[test]
    fn what_needs_another_route_comes_after_it() {
        let default = "0.0.0.0/0 by 192.0.2.1";
        check("192.0.2.7/24", &[default, "10.0.0.0/8 by 192.0.2.2"], &["10.0.0.0/8 by 192.0.2.2", default]);
        check("192.0.2.7/32", &[default], &["192.0.2.1/32", default]);
        check("192.0.2.7/32", &[default, "192.0.2.0/24"], &["192.0.2.0/24", default]);
        let twice = ["10.0.0.0/8 by 192.0.2.1", default, default];
        check("192.0.2.7/32", &twice, &["192.0.2.1/32", "10.0.0.0/8 by 192.0.2.1", default]);
        check("2001:db8::7/128", &["::/0 by fe80::1"], &["::/0 by fe80::1"]);
        check("2001:db8::7/128", &["::/0 by 2001:db8::1"], &["2001:db8::1/128", "::/0 by 2001:db8::1"]);
    }
}
