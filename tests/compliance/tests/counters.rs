//! Counters in the memory of the TPM: who makes one, what names it, and that nothing else leaves one behind.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::{Disk, Ended, Maker, Program, Swtpm, Version};

const PIN: &str = "cotter-tpm2";
const COUNTED: &str = r#"{"pcr_ids":"7","counter":true}"#;
const FIRST: &str = "0x0180c077";

fn luks(tpm: &Swtpm, disk: &Disk, command: &str, words: &[&str]) -> Ended {
    tpm.give(disk.cotter([command]).args(words)).run()
}

/// The indices that the TPM has, as its own tools tell them.
fn indices(tpm: &Swtpm) -> String {
    tpm.tool("tpm2_getcap").arg("handles-nv-index").succeed().text().to_lowercase()
}

fn signed(disk: &Disk) -> String {
    let (private, public) = (disk.beside("private.pem"), disk.beside("public.pem"));
    let openssl = |words: &[&str]| Program::new("openssl").args(words);
    openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out"]).arg(&private).succeed();
    openssl(&["pkey", "-pubout", "-in"]).arg(&private).arg("-out").arg(&public).succeed();
    format!(r#"{{"pcr_ids":"7","counter":true,"signed":{{"key":"{}"}}}}"#, public.display())
}

#[test]
fn a_rehearsal_defines_nothing() {
    let tpm = Swtpm::start();
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    let bind = |config: &str| tpm.give(disk.bind_program(Maker::Ours, PIN, config));
    let planned = bind(COUNTED).arg("--dry-run").succeed();
    assert!(planned.text().contains(&format!("would define counter {FIRST} of the TPM")), "{}", planned.text());
    assert_eq!(indices(&tpm), "");
    let two = format!(r#"{{"t":2,"pins":{{"cotter-tpm2":[{COUNTED},{COUNTED}]}}}}"#);
    let planned = tpm.give(disk.bind_program(Maker::Ours, "sss", &two)).args(["--dry-run", "--json"]).succeed().text();
    assert!(planned.contains("0x0180c077") && planned.contains("0x0180c078"), "{planned}");
    assert_eq!(indices(&tpm), "");
    bind("{}").succeed();
    let planned = luks(&tpm, &disk, "edit", &["-s", "1", "-c", COUNTED, "--dry-run"]).succeeded();
    assert!(planned.text().contains("would define counter"), "{}", planned.text());
    assert_eq!(indices(&tpm), "");
}

#[test]
fn what_fails_leaves_no_counter() {
    let tpm = Swtpm::start();
    for version in Version::BOTH {
        let disk = Disk::of(Maker::Theirs, version);
        let bind = |pin: &str, config: &str| tpm.give(disk.bind_program(Maker::Ours, pin, config));
        let another_boot = format!(r#"{{"pcr_ids":"7","pcr_digest":"{}A","counter":true}}"#, "B".repeat(42));
        bind(PIN, &another_boot).arg("--require-proof").run().failed_with(1);
        assert_eq!(indices(&tpm), "", "not proved");
        let nowhere = r#"{"pcr_ids":"7","counter":true,"signed":{"key":"/nowhere/key.pem"}}"#;
        let said = bind(PIN, nowhere).run().failed_with(1).said();
        assert!(said.contains("/nowhere/key.pem"), "{said}");
        assert_eq!(indices(&tpm), "", "no key");
        let half = format!(r#"{{"t":2,"pins":{{"cotter-tpm2":{COUNTED},"tang":{{"url":"http://127.0.0.1:1"}}}}}}"#);
        bind("sss", &half).run().failed_with(1);
        assert_eq!(indices(&tpm), "", "the second share was not tied");
        if version == Version::Luks1 {
            bind(PIN, &signed(&disk)).run().failed_with(1);
            assert_eq!(indices(&tpm), "", "it has no place on the disk");
        }
        bind(PIN, "{}").succeed();
        luks(&tpm, &disk, "edit", &["-s", "1", "-c", &another_boot]).failed_with(1);
        assert_eq!(indices(&tpm), "", "the binding that was to take another's place");
    }
}

#[test]
fn a_counter_is_named_when_it_comes_and_when_it_stays_alone() {
    let tpm = Swtpm::start();
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    let said = |ended: Ended| ended.succeeded().said();
    let stays = format!("tpm2_nvundefine {FIRST}");
    for _ in 0..2 {
        let bound = said(tpm.give(disk.bind_program(Maker::Ours, PIN, COUNTED)).run());
        assert!(bound.contains(&format!("counter {FIRST} of the TPM was made")), "{bound}");
        assert!(indices(&tpm).contains("180c077"));
        assert!(!said(luks(&tpm, &disk, "regen", &["-q", "-s", "1"])).contains("stays"), "it is in use");
        let edited = said(luks(&tpm, &disk, "edit", &["-s", "1", "-c", r#"{"pcr_ids":"7"}"#]));
        assert!(edited.contains(&stays), "{edited}");
        let shared = format!(r#"{{"counter":"{FIRST}"}}"#);
        let bound = said(tpm.give(disk.bind_program(Maker::Ours, PIN, &shared)).run());
        assert!(!bound.contains("was made"), "{bound}");
        luks(&tpm, &disk, "edit", &["-s", "1", "-c", &shared]).succeeded();
        let first = said(luks(&tpm, &disk, "unbind", &["-f", "-s", "1"]));
        assert!(!first.contains("stays"), "the other binding has it: {first}");
        let last = said(luks(&tpm, &disk, "unbind", &["-f", "-s", "2"]));
        assert!(last.contains(&stays), "{last}");
        tpm.tool("tpm2_nvundefine").arg(FIRST).succeed();
    }
}

/// Another TPM has the counter of another volume under the same number: that one is nobody's to remove.
#[test]
fn the_counter_of_another_volume_is_not_taken_for_ones_own() {
    let (old, new) = (Swtpm::start(), Swtpm::start());
    let [moved, local] = [(); 2].map(|()| Disk::of(Maker::Theirs, Version::Luks2));
    old.give(moved.bind_program(Maker::Ours, PIN, COUNTED)).succeed();
    let gone = moved.beside("gone.img");
    std::fs::copy(moved.path(), &gone).unwrap();
    let unbind = ["-f", "-s", "1", "-d", gone.to_str().unwrap()];
    let said = new.give(Program::cotter().args(["luks", "unbind"])).args(unbind).succeed().said();
    assert!(said.contains(&format!("{FIRST} is not in this TPM")) && !said.contains("nvundefine"), "{said}");
    new.give(local.bind_program(Maker::Ours, PIN, COUNTED)).succeed();
    let key = moved.passphrase_file();
    let edit = ["-s", "1", "-k", key.to_str().unwrap(), "-c", COUNTED, "-f"];
    let said = luks(&new, &moved, "edit", &edit).succeeded().said();
    assert!(said.contains("counter 0x0180c078 of the TPM was made"), "{said}");
    assert!(said.contains("is not this binding's") && !said.contains("nvundefine"), "{said}");
}

#[test]
fn encryption_for_a_signature_is_refused_where_nobody_can_approve() {
    let tpm = Swtpm::start();
    let disk = Disk::blank(0);
    let share = format!(r#"{{"pins":{{"cotter-tpm2":[{}]}}}}"#, signed(&disk));
    for (pin, config) in [(PIN, signed(&disk)), ("sss", share)] {
        let ended = tpm.give(Program::cotter().args(["encrypt", pin, &config])).input("x").run().failed_with(1);
        assert!(ended.stdout.is_empty() && ended.said().contains("no place for approvals"), "{}", ended.said());
        assert!(ended.said().contains("luks bind"), "{}", ended.said());
    }
    assert_eq!(indices(&tpm), "");
    let made = tpm.give(Program::cotter().args(["encrypt", PIN, COUNTED])).input("x").succeed().said();
    assert!(made.contains(FIRST), "{made}");
}
