//! Whole command lines.

use super::*;
use proptest::prelude::*;

fn read(line: &str) -> Wanted {
    Wanted::read(&CommandLine::parse(line.as_bytes()).unwrap(), Dialect::Dracut)
}

fn good(line: &str) -> Wanted {
    let wanted = read(line);
    assert_eq!(wanted.faults, [], "{line}");
    wanted
}

fn check_fault(line: &str, expected: &str) {
    let faults: Vec<String> = read(line).faults.iter().map(Fault::to_string).collect();
    assert_eq!(faults, [expected], "{line}");
}

fn name(text: &str) -> LinkName {
    LinkName::new(text).unwrap()
}

#[test]
fn a_line_without_words_of_ours() {
    let wanted = good("BOOT_IMAGE=/vmlinuz root=/dev/mapper/root ro quiet");
    assert!(wanted.rules.is_empty() && !wanted.off && !wanted.needed && wanted.peer_dns && wanted.predictable_names);
    assert_eq!(wanted.rules_or_automatic(), [LinkRule::automatic(Which::Any)]);
}

#[test]
fn off_means_hands_off() {
    assert!(good("ip=off").rules_or_automatic().is_empty());
    let both = good("ip=none ip=eth0:dhcp");
    assert!(!both.off);
    assert_eq!(both.rules.len(), 1);
}

#[test]
fn several_words_make_one_value() {
    let wanted = good(
        "ip=192.0.2.7::192.0.2.1:24::bond0.5:none ip=eth9:dhcp vlan=bond0.5:bond0 bond=bond0:a,b:mode=1,miimon=100 \
         ifname=a:52:54:00:00:00:01 nameserver=192.0.2.53 nameserver=[2001:db8::53] rd.route=198.51.100.0/24:192.0.2.2 \
         rd.route=[2001:DB8:3::/8]:[2001:DB8:2::1]:ens10 rd.route=203.0.113.0/24::eth9 bootdev=bond0.5 rd.neednet=1 rd.peerdns=0 \
         net.ifnames=0 rd.net.timeout.carrier=20 rd.net.timeout.dhcp=30 rd.net.dhcp.retry=3 rd.net.timeout.unknown=x",
    );
    assert_eq!((wanted.rules.len(), wanted.vlans.len(), wanted.bonds.len(), wanted.renames.len()), (2, 1, 1, 1));
    assert_eq!(wanted.name_servers.len(), 2);
    let routes: Vec<String> = wanted.routes.iter().map(Route::to_string).collect();
    assert_eq!(
        routes,
        ["198.51.100.0/24 by 192.0.2.2", "2000::/8 by 2001:db8:2::1 on ens10", "203.0.113.0/24 on eth9"]
    );
    assert_eq!(wanted.boot_link, Some(Which::Named(name("bond0.5"))));
    assert!(wanted.needed && !wanted.peer_dns && !wanted.predictable_names);
    assert_eq!(wanted.limits.carrier, Some(Duration::from_secs(20)));
    assert_eq!((wanted.limits.dhcp, wanted.limits.dhcp_attempts), (Some(Duration::from_secs(30)), Some(3)));
}

#[test]
fn layers_are_built_from_the_bottom() {
    let wanted = good("vlan=v5:bond0 bond=bond0:a,b bond=bond1:c.7 vlan=c.7:c");
    let layers = |link: &str| -> Vec<String> {
        let link = name(link);
        let text = |layer: &Layer<'_>| match layer {
            Layer::Card(card) => card.to_string(),
            Layer::Bond(bond) => bond.name.to_string(),
            Layer::Vlan(vlan) => vlan.name.to_string(),
        };
        wanted.layers(&link).iter().map(text).collect()
    };
    assert_eq!(layers("v5"), ["a", "b", "bond0", "v5"]);
    assert_eq!(layers("bond1"), ["c", "c.7", "bond1"]);
    assert_eq!(layers("eth0"), ["eth0"]);
}

#[test]
fn rules_find_their_interface() {
    let count = |line: &str, link: &str, mac: &str| good(line).rules_for(&name(link), mac.parse().ok()).len();
    let mac = "52:54:00:12:34:56";
    assert_eq!((count("ip=eth0:dhcp", "eth0", mac), count("ip=eth0:dhcp", "eth1", mac)), (1, 0));
    assert_eq!((count("ip=52-54-00-12-34-56:dhcp", "x", mac), count("ip=52-54-00-12-34-56:dhcp", "x", "")), (1, 0));
    let renamed = "ip=net:dhcp ifname=net:52:54:00:12:34:56";
    assert_eq!((count(renamed, "eth0", mac), count(renamed, "eth0", "")), (1, 0));
    let bond = "ip=dhcp bond=bond0:a,b";
    assert_eq!((count(bond, "bond0", mac), count(bond, "a", mac), count(bond, "c", mac)), (1, 0, 1));
    assert_eq!((count("", "eth0", mac), count("ip=off", "eth0", mac)), (1, 0));
    // A VLAN has the address of its card.
    let vlan = "ip=vlan5:dhcp vlan=vlan5:net ifname=net:52:54:00:12:34:56";
    assert_eq!((count(vlan, "vlan5", mac), count(vlan, "net", mac)), (1, 0));
    let address = "ip=52-54-00-12-34-56:dhcp vlan=vlan5:eth0";
    assert_eq!((count(address, "vlan5", mac), count(address, "eth0", mac)), (0, 1));
}

#[test]
fn the_boot_loaders_card_is_meant_by_everything() {
    let card = Which::Address("52:54:00:12:34:56".parse().unwrap());
    let wanted = good("ip=dhcp BOOTIF=01-52-54-00-12-34-56");
    assert_eq!(wanted.rules.iter().map(|rule| &rule.which).collect::<Vec<_>>(), [&card]);
    assert_eq!(good("BOOTIF=01-52-54-00-12-34-56").rules_or_automatic(), [LinkRule::automatic(card)]);
    assert_eq!(good("ip=dhcp BOOTIF=junk rd.bootif=0").boot_link, None);
    assert_eq!(good("BOOTIF=01-52-54-00-12-34-56 bootdev=eth0").boot_link, Some(Which::Named(name("eth0"))));
}

#[test]
fn a_fault_names_the_word_and_what_to_write() {
    check_fault(
        "ip=eth0 ip=eth1:dhcp",
        "\"ip=eth0\" on the kernel command line is passed over: \"eth0\" is no method or address; write ip=dhcp, ip=INTERFACE:dhcp or \
         ip=ADDRESS::GATEWAY:NETMASK::INTERFACE:none",
    );
    check_fault(
        "vlan=vlan5",
        "\"vlan=vlan5\" on the kernel command line is passed over: the interface is missing; write a name such as eth0, of 15 characters \
         at most",
    );
    check_fault(
        "nameserver=\x1b[2J",
        "\"nameserver=\\u{1b}[2J\" on the kernel command line is passed over: \"\\u{1b}[2J\" is no name server's address; write \
         192.0.2.53, or [2001:db8::53] in brackets",
    );
}

#[test]
fn a_fault_is_short() {
    let long = read(&format!("ip={}", "x".repeat(60_000))).faults[0].to_string();
    assert!(long.len() < 500, "{long}");
}

#[test]
fn each_word_has_its_faults() {
    let why = |line: &str| match read(line).faults.as_slice() {
        [fault] => fault.why.clone(),
        faults => panic!("{line}: {faults:?}"),
    };
    for (line, part) in [
        ("rd.route=x:192.0.2.1", Part::Network),
        ("rd.route=192.0.2.0/24:x", Part::Gateway),
        ("rd.route=192.0.2.0/24:192.0.2.1:a/b", Part::Link),
        ("bootdev=", Part::Link),
        ("BOOTIF=junk", Part::Mac),
        ("rd.net.timeout.dhcp=", Part::Seconds),
        ("rd.net.timeout.dhcp=-1", Part::Seconds),
        ("rd.net.timeout.carrier=99999", Part::Seconds),
        ("rd.net.dhcp.retry=0", Part::Attempts),
    ] {
        assert!(matches!(why(line), WordError::Part { part: found, .. } if found == part), "{line}: {:?}", why(line));
    }
    assert_eq!(why("rd.route="), WordError::Missing(Part::Network));
    assert_eq!(why("rd.route=192.0.2.0/24"), WordError::Missing(Part::Gateway));
    assert!(matches!(why("rd.route=192.0.2.0/24:[2001:db8::1]"), WordError::Families { .. }));
    assert_eq!(why("rd.route=192.0.2.0/24:192.0.2.1:a:b"), WordError::TooManyParts { most: 3 });
    assert!(matches!(why("bridge=br0:eth0"), WordError::Unsupported { .. }));
    assert!(matches!(why("team"), WordError::Unsupported { .. }));
}

#[test]
fn what_was_said_twice() {
    for line in [
        "ip=eth0:dhcp ip=eth0:dhcp:1400",
        "ip=192.0.2.7::::::none ip=192.0.2.8::::::none",
        "vlan=eth0.5:eth0 vlan=eth0.5:eth1",
        "bond=bond0:a bond=bond0:b",
        "bond=v5:a vlan=v5:b",
        "bond=bond0:a,b bond=bond1:b,c",
        "ifname=a:52:54:00:00:00:01 ifname=b:52:54:00:00:00:01",
    ] {
        assert_eq!(read(line).faults.first().map(|fault| fault.why.clone()), Some(WordError::Twice), "{line}");
    }
    good(
        "ip=eth0:dhcp ip=eth0:dhcp ip=eth0:dhcp6 vlan=eth0.5:eth0 vlan=eth0.5:eth0 bond bond ifname=a:52:54:00:00:00:01",
    );
}

#[test]
fn nothing_stands_on_itself() {
    for line in ["vlan=a.1:b.1 vlan=b.1:a.1", "vlan=v1:bond0 bond=bond0:a,v1", "bond=x:y bond=y:z bond=z:x"] {
        assert_eq!(read(line).faults.first().map(|fault| fault.why.clone()), Some(WordError::Circle), "{line}");
    }
}

/// Two VLANs on each bond and a bond of the two, thirty times over: 2^30 ways down.
#[test]
fn many_ways_down_are_one() {
    let floor = |n: u32| format!("vlan=a{n}.1:b{n} vlan=c{n}.2:b{n} bond=b{}:a{n}.1,c{n}.2 ", n + 1);
    let wanted = read(&(0..30).map(floor).collect::<String>());
    assert_eq!((wanted.vlans.len() + wanted.bonds.len(), wanted.faults.len()), (MOST_WORDS, 26));
    assert!(wanted.faults.iter().all(|fault| fault.why == WordError::TooMany { most: MOST_WORDS }));
    assert_eq!(wanted.layers(&name("b21")).len(), 64);
    let rules: String = (0..99).map(|n| format!("ip=eth{n}:dhcp ")).collect();
    assert_eq!(read(&rules).rules.len(), MOST_WORDS);
}

proptest! {
    #[test]
    fn any_words_end(line in "((ip|vlan|bond|ifname|rd.route|nameserver|BOOTIF|bootdev)=[a-c0-3:.,\\[\\]/=-]{0,30} ?){0,6}") {
        for dialect in [Dialect::Kernel, Dialect::Dracut] {
            let wanted = Wanted::read(&CommandLine::parse(line.as_bytes()).unwrap(), dialect);
            for vlan in &wanted.vlans {
                let layers = wanted.layers(&vlan.name);
                prop_assert_eq!(layers.last(), Some(&Layer::Vlan(vlan)));
            }
            for fault in &wanted.faults {
                prop_assert_eq!(fault.to_string().lines().count(), 1);
            }
        }
    }
}
