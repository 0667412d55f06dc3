//! `cotter boot network` in a network of its own, with a pair of virtual cards.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test stops where it stands")]

use compliance::Program;
use compliance::program::{Ended, cotter, need};
use std::fs;
use tempfile::TempDir;

const SETTINGS: &str = r#"{"name_servers":["192.0.2.53"],"hosts":{"tang.example":["192.0.2.80"]},
    "command_line":"ip=192.0.2.7::192.0.2.1:24::eth0:none"}"#;

/// The command on a machine with the cards `eth0` and `p0`, which is on.
fn network(command_line: &str, words: &str) -> Ended {
    let directory = TempDir::new().unwrap();
    let file = |name: &str, content: &str| {
        let path = directory.path().join(name);
        fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let (line, settings) = (file("cmdline", command_line), file("boot.json", SETTINGS));
    let ip = need("ip").display().to_string();
    let script = format!(
        "{ip} link add eth0 type veth peer name p0 && {ip} link set p0 up || exit 9
         '{}' boot network --command-line {line} --settings {settings} {words}; code=$?
         {ip} -4 address show dev eth0 | grep inet
         exit $code",
        cotter().display()
    );
    Program::new("unshare").args(["--net", "sh", "-c", &script]).run()
}

#[test]
fn what_it_would_do_is_said_and_not_done() {
    let ended = network("quiet vlan=vlan5:eth0 nameserver=x", "--dry-run").succeeded();
    let text = ended.text();
    for line in [
        "\"nameserver=x\" on the kernel command line is passed over: ",
        "eth0: card ",
        "vlan5 would be made on eth0: VLAN 5\n",
        "eth0: switched on, address 192.0.2.7/24, route 0.0.0.0/0 by 192.0.2.1\n",
        "servers of names: 192.0.2.53",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(!text.contains("inet "), "{text}");
}

#[test]
fn it_does_it_by_the_settings_and_says_what_it_has_changed() {
    let ended = network("quiet", "--look-up tang.example").succeeded();
    let (text, said) = (ended.text(), ended.said());
    for change in
        [" eth0 up\n", " eth0 address 192.0.2.7/24\n", " eth0 route 0.0.0.0/0 by 192.0.2.1\n", "inet 192.0.2.7/24"]
    {
        assert!(text.contains(change), "{change}: {text}");
    }
    for step in [
        "eth0: switched on",
        "eth0: has a carrier after ",
        "the network is there after ",
        "tang.example is 192.0.2.80, found after ",
    ] {
        assert!(said.contains(step), "{step}: {said}");
    }
    assert!(said.lines().all(|line| line.starts_with("cotter [")), "{said}");
}

#[test]
fn the_kernels_command_line_stands_over_the_settings_and_all_is_taken_back() {
    let ended = network("ip=198.51.100.7:::24::eth0:none", "--take-back --reach 198.51.100.1").succeeded();
    assert!(ended.said().contains("eth0: address 198.51.100.7/24"), "{}", ended.said());
    assert_eq!(ended.text(), "");
}

#[test]
fn what_fails_is_one_line_and_leaves_nothing() {
    for (command_line, reason) in [
        ("ip=off", "ip=none or ip=off"),
        ("ip=eth7:dhcp", "no network card eth7 is there after 1.0 s"),
        ("ip=eth0:dhcp", "eth0: no DHCP server answers (asked"),
    ] {
        let ended = network(command_line, "--timeout 1").failed_with(1);
        let said = ended.said();
        assert_eq!(ended.text(), "", "{said}");
        assert!(said.lines().last().unwrap().contains(reason), "{said}");
    }
}
