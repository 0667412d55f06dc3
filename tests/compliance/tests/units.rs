//! The units in `integration/`: they load, they stand in no circle, and one variant of them is for systemd 219.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::Program;
use compliance::system::workspace;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

const OLD: &str = "systemd-219";
const VARIANTS: [&str; 2] = ["systemd", OLD];
/// What a template is tried with.
const INSTANCE: &str = r"11111111\x2d1111\x2d4111\x2d8111\x2d111111111111";

/// The units of a variant, each by its name with its text.
fn units(variant: &str) -> BTreeMap<String, String> {
    let entries = fs::read_dir(workspace("integration").join(variant)).unwrap().map(|entry| entry.unwrap().path());
    let units = entries.filter(|path| path.extension().is_some());
    units.map(|path| (path.file_name().unwrap().to_str().unwrap().into(), fs::read_to_string(path).unwrap())).collect()
}

/// Sections with the directives that systemd 219 knows in them.
fn known() -> BTreeMap<String, BTreeSet<String>> {
    let text = fs::read_to_string(workspace("integration").join(OLD).join("directives")).unwrap();
    let (mut known, mut sections) = (BTreeMap::<String, BTreeSet<String>>::new(), Vec::new());
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if line.starts_with('[') {
            sections = line.split(' ').map(str::to_owned).collect();
        } else {
            assert!(line.chars().all(|letter| letter.is_ascii_alphanumeric()), "{line}");
            for section in &sections {
                known.entry(section.clone()).or_default().insert(line.to_owned());
            }
        }
    }
    known
}

/// What systemd 219 would not understand in a unit.
fn too_new(unit: &str) -> Vec<String> {
    let (known, mut section, mut found) = (known(), "", Vec::new());
    let text = unit.replace("\\\n", " ");
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';'])) {
        if line.starts_with('[') {
            section = line;
            continue;
        }
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        // Before a command it knows two signs; `+`, `!` and `:` came later.
        let sign = name.starts_with("Exec") && !value.starts_with(['-', '@', '/']);
        if sign || !known.get(section).is_some_and(|names| names.contains(name)) {
            found.push(format!("{section} {line}"));
        }
    }
    found
}

#[test]
fn the_old_variant_has_no_newer_directive() {
    for (name, unit) in units(OLD) {
        assert_eq!(too_new(&unit), [""; 0], "{name}");
    }
    let updates = fs::read_to_string(workspace("integration/systemd/cotter-boot-files.service")).unwrap();
    assert_eq!(too_new(&updates), [""; 0]);
}

/// One of each kind that `systemd-analyze` of today takes without a word.
#[test]
fn a_newer_directive_is_found() {
    let unit = &units(OLD)["cotter-latch.service"];
    let newer = [
        ("[Service]\n", "TasksMax=5"),
        ("[Service]\n", "ProtectControlGroups=yes"),
        ("[Unit]\n", "CollectMode=inactive"),
        ("[Service]\n", "ExecStartPre=+/bin/true"),
        ("[Unit]\n", "ConditionPathExists=/x\nStartLimitIntervalSec=5"),
    ];
    for (section, line) in newer {
        let changed = unit.replace(section, &format!("{section}{line}\n"));
        let found = too_new(&changed);
        let last = line.lines().last().unwrap();
        assert_eq!(found, [format!("{} {last}", section.trim())], "{line}");
        assert_eq!(verified(&BTreeMap::from([("cotter-latch.service".to_owned(), changed)])), "", "{line}");
    }
    // Right in one section is wrong in another.
    assert_eq!(too_new("[Unit]\nExecStart=/bin/true"), ["[Unit] ExecStart=/bin/true"]);
    // The new variant of the template wants a target that the old one has no name for, and has no newer directive itself.
    assert_ne!(units("systemd")["cotter-key@.service"], "");
    assert_eq!(too_new(&units("systemd")["cotter-key@.service"]).len(), 1);
}

/// What the variants have in common is one file.
#[test]
fn the_variants_differ_in_what_is_newer_and_nothing_else() {
    let [new, old] = VARIANTS.map(units);
    for (name, unit) in &old {
        if name == "cotter-unlock@.service" {
            let without = new[name].replace(r" blockdev@dev-mapper-luks\x2d%i.target", "");
            assert_eq!(*unit, without);
        } else {
            assert_eq!(unit, &new[name], "{name}");
        }
    }
    let missing: Vec<&String> = new.keys().filter(|name| !old.contains_key(*name)).collect();
    assert_eq!(missing, ["cotter-boot-files.service", "cotter-key.socket", "cotter-key@.service"]);
}

/// What `systemd-analyze` says of these units and of all that the system starts with them, each wanted by what enables it.
fn verified(units: &BTreeMap<String, String>) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut names = BTreeSet::new();
    // As the network of most systems is: a service like any other, which the local file systems come before.
    let network = folder.path().join("network.service");
    fs::write(&network, "[Unit]\nBefore=network-online.target\n[Service]\nType=oneshot\nExecStart=/bin/true\n")
        .unwrap();
    want(folder.path(), "network-online.target", &network, "network.service");
    for (name, unit) in units {
        let file = folder.path().join(name);
        // The program need not be installed where this runs.
        fs::write(&file, unit.replace("/usr/bin/cotter", "/bin/true")).unwrap();
        let started = name.replace('@', &format!("@{INSTANCE}"));
        for target in unit.lines().filter_map(|line| line.strip_prefix("WantedBy=")).flat_map(|line| line.split(' ')) {
            want(folder.path(), target, &file, &started);
            // The initramfs of dracut alone has it.
            if target != "dracut-emergency.service" {
                names.insert(target.to_owned());
            }
        }
        names.insert(started);
    }
    // What stands behind the colon is the system's own. Targets of a rescue and of a usual start are not started together.
    let path = format!("{}:", folder.path().display());
    let verify =
        |name| Program::new("systemd-analyze").env("SYSTEMD_UNIT_PATH", &path).args(["verify", name]).run().said();
    names.iter().map(|name| verify(name)).collect()
}

fn want(folder: &Path, target: &str, file: &Path, name: &str) {
    let wants = folder.join(format!("{target}.wants"));
    fs::create_dir_all(&wants).unwrap();
    symlink(file, wants.join(name)).unwrap();
}

#[test]
fn every_variant_loads_and_stands_in_no_circle() {
    for variant in VARIANTS {
        assert_eq!(verified(&units(variant)), "", "{variant}");
    }
}

/// A volume that waits for the network and that the local file systems wait for: what systemd then drops is their target.
#[test]
fn a_circle_is_seen() {
    for variant in VARIANTS {
        let mut units = units(variant);
        let unit = units.get_mut("cotter-unlock@.service").unwrap();
        *unit = unit.replace("Before=umount.target", "Before=local-fs.target umount.target");
        assert!(verified(&units).contains("ordering cycle"), "{variant}: {}", verified(&units));
    }
}
