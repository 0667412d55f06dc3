//! Ways to an address.

use crate::site::{AMPLE, Site, soon};
use linux::network::take_back;

const RANGE: &str = "--dhcp-range=192.0.2.50,192.0.2.59,255.255.255.0,1h";

fn is_on(site: &Site, card: &str) -> bool {
    site.here(&["ip", "link", "show", card]).contains(",UP")
}

#[test]
fn an_address_by_hand_is_there_with_its_routes_and_goes_without_a_trace() {
    let site = Site::new(1);
    let links = || site.here(&["ip", "link"]).replace("qdisc noqueue", "qdisc noop");
    let before = links();
    let plan = site
        .plan("ip=192.0.2.7::192.0.2.1:255.255.255.0::eth0:none:192.0.2.53 rd.route=198.51.100.0/24:192.0.2.2:eth0");
    let (network, events) = site.bring_up(&plan, AMPLE).up();
    let routes = site.here(&["ip", "route"]);
    for route in ["default via 192.0.2.1 dev eth0", "198.51.100.0/24 via 192.0.2.2 dev eth0", "192.0.2.0/24 dev eth0"] {
        assert!(routes.contains(route), "{routes}");
    }
    assert!(site.here(&["ip", "-4", "address"]).contains("192.0.2.7/24 brd 192.0.2.255"));
    assert_eq!(network.names().servers().len(), 1);
    for part in ["eth0: switched on", "eth0: has a carrier after", "eth0: address 192.0.2.7/24", "the network is there"]
    {
        assert!(events.iter().any(|event| event.contains(part)), "{events:?}");
    }
    let conf = site.directory("run").join("net-eth0.conf");
    assert!(std::fs::read_to_string(&conf).unwrap().contains("IPV4ADDR='192.0.2.7'"));
    let changes = network.changes();
    drop(network);
    assert_eq!(site.inside(|| take_back(&changes)), [""; 0], "{changes:?}");
    assert_eq!(links(), before);
    assert!(!site.here(&["ip", "address", "show", "dev", "eth0"]).contains("inet") && !conf.exists());
    assert_eq!(site.inside(|| take_back(&changes)), [""; 0], "what is gone is no failure");
}

#[test]
fn dhcp_gives_an_address_routes_and_servers() {
    let mut site = Site::new(1);
    site.address(0, "192.0.2.1/24");
    let options =
        ["--dhcp-option=option:dns-server,192.0.2.1,192.0.2.2", "--dhcp-option=option:domain-search,a.example", RANGE];
    site.dnsmasq(0, &options);
    let (network, events) = site.bring_up(&site.plan("ip=dhcp"), AMPLE).up();
    for part in [
        "DHCP DISCOVER",
        "DHCP OFFER 192.0.2.5",
        "DHCP REQUEST",
        "DHCP ACK 192.0.2.5",
        "servers of names: 192.0.2.1, 192.0.2.2",
    ] {
        assert!(events.iter().any(|event| event.contains(part)), "{events:?}");
    }
    let address = site.here(&["ip", "-4", "address", "show", "dev", "eth0"]);
    assert!(address.contains("192.0.2.5") && address.contains("valid_lft forever"), "{address}");
    assert!(site.here(&["ip", "route"]).contains("default via 192.0.2.1 dev eth0"));
    assert_eq!((network.names().servers().len(), network.names().search().len()), (2, 1));
    let conf = std::fs::read_to_string(site.directory("run").join("net-eth0.conf")).unwrap();
    assert!(
        conf.contains("PROTO='dhcp'") && conf.contains("IPV4DNS1='192.0.2.2'") && conf.contains("DHCPLEASETIME='3600'"),
        "{conf}"
    );
}

#[test]
fn an_address_by_hand_and_a_lease_stand_side_by_side() {
    let mut site = Site::new(1);
    site.address(0, "192.0.2.1/24");
    // A size that no machine need take is not obeyed.
    site.dnsmasq(0, &["--dhcp-option=option:dns-server,192.0.2.1", "--dhcp-option=option:mtu,300", RANGE]);
    let plan = site.plan("ip=198.51.100.7:::24::eth0:none ip=eth0:dhcp");
    let (network, _) = site.bring_up(&plan, AMPLE).up();
    soon(|| network.changes().iter().any(|change| change.contains("address 192.0.2.5")));
    let state = site.here(&["ip", "address", "show", "dev", "eth0"]);
    assert!(state.contains("198.51.100.7/24") && state.contains("mtu 1500"), "{state}");
}

#[test]
fn of_all_cards_the_one_with_a_server_is_taken_and_the_others_are_put_back() {
    let mut site = Site::new(3);
    site.address(1, "192.0.2.1/24");
    site.dnsmasq(1, &["--dhcp-option=option:dns-server,192.0.2.1", RANGE]);
    let (network, events) = site.bring_up(&site.plan(""), AMPLE).up();
    assert_eq!(network.link().unwrap().as_str(), "eth1", "{events:?}");
    for card in ["eth0", "eth2"] {
        assert!(!is_on(&site, card), "{events:?}");
    }
    assert!(network.changes().iter().all(|change| change.contains(" eth1 ")), "{:?}", network.changes());
}

#[test]
fn a_card_is_found_by_its_hardware_address_and_given_its_name() {
    let mut site = Site::new(2);
    site.here(&["ip", "link", "set", "eth1", "address", "52:54:00:12:34:56"]);
    site.address(1, "192.0.2.1/24");
    site.dnsmasq(1, &["--dhcp-option=option:dns-server,192.0.2.1", RANGE]);
    let plan = site.plan("ip=dhcp BOOTIF=01-52-54-00-12-34-56 ifname=bootnet:52:54:00:12:34:56");
    let (network, events) = site.bring_up(&plan, AMPLE).up();
    assert_eq!(network.link().unwrap().as_str(), "bootnet", "{events:?}");
    assert!(!is_on(&site, "eth0"));
    let changes = network.changes();
    drop(network);
    assert_eq!(site.inside(|| take_back(&changes)), [""; 0], "{changes:?}");
    assert!(!is_on(&site, "eth1"));
}

#[test]
fn a_carrier_that_comes_later_is_waited_for() {
    let mut site = Site::new(1);
    site.address(0, "192.0.2.1/24");
    site.dnsmasq(0, &["--dhcp-option=option:dns-server,192.0.2.1", RANGE]);
    site.there(&["ip", "link", "set", "p0", "down"]);
    let plan = site.plan("ip=eth0:dhcp");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| site.bring_up(&plan, AMPLE));
        soon(|| is_on(&site, "eth0"));
        site.there(&["ip", "link", "set", "p0", "up"]);
        let (_, events) = waiting.join().unwrap().up();
        // Not before: what is sent without a carrier is lost, and the next message is half a second away.
        let place = |part: &str| events.iter().position(|event| event.contains(part)).unwrap();
        assert_eq!(place("has a carrier") + 1, place("DISCOVER"), "{events:?}");
    });
}

#[test]
fn a_router_is_asked_and_the_kernel_makes_the_address() {
    let mut site = Site::new(1);
    site.address(0, "2001:db8:1::1/64");
    site.dnsmasq(
        0,
        &["--enable-ra", "--dhcp-range=2001:db8:1::,ra-only", "--dhcp-option=option6:dns-server,[2001:db8:1::1]"],
    );
    let outcome = site.bring_up(&site.plan("ip=eth0:auto6"), AMPLE);
    let (network, events) = outcome.up();
    assert!(events.iter().any(|event| event.contains("a router answers, a way to everywhere")), "{events:?}");
    assert!(site.here(&["ip", "-6", "address"]).contains("2001:db8:1:"));
    // Its own address is used before it is known that nobody else has it: that takes a second or two.
    assert!(network.changes().iter().any(|change| change.ends_with("optimistic_dad 0")));
    assert_eq!(network.names().servers()[0].to_string(), "2001:db8:1::1");
}

#[test]
fn dhcp_of_ipv6_gives_an_address_where_a_router_says_so() {
    let mut site = Site::new(1);
    site.address(0, "2001:db8:1::1/64");
    let range = "--dhcp-range=2001:db8:1::1d0,2001:db8:1::1df,64,1h";
    site.dnsmasq(0, &["--enable-ra", range, "--dhcp-option=option6:dns-server,[2001:db8:1::1]"]);
    for command_line in ["ip=eth0:dhcp6", "ip=eth0:auto6", "ip=eth0:either6"] {
        let (network, events) = site.bring_up(&site.plan(command_line), AMPLE).up();
        let changes = network.changes();
        assert!(changes.iter().any(|change| change.contains("address 2001:db8:1::1d")), "{command_line}: {events:?}");
        assert_eq!(network.names().servers()[0].to_string(), "2001:db8:1::1");
        drop(network);
        assert_eq!(site.inside(|| take_back(&changes)), [""; 0], "{changes:?}");
    }
}

#[test]
fn a_second_card_that_is_named_is_set_up_when_its_carrier_comes() {
    let site = Site::new(2);
    site.there(&["ip", "link", "set", "p1", "down"]);
    let command_line = "ip=192.0.2.7::192.0.2.1:24::eth0:none:192.0.2.53 ip=198.51.100.7:::24::eth1:none";
    let (network, _) = site.bring_up(&site.plan(command_line), AMPLE).up();
    assert!(!site.here(&["ip", "address"]).contains("198.51.100.7"));
    site.there(&["ip", "link", "set", "p1", "up"]);
    soon(|| site.here(&["ip", "address"]).contains("198.51.100.7"));
    soon(|| network.changes().iter().any(|change| change.contains(" eth1 address")));
}

#[test]
fn a_route_that_makes_no_sense_takes_no_other_with_it() {
    let site = Site::new(1);
    // This card has no IPv6.
    let plan = site.plan("ip=192.0.2.7::192.0.2.1:24::eth0:none rd.route=[2001:db8:9::/64]:[2001:db8:1::1]:eth0");
    site.here(&["sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6"]);
    let outcome = site.bring_up(&plan, AMPLE);
    assert!(outcome.told("cannot be set"), "{:?}", outcome.events());
    outcome.up();
    assert!(site.here(&["ip", "route"]).contains("default via 192.0.2.1"));
}

#[test]
fn the_other_family_follows_when_one_is_enough() {
    let mut site = Site::new(1);
    site.address(0, "192.0.2.1/24");
    site.address(0, "2001:db8:1::1/64");
    let router =
        ["--enable-ra", "--dhcp-range=2001:db8:1::,ra-only", "--dhcp-option=option6:dns-server,[2001:db8:1::1]"];
    site.dnsmasq(0, &router);
    // A server of names is known, so that the first family is enough.
    let (network, _) = site.bring_up(&site.plan("ip=eth0:any nameserver=192.0.2.1"), AMPLE).up();
    assert!(site.here(&["ip", "-4", "address", "show", "dev", "eth0"]).is_empty());
    let other = ["--port=0", "--dhcp-option=option:dns-server,192.0.2.2", RANGE];
    site.dnsmasq(0, &other);
    soon(|| site.here(&["ip", "-4", "address", "show", "dev", "eth0"]).contains("192.0.2.5"));
    soon(|| network.names().servers().iter().any(|server| server.to_string() == "192.0.2.2"));
    assert!(network.changes().iter().any(|change| change.contains("address 192.0.2.5")));
}
