//! `docs/threat-model.md` says what the code says: each policy that the document names is judged, and every cell with its reasons
//! must stand there word for word.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use clevis::Config;
use clevis::verdict::{Loader, Machine, Policy, SecureBoot, Surroundings, Threat, Verdict};
use std::fmt::Write;

const BEGIN: &str = "<!-- verdicts -->\n";
const END: &str = "<!-- end of verdicts -->\n";

/// What stands behind a policy in its heading.
const AROUND: [(&str, Surroundings); 5] = [
    ("", PLAIN),
    (", in a virtual machine", Surroundings { machine: Machine::Virtual, ..PLAIN }),
    (", on a machine of its own", Surroundings { machine: Machine::Physical, ..PLAIN }),
    (", with GRUB", Surroundings { loader: Loader::Grub, ..PLAIN }),
    (
        ", as a unified image signed by your own keys alone",
        Surroundings { secure_boot: SecureBoot::Own, loader: Loader::UnifiedImage, ..PLAIN },
    ),
];

const PLAIN: Surroundings =
    Surroundings { machine: Machine::Unknown, secure_boot: SecureBoot::Unknown, loader: Loader::Unknown };

/// A heading of the document: ``### `PIN 'CFG'`SUFFIX``.
struct Judged<'a> {
    heading: &'a str,
    verdict: Verdict,
}

fn judged(heading: &str) -> Judged<'_> {
    let (words, suffix) = heading.strip_prefix('`').unwrap().rsplit_once('`').unwrap();
    let (pin, config) = words.split_once(" '").unwrap();
    let config = Config::parse(config.strip_suffix('\'').unwrap().as_bytes()).unwrap();
    clevis::check(pin, &config, clevis::pins::ALL).unwrap_or_else(|why| panic!("{heading}: {why}"));
    let policy = Policy::read(pin, &config).unwrap();
    let around = AROUND.iter().find(|(words, _)| *words == suffix);
    let (_, around) = around.unwrap_or_else(|| panic!("{suffix}: no such surroundings"));
    Judged { heading, verdict: Verdict::of(&policy, around) }
}

/// The part of the document that the code decides.
fn expected(headings: &[&str]) -> String {
    let judged: Vec<Judged<'_>> = headings.iter().map(|heading| judged(heading)).collect();
    let mut text = String::from("\n| policy |");
    Threat::ALL.iter().for_each(|threat| write!(text, " {} |", threat.words()).unwrap());
    text += "\n| --- |";
    Threat::ALL.iter().for_each(|_| text += " --- |");
    for Judged { heading, verdict } in &judged {
        write!(text, "\n| {heading} |").unwrap();
        verdict.cells.iter().for_each(|cell| write!(text, " {} |", cell.answer.word()).unwrap());
    }
    text += "\n";
    for Judged { heading, verdict } in &judged {
        write!(text, "\n### {heading}\n\n").unwrap();
        for cell in &verdict.cells {
            writeln!(text, "- **{}: {}.** {}.", cell.threat.words(), cell.answer.word(), cell.because()).unwrap();
        }
        verdict.notes.iter().for_each(|note| writeln!(text, "- {note}.").unwrap());
        if let Some(advice) = &verdict.advice {
            let (gap, then) = (advice.gap.words(), advice.then.word());
            writeln!(text, "- Best next change ({gap}: {then}): {}.", advice.change).unwrap();
        }
    }
    text + "\n"
}

#[test]
fn the_document_says_what_the_code_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/threat-model.md");
    let document = std::fs::read_to_string(path).unwrap();
    let (before, rest) = document.split_once(BEGIN).unwrap();
    let (found, after) = rest.split_once(END).unwrap();
    let headings: Vec<&str> = found.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    assert!(headings.len() >= 15, "the document names {} policies", headings.len());
    let expected = expected(&headings);
    if found != expected {
        let right = concat!(env!("CARGO_TARGET_TMPDIR"), "/threat-model.md");
        std::fs::write(right, format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
        panic!("docs/threat-model.md is not what the code says; what it should be is in {right}");
    }
}

#[test]
fn every_threat_is_explained() {
    let document = include_str!("../../../docs/threat-model.md");
    for threat in Threat::ALL {
        assert!(document.contains(&format!("`{}`", threat.goal())), "{}", threat.goal());
    }
}
