//! What others have configured, or are about to.

use crate::site::{AMPLE, Site, soon};
use std::fs;
use std::time::Duration;

const RANGE: &str = "--dhcp-range=192.0.2.50,192.0.2.59,255.255.255.0,1h";

fn configure(site: &Site) {
    site.here(&["ip", "link", "set", "eth0", "up"]);
    site.here(&["ip", "address", "add", "192.0.2.9/24", "dev", "eth0"]);
    site.here(&["ip", "route", "add", "default", "via", "192.0.2.1"]);
}

/// What systemd-networkd writes of the interface.
fn networkd(site: &Site, state: &str) {
    let number = site.here(&["cat", "/sys/class/net/eth0/ifindex"]);
    let links = site.directory("run/systemd/netif/links");
    fs::write(links.join(number.trim()), state).unwrap();
}

#[test]
fn what_is_there_is_used_and_not_touched() {
    let site = Site::new(2);
    configure(&site);
    fs::write(site.directory("run").join("net-eth0.conf"), "DEVICE='eth0'\nIPV4DNS0='192.0.2.53'\n").unwrap();
    let state = || site.here(&["ip", "address"]) + &site.here(&["ip", "route"]);
    soon(|| site.here(&["ip", "link", "show", "eth0"]).contains("LOWER_UP"));
    let before = state();
    let mut plan = site.plan("ip=192.0.2.7::192.0.2.2:24::eth1:none");
    plan.reach = vec!["198.51.100.7".parse().unwrap()];
    let outcome = site.bring_up(&plan, AMPLE);
    assert!(outcome.told("eth0 is configured already and left as it is: 192.0.2.9/24"), "{:?}", outcome.events());
    let (network, _) = outcome.up();
    assert_eq!((network.changes(), network.names().servers().len()), (Vec::new(), 1));
    assert_eq!(state(), before);
}

#[test]
fn what_leads_elsewhere_is_not_enough() {
    let site = Site::new(2);
    site.here(&["ip", "link", "set", "eth0", "up"]);
    // All that is wanted, but in the other family.
    site.here(&["ip", "address", "add", "2001:db8::9/64", "dev", "eth0", "nodad"]);
    site.here(&["ip", "route", "add", "default", "via", "2001:db8::1"]);
    fs::write(site.directory("etc").join("resolv.conf"), "nameserver 2001:db8::53\n").unwrap();
    soon(|| site.here(&["ip", "link", "show", "eth0"]).contains("LOWER_UP"));
    let mut plan = site.plan("ip=192.0.2.7::192.0.2.1:24::eth1:none");
    plan.reach = vec!["192.0.2.200".parse().unwrap()];
    let (network, events) = site.bring_up(&plan, AMPLE).up();
    assert_eq!(network.link().unwrap().as_str(), "eth1", "{events:?}");
}

#[test]
fn this_machine_itself_needs_no_network() {
    let site = Site::new(1);
    let mut plan = site.plan("ip=dhcp");
    plan.reach = vec!["127.0.0.1".parse().unwrap()];
    let (network, events) = site.bring_up(&plan, AMPLE).up();
    assert_eq!((network.link(), network.changes(), events), (None, Vec::new(), Vec::new()));
}

#[test]
fn networkd_is_waited_for_while_it_works() {
    let site = Site::new(1);
    networkd(&site, "ADMIN_STATE=configuring\n");
    let plan = site.plan("ip=eth0:dhcp");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| site.bring_up(&plan, AMPLE));
        // Nothing of it is touched meanwhile.
        std::thread::sleep(Duration::from_millis(300));
        assert!(!site.here(&["ip", "link", "show", "eth0"]).contains(",UP"));
        networkd(&site, "ADMIN_STATE=configured\nOPER_STATE=routable\nDNS=192.0.2.53\n");
        configure(&site);
        let outcome = waiting.join().unwrap();
        assert!(outcome.told("systemd-networkd is at work on the network"), "{:?}", outcome.events());
        let (network, _) = outcome.up();
        assert_eq!((network.changes().len(), network.names().servers()[0].to_string().as_str()), (0, "192.0.2.53"));
    });
}

#[test]
fn who_does_not_get_done_is_not_waited_for_any_longer() {
    let mut site = Site::new(1);
    site.address(0, "192.0.2.1/24");
    site.dnsmasq(0, &["--dhcp-option=option:dns-server,192.0.2.1", RANGE]);
    networkd(&site, "ADMIN_STATE=configuring\n");
    let plan = site.plan("ip=eth0:dhcp");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| site.bring_up(&plan, AMPLE));
        std::thread::sleep(Duration::from_millis(100));
        networkd(&site, "ADMIN_STATE=failed\n");
        let (_, events) = waiting.join().unwrap().up();
        assert!(events.iter().any(|event| event.contains("DHCP ACK")), "{events:?}");
    });
}

/// `is_there`: udev runs already; otherwise it is going to.
fn udev_names_it(is_there: bool) {
    let site = Site::new(1);
    let udev = site.directory("run/udev/data");
    if is_there {
        fs::write(site.directory("run/udev").join("control"), "").unwrap();
    }
    let number = site.here(&["cat", "/sys/class/net/eth0/ifindex"]);
    // Any card, so that its name does not keep it back.
    let mut plan = site.plan("ip=192.0.2.7:::24:::none");
    plan.places.expects_udev = !is_there;
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| site.bring_up(&plan, AMPLE));
        std::thread::sleep(Duration::from_millis(300));
        // Linux before 6.2 renames no card that is on.
        site.here(&["ip", "link", "set", "eth0", "name", "ens3"]);
        assert!(!site.here(&["ip", "link", "show", "ens3"]).contains(",UP"));
        fs::write(udev.join(format!("n{}", number.trim())), "").unwrap();
        let (network, events) = waiting.join().unwrap().up();
        assert_eq!(network.link().unwrap().as_str(), "ens3", "{events:?}");
    });
}

#[test]
fn a_card_that_udev_has_not_named_is_left_alone() {
    udev_names_it(true);
}

#[test]
fn a_card_that_udev_will_name_is_left_alone() {
    udev_names_it(false);
}

#[test]
fn klibc_finds_what_was_left_for_it() {
    let mut site = Site::new(1);
    site.address(0, "192.0.2.1/24");
    site.dnsmasq(0, &["--dhcp-option=option:dns-server,192.0.2.1", RANGE]);
    let (_network, _) = site.bring_up(&site.plan("ip=dhcp"), AMPLE).up();
    let conf = site.directory("run").join("net-eth0.conf");
    // As the scripts of initramfs-tools take it in.
    let script = format!(
        ". {}; echo $DEVICE $PROTO $IPV4NETMASK $IPV4BROADCAST $IPV4GATEWAY $IPV4DNS0 $IPV4DNS1",
        conf.display()
    );
    let read = site.here(&["/usr/lib/klibc/bin/sh", "-c", &script]);
    assert_eq!(read.trim(), "eth0 dhcp 255.255.255.0 192.0.2.255 192.0.2.1 192.0.2.1 0.0.0.0");
}
