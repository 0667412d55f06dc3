//! VLANs and bonds in a kernel of their own, which the kernel of a test machine may not have. The other side is a namespace in the guest, with
//! dnsmasq in it, so every address that comes is a frame each way.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test stops where it stands")]

use boot::uml::Guest;
use compliance::program::{cotter, need};

/// Two cables to the other side, a server there on the interface that `far` makes, and the command.
fn script(far: &str, interface: &str, command_line: &str, checks: &str) -> String {
    need("ip");
    let (cotter, dnsmasq) = (cotter().display(), need("dnsmasq").display().to_string());
    format!(
        r#"set -e
ip netns add site
for n in 0 1; do
    ip link add eth$n type veth peer name p$n netns site
done
there() {{ ip netns exec site "$@"; }}
# A command behind `!` ends no script.
gone() {{ if "$@"; then exit 7; fi; }}
is_off() {{ if ip link show $1 | grep ,UP; then exit 8; fi; }}
{far}
there ip address add 192.0.2.1/24 dev {interface}
there ip link set {interface} up
there {dnsmasq} --conf-file=/dev/null --no-ping --interface={interface} --bind-interfaces --user=root --no-resolv --no-hosts \
    --pid-file=/run/dnsmasq.pid --dhcp-leasefile=/run/leases --dhcp-range=192.0.2.50,192.0.2.59,255.255.255.0,1h \
    --dhcp-option=option:dns-server,192.0.2.1 --host-record=tang.example,192.0.2.1
echo '{command_line}' >/run/cmdline
bring_up() {{ '{cotter}' boot network --command-line /run/cmdline --settings /run/none --timeout 60 --look-up tang.example "$@"; }}
{checks}
"#
    )
}

fn guest() -> Guest {
    ["veth", "8021q", "bonding"].into_iter().fold(Guest::new(), Guest::module)
}

/// The bond reads back as it was wanted, carries DHCP and DNS, and is gone when everything is taken back.
fn bond(mode: &str, far_mode: &str, read_back: &str) {
    // Both ends of an aggregate speak LACP; a plain one does for a pair of which one card is used.
    let far = format!(
        "there ip link add far0 type bond mode {far_mode} miimon 100\n\
         for n in 0 1; do there ip link set p$n down master far0; done"
    );
    let command_line = format!("bond=bond0:eth0,eth1:mode={mode},primary_reselect=always ip=bond0:dhcp");
    let checks = format!(
        r#"bring_up
test "$(cat /sys/class/net/bond0/bonding/mode)" = '{read_back}'
test "$(cat /sys/class/net/bond0/bonding/slaves)" = 'eth0 eth1'
test "$(cat /sys/class/net/bond0/bonding/miimon)" = 100
test "$(cat /sys/class/net/bond0/bonding/primary_reselect)" = 'always 0'
cat /proc/net/bonding/bond0
ip -4 address show dev bond0 | grep 192.0.2.5
ip route | grep 'default via 192.0.2.1 dev bond0'
ip link delete bond0
bring_up --take-back
gone ip link show bond0
ip link show eth0
is_off eth0
is_off eth1
echo carried"#
    );
    let left = guest().run(&script(&far, "far0", &command_line, &checks)).succeeded();
    assert!(
        left.output.contains("bond0: DHCP ACK") && left.output.contains("tang.example is 192.0.2.1"),
        "{}",
        left.output
    );
    assert!(left.output.trim_end().ends_with("carried"), "{}", left.output);
}

#[test]
fn a_bond_of_which_one_card_is_used() {
    bond("active-backup", "active-backup", "active-backup 1");
}

#[test]
fn a_bond_that_is_agreed_with_the_switch() {
    bond("802.3ad", "802.3ad", "802.3ad 4");
}

#[test]
fn a_vlan_on_a_card_is_made_and_taken_back() {
    let far = "there ip link set p0 up; there ip link add link p0 name v type vlan id 5";
    // Linux before 6.2 renames no card that is on: it is put back in the opposite order.
    let checks = r"ip link set eth0 name before address 52:54:00:12:34:56
bring_up
ip -d link show vlan5 | grep 'vlan protocol 802.1Q id 5'
ip -4 address show dev vlan5 | grep 192.0.2.5
ip link show eth0 | grep LOWER_UP
ip link delete vlan5
ip link set eth0 down
ip link set eth0 name before
bring_up --take-back
gone ip link show vlan5
ip link show before
is_off before
echo carried";
    let left = guest()
        .run(&script(far, "v", "ifname=eth0:52:54:00:12:34:56 vlan=vlan5:eth0 ip=vlan5:dhcp", checks))
        .succeeded();
    assert!(left.output.contains("vlan5: DHCP ACK") && left.output.trim_end().ends_with("carried"), "{}", left.output);
}

#[test]
fn a_vlan_on_a_bond() {
    // The card that is used is the second, here as there.
    let far = "there ip link add far0 type bond mode active-backup miimon 100\n\
               for n in 0 1; do there ip link set p$n down master far0; done\n\
               there ip link set far0 up; there ip link set far0 type bond primary p1; there ip link add link far0 name v type vlan id 7";
    let command_line = "bond=bond0:eth0,eth1:mode=active-backup,miimon=50,primary=eth1 vlan=bond0.7:bond0 \
                        ip=192.0.2.9::192.0.2.1:24::bond0.7:none:192.0.2.1";
    let checks = r#"bring_up
ip -d link show bond0.7 | grep 'vlan protocol 802.1Q id 7'
test "$(cat /sys/class/net/bond0/bonding/miimon)" = 50
test "$(cat /sys/class/net/bond0/bonding/primary)" = eth1
echo carried"#;
    let left = guest().run(&script(far, "v", command_line, checks)).succeeded();
    assert!(left.output.contains("tang.example is 192.0.2.1"), "{}", left.output);
    assert!(left.output.trim_end().ends_with("carried"), "{}", left.output);
}
