//! Every input that was worth keeping, through the functions that found it; without a fuzzer.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where it stands")]

use fuzz::{Reached, TARGETS, Target};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn files(directory: &str, target: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory).join(target);
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn replay(target: &Target) {
    let mut reached: BTreeMap<Reached, usize> = BTreeMap::new();
    let kept = ["seeds", "corpus", "crashes"].into_iter().flat_map(|kind| files(kind, target.name));
    for file in kept {
        // Shown if the function panics.
        println!("{}", file.display());
        *reached.entry((target.run)(&fs::read(&file).unwrap())).or_default() += 1;
    }
    println!("{}: {reached:?}", target.name);
    assert!(reached.contains_key(&Reached::Nothing), "no input of {} is refused", target.name);
    let last = reached.keys().next_back().copied();
    assert_eq!(last, Some(target.farthest), "{}: the inputs do not mean what they meant", target.name);
}

fn replay_named(name: &str) {
    replay(TARGETS.iter().find(|target| target.name == name).unwrap());
}

#[test]
fn luks1() {
    replay_named("luks1");
}

#[test]
fn luks2_binary_header() {
    replay_named("luks2_binary_header");
}

#[test]
fn luks2_json() {
    replay_named("luks2_json");
}

#[test]
fn luksmeta() {
    replay_named("luksmeta");
}

#[test]
fn event_log() {
    replay_named("event_log");
}

#[test]
fn crypttab() {
    replay_named("crypttab");
}

#[test]
fn certificate() {
    replay_named("certificate");
}

#[test]
fn policy() {
    replay_named("policy");
}

#[test]
fn systemd_token() {
    replay_named("systemd_token");
}

#[test]
fn tpm_answers() {
    replay_named("tpm_answers");
}

#[test]
fn bootimage() {
    replay_named("bootimage");
}

#[test]
fn command_line() {
    replay_named("command_line");
}

#[test]
fn dhcp4() {
    replay_named("dhcp4");
}

#[test]
fn dhcp6() {
    replay_named("dhcp6");
}

#[test]
fn dns_answer() {
    replay_named("dns_answer");
}

#[test]
fn network_files() {
    replay_named("network_files");
}

#[test]
fn router_advertisement() {
    replay_named("router_advertisement");
}

/// A seed that is no header any more would be fuzzed for nothing.
#[test]
fn every_seed_is_read() {
    for target in TARGETS {
        for file in files("seeds", target.name) {
            let reached = (target.run)(&fs::read(&file).unwrap());
            assert!(reached > Reached::Nothing, "{} is not read any more", file.display());
        }
    }
}

/// A target without a program is never fuzzed, and a program without a target is never replayed.
#[test]
fn each_target_has_a_program_and_a_corpus() {
    let mut names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    names.sort_unstable();
    let programs = files("targets", "");
    let programs: Vec<&str> = programs.iter().filter_map(|file| file.file_stem()?.to_str()).collect();
    assert_eq!(names, programs);
    for name in names {
        assert!(!files("seeds", name).is_empty() && !files("corpus", name).is_empty(), "{name} has no inputs");
    }
}

#[test]
fn volumes() {
    replay_named("volumes");
}
