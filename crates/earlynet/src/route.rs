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

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to)?;
        self.gateway.map_or(Ok(()), |gateway| write!(f, " by {gateway}"))?;
        self.link.as_ref().map_or(Ok(()), |link| write!(f, " on {link}"))
    }
}
