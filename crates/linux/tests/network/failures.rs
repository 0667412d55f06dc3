//! What does not work is one line that says what to do, and ends in time.

use crate::site::{AMPLE, Outcome, Site, soon};
use clevis::{Cancel, Deadline};
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(1500);

/// The line, and that nothing is left of the attempt.
#[track_caller]
fn failed(site: &Site, outcome: Outcome) -> String {
    let took = outcome.took;
    let line = outcome.error();
    assert!(took < SHORT + Duration::from_secs(10), "{took:?}");
    assert!(!line.contains('\n'), "{line}");
    assert!(!site.here(&["ip", "link", "show", "eth0"]).contains(",UP"), "{line}");
    line
}

#[test]
fn no_carrier() {
    let site = Site::new(1);
    site.there(&["ip", "link", "set", "p0", "down"]);
    let line = failed(&site, site.bring_up(&site.plan("ip=dhcp"), SHORT));
    assert!(line.contains("eth0: no carrier, see the cable and the switch"), "{line}");
    // Its own limit counts before the whole.
    let outcome = site.bring_up(&site.plan("ip=dhcp rd.net.timeout.carrier=1"), AMPLE);
    let line = failed(&site, outcome);
    assert!(line.contains("no carrier"), "{line}");
    let outcome = site.bring_up(&site.plan("ip=192.0.2.7::192.0.2.1:24::eth0:none"), SHORT);
    let line = failed(&site, outcome);
    assert!(line.contains("no carrier"), "{line}");
}

#[test]
fn nobody_answers_dhcp() {
    let site = Site::new(1);
    let outcome = site.bring_up(&site.plan("ip=dhcp"), Duration::from_millis(2500));
    // After half a second, and after another one.
    assert!(outcome.told("DHCP DISCOVER, 2 times by now"), "{:?}", outcome.events());
    let line = failed(&site, outcome);
    assert!(line.contains("eth0: no DHCP server answers (asked 3 times)"), "{line}");
    let line = failed(&site, site.bring_up(&site.plan("ip=dhcp rd.net.timeout.dhcp=1"), AMPLE));
    assert!(line.contains("no DHCP server answers"), "{line}");
}

#[test]
fn a_server_that_gives_nothing() {
    let mut site = Site::new(1);
    site.address(0, "192.0.2.1/24");
    site.here(&["ip", "link", "set", "eth0", "address", "52:54:00:12:34:56"]);
    // The one address that it has is another's.
    let only = ["--dhcp-range=192.0.2.50,static", "--dhcp-host=52:54:00:00:00:01,192.0.2.50", "--dhcp-authoritative"];
    site.dnsmasq(0, &only);
    let line = failed(&site, site.bring_up(&site.plan("ip=dhcp"), SHORT));
    assert!(line.contains("eth0: no DHCP server answers"), "{line}");
}

#[test]
fn no_router_and_no_server_of_ipv6() {
    let site = Site::new(1);
    let line = failed(&site, site.bring_up(&site.plan("ip=eth0:auto6"), SHORT));
    assert!(line.contains("eth0: no router advertises a network"), "{line}");
    let line = failed(&site, site.bring_up(&site.plan("ip=eth0:dhcp6"), SHORT));
    assert!(line.contains("eth0: no DHCPv6 server gives an address"), "{line}");
}

#[test]
fn another_machine_has_the_address() {
    let site = Site::new(1);
    site.address(0, "2001:db8::7/64");
    site.here(&["ip", "address", "add", "2001:db8::8/64", "dev", "eth0"]);
    // It is used while the other one is asked (RFC 4429), and is not when he has answered.
    let (_network, _) = site.bring_up(&site.plan("ip=[2001:db8::7]:::64::eth0:none"), AMPLE).up();
    soon(|| site.here(&["ip", "address", "show", "dev", "eth0"]).contains("2001:db8::7/64 scope global dadfailed"));
}

#[test]
fn no_such_card() {
    let site = Site::new(1);
    let line = failed(&site, site.bring_up(&site.plan("ip=enp9s0:dhcp"), SHORT));
    assert!(line.contains("no network card enp9s0 is there after 1.5 s; see `ip link`"), "{line}");
    let line = failed(&site, site.bring_up(&site.plan("ip=52-54-00-00-00-01:dhcp rd.net.timeout.iflink=1"), AMPLE));
    assert!(line.contains("no network card 52:54:00:00:00:01 is there"), "{line}");
    let empty = Site::new(0);
    let line = empty.bring_up(&empty.plan(""), SHORT).error();
    assert!(line.contains("no network card is there after"), "{line}");
}

#[test]
fn a_card_that_comes_later_is_taken() {
    let site = Site::new(0);
    let plan = site.plan("ip=192.0.2.7:::24::eth0:none");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| site.bring_up(&plan, AMPLE));
        site.plug(0);
        waiting.join().unwrap().up();
    });
}

#[test]
fn a_vlan_on_nothing_and_one_that_the_kernel_does_not_know() {
    let site = Site::new(1);
    let line = failed(&site, site.bring_up(&site.plan("vlan=vlan5:eth7 ip=vlan5:dhcp"), SHORT));
    assert!(line.contains("vlan5: eth7, which it stands on, is not there"), "{line}");
}

#[test]
fn the_network_is_left_alone_where_it_is_said() {
    let site = Site::new(1);
    let line = failed(&site, site.bring_up(&site.plan("ip=off"), AMPLE));
    assert!(line.contains("ip=none or ip=off"), "{line}");
}

#[test]
fn a_word_that_is_wrong_is_told_and_takes_no_other_with_it() {
    let site = Site::new(1);
    let outcome = site.bring_up(&site.plan("ip=192.0.2.7::192.0.2.1:24::eth0:none nameserver=x"), AMPLE);
    assert!(outcome.told("\"nameserver=x\" on the kernel command line is passed over"), "{:?}", outcome.events());
    outcome.up();
}

#[test]
fn a_cancel_is_seen_at_once_and_leaves_nothing() {
    let site = Site::new(1);
    let cancel = Cancel::new();
    let plan = site.plan("ip=dhcp");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let outcome = site.bring_up_until(&plan, Deadline::NEVER, &cancel);
            (Instant::now(), outcome)
        });
        soon(|| site.here(&["ip", "link", "show", "eth0"]).contains(",UP"));
        cancel.cancel();
        let since = Instant::now();
        let (ended, outcome) = waiting.join().unwrap();
        assert!(ended.saturating_duration_since(since) < Duration::from_secs(2));
        assert_eq!(failed(&site, outcome), "cancelled");
    });
}
