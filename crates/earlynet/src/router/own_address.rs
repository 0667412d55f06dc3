//! Addresses that a machine makes for itself of an advertised prefix (RFC 4862, section 5.5).

use super::advertisement::Advertisement;
use crate::link_name::LinkName;
use crate::mac::Mac;
use crate::subnet::Subnet;
use sha2::{Digest, Sha256};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// What the second half of an address is made of.
#[derive(Clone, Copy, Debug)]
pub enum InterfaceId<'a> {
    /// The card's address (RFC 4291, appendix A): everybody can see which card it is, and firewalls may expect it.
    Eui64(Mac),
    /// Something that is the same each time in the same network, and tells nobody anything (RFC 7217).
    Stable {
        /// The interface.
        link: &'a LinkName,
        /// What the network is called, if anything is known (the name of a wireless one).
        network: &'a [u8],
        /// 128 bits at least that nobody else knows.
        secret: &'a [u8],
        /// How many addresses were found to be somebody else's.
        duplicates: u8,
    },
}

/// An address to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnAddress {
    /// The address with its prefix.
    pub address: Subnet,
    /// For how long; `None` is for ever.
    pub valid: Option<Duration>,
    /// For how long it is good for new connections; `None` is for ever.
    pub preferred: Option<Duration>,
}

impl Advertisement {
    /// One address for each prefix that allows it. Prefixes of another length than 64 bits allow none: the other half has 64.
    pub fn own_addresses(&self, id: &InterfaceId<'_>) -> Vec<OwnAddress> {
        let usable = self.prefixes.iter().filter(|prefix| prefix.autonomous && prefix.subnet.length() == 64);
        let valid = usable.filter(|prefix| prefix.valid != Some(Duration::ZERO));
        let make = |prefix: &super::advertisement::Prefix| {
            let IpAddr::V6(network) = prefix.subnet.address() else { return None };
            let address = u128::from(network) | u128::from(interface_id(network, id));
            let address = Subnet::new(Ipv6Addr::from(address).into(), 64)?;
            Some(OwnAddress { address, valid: prefix.valid, preferred: prefix.preferred })
        };
        valid.filter_map(make).collect()
    }
}

/// The lower 64 bits of an address of `network`, whose own lower bits are zero.
pub fn interface_id(network: Ipv6Addr, id: &InterfaceId<'_>) -> u64 {
    match id {
        InterfaceId::Eui64(Mac([a, b, c, d, e, f])) => u64::from_be_bytes([a ^ 2, *b, *c, 0xff, 0xfe, *d, *e, *f]),
        InterfaceId::Stable { link, network: name, secret, duplicates } => {
            let mut duplicates = u32::from(*duplicates);
            loop {
                let id = stable(network, link, name, secret, duplicates);
                if !is_reserved(id) {
                    return id;
                }
                duplicates = duplicates.wrapping_add(1);
            }
        }
    }
}

/// F of RFC 7217, section 5, with SHA-256 over its arguments, each behind its length so that none runs into the next.
fn stable(network: Ipv6Addr, link: &LinkName, name: &[u8], secret: &[u8], duplicates: u32) -> u64 {
    let mut hash = Sha256::new();
    let [prefix, _] = halves(network);
    for part in [&prefix[..], link.as_str().as_bytes(), name, &duplicates.to_be_bytes(), secret] {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().last_chunk::<8>().map_or(0, |last| u64::from_be_bytes(*last))
}

fn halves(address: Ipv6Addr) -> [[u8; 8]; 2] {
    let [high, low] = [u128::from(address) >> 64, u128::from(address)];
    [high, low].map(|half| half.to_be_bytes().last_chunk().copied().unwrap_or_default())
}

/// RFC 5453: the routers of a subnet, proxies of mobile machines, and anycast.
fn is_reserved(id: u64) -> bool {
    matches!(id, 0 | 0x0200_5eff_fe00_0000..=0x0200_5eff_fe00_5213 | 0xfdff_ffff_ffff_ff80..=0xfdff_ffff_ffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::super::advertisement::tests::captured;
    use super::*;

    fn made(id: &InterfaceId<'_>) -> Vec<String> {
        let advertisement = Advertisement::parse(&captured(), "fe80::1".parse().unwrap(), 255).unwrap();
        advertisement.own_addresses(id).iter().map(|own| own.address.to_string()).collect()
    }

    /// The card of RFC 2464, section 4.
    #[test]
    fn of_a_card() {
        let mac = |text: &str| InterfaceId::Eui64(text.parse().unwrap());
        assert_eq!(made(&mac("34:56:78:9a:bc:de")), ["2001:db8:1:0:3656:78ff:fe9a:bcde/64"]);
        assert_eq!(interface_id(Ipv6Addr::UNSPECIFIED, &mac("34:56:78:9a:bc:de")), 0x3656_78ff_fe9a_bcde);
    }

    #[test]
    fn of_a_secret() {
        let link = |name| LinkName::new(name).unwrap();
        let (eth0, eth1) = (link("eth0"), link("eth1"));
        let id = |link, network, secret, duplicates| InterfaceId::Stable { link, network, secret, duplicates };
        let first = made(&id(&eth0, b"", &[1; 16], 0));
        assert_eq!(first, made(&id(&eth0, b"", &[1; 16], 0)));
        let others = [
            made(&id(&eth1, b"", &[1; 16], 0)),
            made(&id(&eth0, b"a", &[1; 16], 0)),
            made(&id(&eth0, b"", &[2; 16], 0)),
            made(&id(&eth0, b"", &[1; 16], 1)),
        ];
        assert!(others.iter().all(|other| *other != first));
        let one = interface_id("2001:db8:1::".parse().unwrap(), &id(&eth0, b"", &[1; 16], 0));
        assert_ne!(one, interface_id("2001:db8:2::".parse().unwrap(), &id(&eth0, b"", &[1; 16], 0)));
        // Made once with another program, so that no change of ours moves an address unseen.
        assert_eq!(one, 0x024a_e01e_636d_ded7);
    }

    #[test]
    fn some_are_taken() {
        for id in [0, 0x0200_5eff_fe00_0001, 0xfdff_ffff_ffff_ffff] {
            assert!(is_reserved(id), "{id:x}");
        }
        assert!(!is_reserved(1) && !is_reserved(u64::MAX));
    }

    #[test]
    fn only_of_prefixes_that_allow_it() {
        let mut advertisement = Advertisement::parse(&captured(), "fe80::1".parse().unwrap(), 255).unwrap();
        let id = InterfaceId::Eui64(Mac([2; 6]));
        let made = |advertisement: &Advertisement| advertisement.own_addresses(&id).len();
        assert_eq!(made(&advertisement), 1);
        let good = advertisement.prefixes[0];
        advertisement.prefixes[0].autonomous = false;
        assert_eq!(made(&advertisement), 0);
        advertisement.prefixes[0] = super::super::advertisement::Prefix { valid: Some(Duration::ZERO), ..good };
        assert_eq!(made(&advertisement), 0);
        advertisement.prefixes[0].subnet = Subnet::new(good.subnet.address(), 63).unwrap();
        advertisement.prefixes[0].valid = None;
        assert_eq!(made(&advertisement), 0);
    }
}
