//! Files that others leave of a network they have configured.

use crate::Reached;
use earlynet::configured::{Hosts, net_conf, networkd, resolv_conf};

/// Takes the bytes as each of the files.
pub fn network_files(bytes: &[u8]) -> Reached {
    let hosts = Hosts::parse(bytes);
    let resolv = resolv_conf(bytes);
    assert!(resolv.servers.len() <= 8 && resolv.search.len() <= 16 && resolv.ndots <= 15);
    let net = net_conf(bytes);
    assert!(net.routes.iter().all(|route| route.to == route.to.network()));
    assert!(net.addresses.iter().all(|address| !address.address().is_unspecified()));
    let networkd = networkd(bytes);
    assert!(networkd.servers.len() <= 8 && networkd.search.len() <= 16);
    let servers = resolv.servers.iter().chain(&net.servers).chain(&networkd.servers);
    assert!(servers.clone().all(|server| !server.address.is_unspecified() && !server.address.is_multicast()));
    let something = hosts != Hosts::default() || servers.count() > 0 || !net.addresses.is_empty();
    if something { Reached::Read } else { Reached::Nothing }
}
