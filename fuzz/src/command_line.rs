//! The kernel's command line.

use crate::Reached;
use crate::header::say;
use earlynet::{CommandLine, Dialect, Layer, Wanted, attended};

/// What lets nobody open anything unattended, however the rest of the line looks.
const WORDS: &[&str] =
    &["init", "rdinit", "break", "rd.break", "systemd.unit", "systemd.debug_shell", "SYSTEMD_SULOGIN_FORCE"];

/// Takes the bytes as the line. What it wants of the network makes sense in itself, and no word that gives a shell is missed.
pub fn command_line(bytes: &[u8]) -> Reached {
    let (line, found) = match (CommandLine::parse(bytes), attended(bytes)) {
        (Ok(line), Ok(found)) => (line, found),
        (Err(error), Err(_)) => {
            say(&error);
            return Reached::Nothing;
        }
        other => panic!("one of two readers finds the line too long: {other:?}"),
    };
    let gives_shell = line.words().iter().any(|word| word.value.is_some() && WORDS.contains(&word.key.as_str()));
    assert!(!gives_shell || found.is_some(), "a word that gives a shell was missed");
    if let Some(found) = found {
        assert_eq!(found.to_string().lines().count(), 1);
    }
    let wanted = [Dialect::Kernel, Dialect::Dracut].map(|dialect| Wanted::read(&line, dialect));
    wanted.iter().for_each(check);
    match wanted {
        [one, other] if !one.rules.is_empty() || !other.rules.is_empty() => Reached::Accepted,
        [one, _] if !one.faults.is_empty() || !one.vlans.is_empty() || !one.bonds.is_empty() => Reached::Read,
        _ => Reached::Nothing,
    }
}

fn check(wanted: &Wanted) {
    for rule in &wanted.rules {
        if let (Some(address), Some(gateway)) = (rule.address, rule.gateway) {
            assert_eq!(address.address().is_ipv4(), gateway.is_ipv4());
        }
    }
    for route in &wanted.routes {
        assert_eq!(route.to, route.to.network());
    }
    for vlan in &wanted.vlans {
        assert!((1..=4094).contains(&vlan.id));
        assert_eq!(wanted.layers(&vlan.name).last(), Some(&Layer::Vlan(vlan)));
    }
    for bond in &wanted.bonds {
        assert!(!bond.members.is_empty());
        assert_eq!(wanted.layers(&bond.name).last(), Some(&Layer::Bond(bond)));
        for (name, value) in &bond.options {
            assert!(!name.contains(['/', '.']) && !value.contains(char::is_whitespace), "{name}={value}");
        }
    }
    for fault in &wanted.faults {
        assert_eq!(fault.to_string().lines().count(), 1, "{fault}");
        assert!(!fault.to_string().contains(char::is_control));
    }
    assert!(!wanted.off || wanted.rules_or_automatic().is_empty());
}
