//! Which crate may depend on which. A new arrow is a reviewed change to this table and to the one in ARCHITECTURE.md.

use super::fault::Fault;
use crate::workspace::Member;

/// Each crate of the core and of the edge, with the crates of the workspace that it may depend on.
const ALLOWED: &[(&str, &[&str])] = &[
    ("crypto", &[]),
    ("block", &[]),
    ("json", &["crypto"]),
    ("jose", &["json", "crypto"]),
    ("tpm2", &["crypto"]),
    ("tang", &["jose", "json", "crypto"]),
    ("clevis", &["tang", "tpm2", "jose", "json", "crypto"]),
    ("luks", &["block", "json", "crypto"]),
    ("earlynet", &[]),
    ("bootimage", &[]),
    ("unlock", &["clevis", "luks", "jose", "json", "block", "crypto"]),
    ("linux", &["earlynet", "clevis", "tang", "tpm2", "block", "crypto"]),
    ("keyserver", &["tang", "jose", "json", "crypto"]),
    // The first thing a fresh machine builds, so it may not wait for a C compiler.
    ("xtask", &[]),
];

/// What stands on top may depend on everything below; beside it, on no more than is named here.
const TOP: &[(&str, &[&str])] = &[
    ("program", &["cotter"]), // `main` alone
    ("cotter", &[]),
    ("compliance", &[]),
    ("boot", &["compliance"]),            // the same programs and disks
    ("benches", &["compliance", "boot"]), // they start the same servers, and the same machines
    ("fuzz", &[]),
];

/// Every arrow that the tables do not have, and every crate that stands in neither.
pub(super) fn check(members: &[Member]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for member in members {
        if row(ALLOWED, &member.name).or(row(TOP, &member.name)).is_none() {
            faults.push(Fault::new(&member.name, "stands in no table of xtask/src/tidy/arrows.rs"));
            continue;
        }
        let wrong = member.arrows.iter().filter(|arrow| !fits(&member.name, arrow));
        faults.extend(wrong.map(|arrow| Fault::new(&member.name, format!("may not depend on {arrow}"))));
    }
    faults
}

/// The table in `ARCHITECTURE.md` says the same of every crate that it names, and names every one that is built.
pub(super) fn check_document(text: &str, members: &[Member]) -> Vec<Fault> {
    let rows: Vec<(Vec<&str>, Vec<&str>)> = text.lines().filter_map(document_row).collect();
    let built = |name: &&str| members.iter().any(|member| member.name == **name);
    let mut faults = Vec::new();
    for (name, arrows) in ALLOWED.iter().filter(|(name, _)| built(name) && *name != "xtask") {
        let mut expected: Vec<&str> = arrows.iter().copied().filter(built).collect();
        let mut found = rows.iter().find(|(names, _)| names.contains(name)).map(|(_, arrows)| arrows.clone());
        expected.sort_unstable();
        found.iter_mut().for_each(|arrows| arrows.sort_unstable());
        if found.as_ref() != Some(&expected) {
            let what = format!("{name} may depend on {expected:?} by tidy's table, and here on {found:?}");
            faults.push(Fault::new("ARCHITECTURE.md", what));
        }
    }
    faults
}

/// The names in each of the two columns of a row.
fn document_row(line: &str) -> Option<(Vec<&str>, Vec<&str>)> {
    let (names, arrows) = line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | ")?;
    Some((quoted(names), quoted(arrows)))
}

fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

fn fits(from: &str, to: &str) -> bool {
    match (row(ALLOWED, from), row(TOP, from)) {
        (Some(arrows), _) => arrows.contains(&to),
        (None, Some(beside)) => beside.contains(&to) || row(TOP, to).is_none(),
        (None, None) => false,
    }
}

fn row(table: &'static [(&str, &[&str])], name: &str) -> Option<&'static [&'static str]> {
    table.iter().find(|(of, _)| *of == name).map(|(_, arrows)| *arrows)
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
        check_one("benches", &["luks", "compliance", "cotter"], &["benches: may not depend on cotter"]);
        check_one("helpers", &[], &["helpers: stands in no table of xtask/src/tidy/arrows.rs"]);
    }

    #[test]
    fn the_document_says_the_same() {
        let member =
            |name: &str| Member { name: name.into(), directory: "c".into(), roots: Vec::new(), arrows: Vec::new() };
        let members = ["crypto", "block", "json", "jose"].map(member);
        let good =
            "| `crypto`, `block` | - |\n| `json` | `crypto` |\n| `jose` | `crypto` `json` |\n| `cotter` | all |\n";
        assert_eq!(check_document(good, &members), Vec::new());
        assert_eq!(check_document(&good.replace("| `crypto` |", "| - |"), &members).len(), 1);
        assert_eq!(check_document(&good.replace("| `jose`", "| `tang`"), &members).len(), 1);
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
