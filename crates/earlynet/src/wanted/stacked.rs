//! `vlan=`, `bond=` and `ifname=`: interfaces that are made, and names that are given.

use super::fault::{Part, WordError};
use super::fields::{link, mac, mtu, number, split, wrong};
use crate::link_name::LinkName;
use crate::mac::Mac;
use crate::subnet::parse_address;

/// A VLAN's interface (IEEE 802.1Q).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vlan {
    /// Its name.
    pub name: LinkName,
    /// Its number, 1 to 4094.
    pub id: u16,
    /// The interface whose frames carry the number.
    pub on: LinkName,
}

/// An interface made of several cards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bond {
    /// Its name.
    pub name: LinkName,
    /// The cards, one at least.
    pub members: Vec<LinkName>,
    /// How the cards share the work.
    pub mode: BondMode,
    /// What else is set, in the order in which it stands there: the names of the files below `/sys/class/net/BOND/bonding`, and what goes
    /// into them. Of `arp_ip_target` and `ns_ip6_target` there is one for each address. Names are of the kernel's list, values of letters,
    /// digits and `.:,+-_[]/`.
    pub options: Vec<(&'static str, String)>,
    /// The largest packet.
    pub mtu: Option<u32>,
}

/// How a bond uses its cards; the number is the kernel's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum BondMode {
    /// In turn.
    BalanceRr = 0,
    /// One at a time.
    ActiveBackup = 1,
    /// By a hash of the addresses.
    BalanceXor = 2,
    /// All send everything.
    Broadcast = 3,
    /// Link aggregation with the switch (LACP).
    Lacp = 4,
    /// Sending is balanced.
    BalanceTlb = 5,
    /// Both directions are balanced.
    BalanceAlb = 6,
}

/// A name for the card with an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    /// The name.
    pub name: LinkName,
    /// The card.
    pub mac: Mac,
}

/// More cards than a bond of the kernel's ever has.
const MOST_MEMBERS: usize = 64;

/// What the kernel's driver knows (Documentation/networking/bonding.rst).
const BOND_OPTIONS: &[&str] = &[
    "active_slave",
    "ad_actor_sys_prio",
    "ad_actor_system",
    "ad_select",
    "ad_user_port_key",
    "all_slaves_active",
    "arp_all_targets",
    "arp_interval",
    "arp_ip_target",
    "arp_missed_max",
    "arp_validate",
    "coupled_control",
    "downdelay",
    "fail_over_mac",
    "lacp_active",
    "lacp_rate",
    "lp_interval",
    "miimon",
    "min_links",
    "ns_ip6_target",
    "num_grat_arp",
    "num_unsol_na",
    "packets_per_slave",
    "peer_notif_delay",
    "primary",
    "primary_reselect",
    "resend_igmp",
    "tlb_dynamic_lb",
    "updelay",
    "use_carrier",
    "xmit_hash_policy",
];

/// `vlan=NAME:DEVICE`. The number is the name's, in the four styles of the kernel: `vlan5`, `vlan0005`, `eth0.5`, `eth0.0005`.
pub(super) fn vlan(value: &str) -> Result<Vlan, WordError> {
    match split(value).as_slice() {
        [] | [""] => Err(WordError::Missing(Part::VlanName)),
        [_] | [_, ""] => Err(WordError::Missing(Part::Link)),
        [name, on] => {
            let (name, on) = (link(name)?, link(on)?);
            let digits = match name.as_str().rsplit_once('.') {
                Some((_, digits)) => digits,
                None => name.as_str().trim_start_matches(|c: char| !c.is_ascii_digit()),
            };
            let id = number(digits).and_then(|id| u16::try_from(id).ok()).filter(|id| (1..=4094).contains(id));
            let id = id.ok_or_else(|| wrong(Part::VlanName, name.as_str()))?;
            if name == on { Err(WordError::Circle) } else { Ok(Vlan { name, id, on }) }
        }
        _ => Err(WordError::TooManyParts { most: 2 }),
    }
}

/// `bond=NAME[:CARD,CARD…[:OPTION,OPTION…[:MTU]]]`, or `bond` alone for `bond0:eth0,eth1:mode=balance-rr`.
pub(super) fn bond(value: &str) -> Result<Bond, WordError> {
    let fields = split(value);
    if fields.len() > 4 {
        return Err(WordError::TooManyParts { most: 4 });
    }
    let field = |at: usize, usual| fields.get(at).copied().filter(|field| !field.is_empty()).unwrap_or(usual);
    let name = link(field(0, "bond0"))?;
    let members = field(1, "eth0,eth1").split(',').map(link).collect::<Result<Vec<_>, _>>()?;
    if members.contains(&name) {
        return Err(WordError::Circle);
    }
    if members.len() > MOST_MEMBERS {
        return Err(WordError::TooMany { most: MOST_MEMBERS });
    }
    if members.iter().enumerate().any(|(n, member)| members.iter().skip(n + 1).any(|other| other == member)) {
        return Err(WordError::Twice);
    }
    let mut bond = Bond { name, members, mode: BondMode::BalanceRr, options: Vec::new(), mtu: None };
    for option in field(2, "").split(',').filter(|option| !option.is_empty()) {
        bond_option(&mut bond, option)?;
    }
    bond.mtu = Some(field(3, "")).filter(|text| !text.is_empty()).map(mtu).transpose()?;
    Ok(bond)
}

fn bond_option(bond: &mut Bond, text: &str) -> Result<(), WordError> {
    let bad = || wrong(Part::BondOption, text);
    let (name, value) = text.split_once('=').ok_or_else(bad)?;
    if name == "mode" {
        bond.mode = mode(value).ok_or_else(|| wrong(Part::BondMode, text))?;
        return Ok(());
    }
    let name = BOND_OPTIONS.iter().find(|known| **known == name).ok_or_else(bad)?;
    // It ends up in a file below /sys, so no more gets through than options are made of.
    let plain = |c: char| c.is_ascii_alphanumeric() || ".:+-_[]/;".contains(c);
    if value.is_empty() || !value.chars().all(plain) {
        return Err(bad());
    }
    if !name.ends_with("_target") {
        bond.options.push((name, value.to_owned()));
        return if value.contains(';') { Err(bad()) } else { Ok(()) };
    }
    // initscripts write a plus sign in front of each.
    for target in value.split(';').map(|target| target.trim_start_matches('+')) {
        let address = parse_address(target).filter(|address| address.is_ipv4() == (*name == "arp_ip_target"));
        bond.options.push((name, address.ok_or_else(bad)?.to_string()));
    }
    Ok(())
}

fn mode(text: &str) -> Option<BondMode> {
    Some(match text {
        "0" | "balance-rr" => BondMode::BalanceRr,
        "1" | "active-backup" => BondMode::ActiveBackup,
        "2" | "balance-xor" => BondMode::BalanceXor,
        "3" | "broadcast" => BondMode::Broadcast,
        "4" | "802.3ad" => BondMode::Lacp,
        "5" | "balance-tlb" => BondMode::BalanceTlb,
        "6" | "balance-alb" => BondMode::BalanceAlb,
        _ => return None,
    })
}

/// `ifname=NAME:MAC`.
pub(super) fn rename(value: &str) -> Result<Rename, WordError> {
    let (name, card) = value.split_once(':').ok_or(WordError::Missing(Part::Mac))?;
    let mac = mac(&[card])?.ok_or(WordError::Missing(Part::Mac))?;
    Ok(Rename { name: link(name)?, mac })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_vlan(value: &str, expected: Result<(&str, u16, &str), WordError>) {
        let read = vlan(value);
        let read = read.as_ref().map(|vlan| (vlan.name.as_str(), vlan.id, vlan.on.as_str())).map_err(Clone::clone);
        assert_eq!(read, expected, "{value}");
    }

    #[test]
    fn the_four_styles_of_vlans() {
        check_vlan("vlan5:eth0", Ok(("vlan5", 5, "eth0")));
        check_vlan("vlan0005:eth0", Ok(("vlan0005", 5, "eth0")));
        check_vlan("eth0.5:eth0", Ok(("eth0.5", 5, "eth0")));
        check_vlan("bond0.4094:bond0", Ok(("bond0.4094", 4094, "bond0")));
        for bad in ["vlan0:eth0", "vlan4095:eth0", "lan:eth0", "eth0.x:eth0", "eth0.:eth0"] {
            assert!(matches!(vlan(bad), Err(WordError::Part { part: Part::VlanName, .. })), "{bad}");
        }
        check_vlan("", Err(WordError::Missing(Part::VlanName)));
        check_vlan("vlan5", Err(WordError::Missing(Part::Link)));
        check_vlan("vlan5:vlan5", Err(WordError::Circle));
        check_vlan("vlan5:eth0:x", Err(WordError::TooManyParts { most: 2 }));
    }

    #[test]
    fn bonds() {
        let name = |text| LinkName::new(text).unwrap();
        let usual = Bond {
            name: name("bond0"),
            members: vec![name("eth0"), name("eth1")],
            mode: BondMode::BalanceRr,
            options: Vec::new(),
            mtu: None,
        };
        assert_eq!(bond(""), Ok(usual.clone()));
        assert_eq!(bond("bond1"), Ok(Bond { name: name("bond1"), ..usual.clone() }));
        let lacp = bond("bond0:ens3,ens4:mode=802.3ad,miimon=100,xmit_hash_policy=layer2+3:9000").unwrap();
        assert_eq!((lacp.mode, lacp.mtu), (BondMode::Lacp, Some(9000)));
        assert_eq!(lacp.options, [("miimon", "100".to_owned()), ("xmit_hash_policy", "layer2+3".to_owned())]);
        let watched = bond("bond0:ens3:mode=1,arp_interval=100,arp_ip_target=192.0.2.1;+192.0.2.2").unwrap();
        let target = |text: &str| ("arp_ip_target", text.to_owned());
        assert_eq!(watched.options.get(1..), Some([target("192.0.2.1"), target("192.0.2.2")].as_slice()));
    }

    #[test]
    fn what_is_no_bond() {
        let refused = |value: &str, part| {
            assert!(matches!(bond(value), Err(WordError::Part { part: p, .. }) if p == part), "{value}")
        };
        refused("bond0:eth0:mode=7", Part::BondMode);
        refused("bond0:eth0:mode=ActiveBackup", Part::BondMode);
        for option in [
            "miimon",
            "../x=1",
            "slaves=+eth1",
            "primary=a b",
            "miimon=",
            "miimon=1;2",
            "arp_ip_target=[::1]",
            "arp_ip_target=",
        ] {
            refused(&format!("bond0:eth0:{option}"), Part::BondOption);
        }
        refused("bond0:eth0,:mode=1", Part::Link);
        refused("bond0:eth0::70000", Part::Mtu);
        assert_eq!(bond("bond0:eth0,bond0"), Err(WordError::Circle));
        assert_eq!(bond("bond0:eth0,eth1,eth0"), Err(WordError::Twice));
        let many: Vec<String> = (0..65).map(|n| format!("e{n}")).collect();
        assert_eq!(bond(&format!("bond0:{}", many.join(","))), Err(WordError::TooMany { most: 64 }));
        assert_eq!(bond("a:b:::"), Err(WordError::TooManyParts { most: 4 }));
    }

    #[test]
    fn names_for_cards() {
        let read = rename("bootnet:52:54:00:12:AB:56").unwrap();
        assert_eq!((read.name.as_str(), read.mac.to_string().as_str()), ("bootnet", "52:54:00:12:ab:56"));
        assert_eq!(rename("bootnet"), Err(WordError::Missing(Part::Mac)));
        assert!(matches!(rename("bootnet:52:54"), Err(WordError::Part { part: Part::Mac, .. })));
        assert!(matches!(rename(":52:54:00:12:AB:56"), Err(WordError::Part { part: Part::Link, .. })));
    }
}
