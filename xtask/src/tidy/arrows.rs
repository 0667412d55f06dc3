//! Which crate may depend on which (ARCHITECTURE.md). A new arrow is a reviewed change to this table.

use super::fault::Fault;
use crate::workspace::Member;

/// Each crate of the core and of the edge, with the crates of the workspace that it may depend on.
const ALLOWED: &[(&str, &[&str])] = &[
    ("crypto", &[]),
    ("block", &[]),
    ("json", &["crypto"]),
    ("jose", &["json", "crypto"]),
    ("tpm2", &["crypto"]),
    ("tang", &["jose", "crypto"]),
    ("clevis", &["tang", "tpm2", "jose", "json", "crypto"]),
    ("luks", &["block", "json", "crypto"]),
    ("earlynet", &[]),
    ("unlock", &["clevis", "luks", "jose", "json", "block", "crypto"]),
    ("linux", &["earlynet", "clevis", "tang", "tpm2", "block", "crypto"]),
    ("keyserver", &["tang", "jose", "json", "crypto"]),
    // The first thing a fresh machine builds, so it may not wait for a C compiler.
    ("xtask", &[]),
];

/// What stands on top may depend on everything below, but nothing depends on it.
const TOP: &[&str] = &["cotter", "compliance", "benches", "fuzz"];

/// Every arrow that the table does not have, and every crate that stands in neither table.
pub(super) fn check(members: &[Member]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for member in members {
        let allowed = ALLOWED.iter().find(|(name, _)| *name == member.name).map(|(_, arrows)| *arrows);
        if allowed.is_none() && !TOP.contains(&member.name.as_str()) {
            faults.push(Fault::new(&member.name, "stands in no table of xtask/src/tidy/arrows.rs"));
            continue;
        }
        for arrow in &member.arrows {
            let fits =
                allowed.map_or_else(|| !TOP.contains(&arrow.as_str()), |arrows| arrows.contains(&arrow.as_str()));
            if !fits {
                faults.push(Fault::new(&member.name, format!("may not depend on {arrow}")));
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_one(name: &str, arrows: &[&str], expected: &[&str]) {
        let arrows = arrows.iter().map(|arrow| (*arrow).to_owned()).collect();
        let member = Member { name: name.into(), directory: "crates".into(), roots: Vec::new(), arrows };
        let faults: Vec<String> = check(&[member]).iter().map(Fault::to_string).collect();
        assert_eq!(faults, expected);
    }

    #[test]
    fn an_arrow_outside_the_table_is_a_fault() {
        check_one("jose", &["json", "crypto"], &[]);
        check_one("jose", &["json", "tang"], &["jose: may not depend on tang"]);
        check_one("crypto", &["json"], &["crypto: may not depend on json"]);
        check_one("cotter", &["crypto", "linux", "keyserver"], &[]);
        check_one("cotter", &["compliance"], &["cotter: may not depend on compliance"]);
        check_one("helpers", &[], &["helpers: stands in no table of xtask/src/tidy/arrows.rs"]);
    }

    #[test]
    fn the_table_itself_has_no_circle() {
        // Each round removes the crates whose arrows all end at removed ones; a circle would remain.
        let mut left: Vec<_> = ALLOWED.to_vec();
        while let Some(at) =
            left.iter().position(|(_, to)| !to.iter().any(|to| left.iter().any(|(name, _)| name == to)))
        {
            left.remove(at);
        }
        assert!(left.is_empty(), "{left:?}");
    }
}
