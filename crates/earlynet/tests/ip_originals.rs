//! `ip=` beside its owners: tables of what dracut's own function and klibc's own program make of a word, and what we make of it.
//! `vectors/make.sh` makes the tables.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where it stands")]

use earlynet::{CommandLine, Dialect, LinkRule, Method, Subnet, Wanted, Which};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The words of a table with the fields behind them.
fn table(text: &'static str) -> Vec<(&'static str, BTreeMap<&'static str, &'static str>)> {
    let read = |line: &'static str| {
        let (word, fields) = line.split_once('\t').unwrap();
        (word, fields.split(' ').filter_map(|field| field.split_once('=')).collect())
    };
    text.lines().filter(|line| !line.starts_with('#')).map(read).collect()
}

fn rule(word: &str, dialect: Dialect) -> LinkRule {
    let line = CommandLine::parse(format!("ip={word}").as_bytes()).unwrap();
    let wanted = Wanted::read(&line, dialect);
    assert_eq!(wanted.faults, [], "{word}");
    wanted.rules.first().unwrap_or_else(|| panic!("{word} is no rule")).clone()
}

fn text<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn device(rule: &LinkRule) -> String {
    match &rule.which {
        Which::Any => String::new(),
        Which::Named(name) => name.to_string(),
        Which::Address(mac) => mac.to_string(),
    }
}

fn length(address: &str, mask: &str) -> String {
    text(Subnet::parse(&format!("{address}/{mask}")).map(|subnet| subnet.length()))
}

fn names(servers: &[IpAddr]) -> String {
    servers.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(",")
}

#[test]
fn dracuts_reading_is_ours() {
    let table = table(include_str!("../vectors/ip_dracut.txt"));
    assert!(table.len() >= 36);
    for (word, theirs) in table {
        let rule = rule(word, Dialect::Dracut);
        let methods: &[Method] = match theirs["auto"] {
            "dhcp" => &[Method::Dhcp4],
            "on" | "any" => &[Method::Dhcp4, Method::Auto6],
            "dhcp6" => &[Method::Dhcp6],
            "auto6" => &[Method::Auto6],
            "either6" => &[Method::Either6],
            "none" | "off" => &[],
            other => panic!("{word}: {other}"),
        };
        let ours = [
            text(rule.address.map(|subnet| subnet.address())),
            text(rule.peer.map(|subnet| subnet.address())),
            text(rule.gateway),
            text(rule.address.map(|subnet| subnet.length())),
            text(rule.host_name.as_deref()),
            device(&rule),
            text(rule.mac),
            text(rule.mtu),
            names(&rule.name_servers),
        ];
        let mask = length(theirs["ip"], theirs["mask"]);
        let mac = theirs["mac"].replace('-', ":");
        let of = |field: &str| theirs[field].to_owned();
        let expected = [of("ip"), of("srv"), of("gw"), mask, of("host"), of("dev"), mac, of("mtu"), of("dns")];
        assert_eq!((ours, rule.methods.as_slice()), (expected, methods), "{word}");
    }
}

#[test]
fn klibcs_reading_is_ours() {
    let table = table(include_str!("../vectors/ip_klibc.txt"));
    assert!(table.len() >= 10);
    for (word, theirs) in table {
        let rule = rule(word, Dialect::Kernel);
        let stated =
            |field: &str| Some(theirs[field]).filter(|address| *address != "0.0.0.0").unwrap_or_default().to_owned();
        let ours = [
            text(rule.address.map(|subnet| subnet.address())),
            text(rule.boot_server),
            text(rule.gateway),
            text(rule.host_name.as_deref()),
            device(&rule),
            names(&rule.name_servers),
        ];
        let servers: Vec<&str> = theirs["dns"].split(',').filter(|server| *server != "0.0.0.0").collect();
        let expected = [stated("ip"), stated("srv"), stated("gw"), stated("host"), stated("dev"), servers.join(",")];
        assert_eq!(ours, expected, "{word}");
        // A mask of all ones is "not given" to klibc, which then takes the class.
        let ours = rule.address.unwrap().length();
        assert!(ours == 32 || ours.to_string() == length(theirs["ip"], theirs["mask"]), "{word}");
        assert!(rule.methods.is_empty(), "{word}");
    }
}
