//! Router advertisements.

use crate::Reached;
use crate::header::say;
use earlynet::router::{Advertisement, InterfaceId};
use earlynet::{LinkName, Mac};
use std::net::Ipv6Addr;

const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0x5424, 0xff, 0xfeea, 0x2ae2);

/// Takes the bytes as the message. Addresses that are made of it are in its prefixes.
pub fn router_advertisement(bytes: &[u8]) -> Reached {
    let advertisement = match Advertisement::parse(bytes, ROUTER, 255) {
        Ok(advertisement) => advertisement,
        Err(error) => {
            say(&error);
            return Reached::Nothing;
        }
    };
    let link = LinkName::new("eth0").unwrap();
    let stable = InterfaceId::Stable { link: &link, network: b"", secret: &[1; 16], duplicates: 0 };
    for id in [InterfaceId::Eui64(Mac([2; 6])), stable] {
        for own in advertisement.own_addresses(&id) {
            let within =
                |prefix: &earlynet::router::Prefix| prefix.autonomous && prefix.subnet.contains(own.address.address());
            assert!(advertisement.prefixes.iter().any(within));
            assert_eq!(own.address.length(), 64);
        }
    }
    assert!(advertisement.mtu.is_none_or(|mtu| (1280..=65535).contains(&mtu)));
    assert!(advertisement.name_servers.iter().all(|server| !server.is_multicast() && !server.is_unspecified()));
    assert_eq!(advertisement.default_route().is_some(), !advertisement.lifetime.is_zero());
    if advertisement.prefixes.is_empty() { Reached::Read } else { Reached::Accepted }
}
