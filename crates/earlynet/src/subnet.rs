//! Addresses with the length of their network's prefix.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address and how many of its leading bits are the network's. The bits behind them may be set (an interface's address) or not (a route's).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subnet {
    address: IpAddr,
    length: u8,
}

impl Subnet {
    /// All of IPv4, what a default route leads to.
    pub const ALL_V4: Subnet = Subnet { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), length: 0 };
    /// All of IPv6.
    pub const ALL_V6: Subnet = Subnet { address: IpAddr::V6(Ipv6Addr::UNSPECIFIED), length: 0 };

    /// `None` if the family has fewer bits: 32 for IPv4, 128 for IPv6.
    pub fn new(address: IpAddr, length: u8) -> Option<Subnet> {
        (length <= bits(address)).then_some(Subnet { address, length })
    }

    /// The address alone: all its bits are the network's.
    pub fn host(address: IpAddr) -> Subnet {
        Subnet { address, length: bits(address) }
    }

    /// An IPv4 address with its network as the classes of RFC 791 had it, which is what the kernel's and klibc's `ip=` assume for a missing mask.
    /// `None` for classes D and E.
    pub fn of_class(address: Ipv4Addr) -> Option<Subnet> {
        let [first, ..] = address.octets();
        let length = match first {
            0..=127 => 8,
            128..=191 => 16,
            192..=223 => 24,
            _ => return None,
        };
        Some(Subnet { address: address.into(), length })
    }

    /// Everything that a gateway of this family can be a default for.
    pub fn all_of(family: IpAddr) -> Subnet {
        if family.is_ipv4() { Subnet::ALL_V4 } else { Subnet::ALL_V6 }
    }

    /// Reads `ADDRESS/LENGTH`, or an address alone, which is then its own network. Brackets around the whole or the address are passed over.
    pub fn parse(text: &str) -> Option<Subnet> {
        let whole = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        let (address, length) = match whole.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (whole, None),
        };
        let address = parse_address(address)?;
        match length {
            None => Some(Subnet::host(address)),
            Some(length) => Subnet::new(address, length_of(length, address)?),
        }
    }

    /// The address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The number of leading bits that are the network's: up to 32 or 128.
    pub fn length(&self) -> u8 {
        self.length
    }

    /// The same network with the bits behind its prefix zero, as a route has it.
    pub fn network(&self) -> Subnet {
        let address = match self.address {
            IpAddr::V4(address) => (address & Ipv4Addr::from(mask_32(self.length))).into(),
            IpAddr::V6(address) => (address & Ipv6Addr::from(mask_128(self.length))).into(),
        };
        Subnet { address, length: self.length }
    }

    /// Whether `address` is in this network.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4()
            && Subnet { address, length: self.length }.network() == self.network()
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

/// An address of either family, with or without brackets.
pub(crate) fn parse_address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok()
}

/// A length as people write it for an address: `24`, or for IPv4 also `255.255.255.0`.
pub(crate) fn length_of(text: &str, family: IpAddr) -> Option<u8> {
    if family.is_ipv4()
        && let Ok(mask) = text.parse()
    {
        return length_of_mask(mask);
    }
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|length| plain && *length <= bits(family))
}

/// The number of leading ones. `None` if a one follows a zero.
pub(crate) fn length_of_mask(mask: Ipv4Addr) -> Option<u8> {
    let bits = u32::from(mask);
    (bits.leading_ones() == bits.count_ones()).then(|| u8::try_from(bits.leading_ones()).unwrap_or(32))
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn mask_32(length: u8) -> u32 {
    u32::MAX.checked_shl(32_u32.saturating_sub(length.into())).unwrap_or(0)
}

fn mask_128(length: u8) -> u128 {
    u128::MAX.checked_shl(128_u32.saturating_sub(length.into())).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let read = Subnet::parse(text).map(|subnet| format!("{subnet} {}", subnet.network()));
        assert_eq!(read.unwrap_or_default(), expected, "{text}");
    }

    #[test]
    fn spellings_of_a_network() {
        check("192.0.2.7/24", "192.0.2.7/24 192.0.2.0/24");
        check("192.0.2.7/255.255.255.128", "192.0.2.7/25 192.0.2.0/25");
        check("192.0.2.7", "192.0.2.7/32 192.0.2.7/32");
        check("192.0.2.7/0", "192.0.2.7/0 0.0.0.0/0");
        check("[2001:db8:3::1/32]", "2001:db8:3::1/32 2001:db8::/32");
        check("[2001:db8::1]/64", "2001:db8::1/64 2001:db8::/64");
        check("2001:db8::1/0", "2001:db8::1/0 ::/0");
        check("2001:db8::1", "2001:db8::1/128 2001:db8::1/128");
    }

    #[test]
    fn what_is_no_network() {
        for text in [
            "",
            "192.0.2.7/33",
            "192.0.2.7/255.0.255.0",
            "192.0.2.7/+8",
            "2001:db8::/129",
            "192.0.2",
            "a/8",
            "1.2.3.4/",
        ] {
            check(text, "");
        }
    }

    #[test]
    fn classes_stand_for_a_missing_mask() {
        let length = |text: &str| Subnet::of_class(text.parse().unwrap()).map(|subnet| subnet.length());
        assert_eq!(
            ["10.1.1.1", "172.16.0.1", "192.168.1.1", "224.0.0.1"].map(length),
            [Some(8), Some(16), Some(24), None]
        );
    }

    #[test]
    fn what_is_within() {
        let within = |network: &str, address: &str| Subnet::parse(network).unwrap().contains(address.parse().unwrap());
        assert!(within("192.0.2.7/24", "192.0.2.255") && !within("192.0.2.7/24", "192.0.3.0"));
        assert!(within("::/0", "2001:db8::1") && !within("::/0", "192.0.2.1") && within("0.0.0.0/0", "192.0.2.1"));
    }
}
