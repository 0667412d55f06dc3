//! Counters in the memory of the TPM: who makes one, what names it, and that nothing else leaves one behind.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::{Disk, Ended, Maker, Program, Screen, Swtpm, Version};

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

/// Who gives up at the PIN of one keyslot is not asked for that of the next; which one is meant stands in the question.
#[test]
fn giving_up_at_a_pin_ends_the_command() {
    let tpm = Swtpm::start();
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    for _ in 0..2 {
        let mut screen = Screen::start(tpm.give(disk.bind_program(Maker::Ours, PIN, r#"{"pin":true}"#)));
        screen.answers("New PIN for the TPM: ", "1234");
        screen.answers("The same PIN again: ", "1234");
        screen.answers("PIN for the TPM (", "1234");
        screen.ended().succeeded();
    }
    let mut screen = Screen::start(tpm.give(disk.cotter(["unlock", "--print-key"])));
    screen.answers(&format!("of {}: PIN for the TPM", disk.uuid()), "\u{3}");
    let said = screen.ended().failed_with(1).said();
    assert_eq!(said.lines().last(), Some("cotter: given up; the volume stays closed"), "{said}");
    assert!(!said.contains("cannot be used") && said.lines().count() == 1, "{said}");
}

/// A header that was put back has an approval for just this boot, and the counter has passed it: that is not a boot that nobody has approved.
#[test]
fn an_approval_that_the_counter_has_passed_is_told() {
    let tpm = Swtpm::start();
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    let key = disk.beside("jwk");
    Program::cotter().args(["tpm", "keygen"]).arg(&key).succeed();
    let config = format!(r#"{{"pcr_ids":"7","counter":true,"signed":{{"key":"{}"}}}}"#, key.display());
    tpm.give(disk.bind_program(Maker::Ours, PIN, &config)).succeed();
    let key = key.to_str().unwrap();
    let reseal = |words: &[&str]| luks(&tpm, &disk, "reseal", &[&["--sign", key, "-y"], words].concat());
    reseal(&[]).succeeded();
    let old = std::fs::read(disk.path()).unwrap();
    reseal(&["--revoke"]).succeeded();
    std::fs::write(disk.path(), old).unwrap();
    let explain = tpm.give(Program::cotter().args(["tpm", "explain", "-s", "1", "-d"])).arg(disk.path());
    let told = explain.run();
    assert_eq!(told.status.code(), Some(3));
    let told = told.text();
    assert!(told.contains("has passed that") && !told.contains("no signature"), "{told}");
    let asked = reseal(&["--dry-run"]).said();
    assert!(asked.contains("has passed that"), "{asked}");
}

/// Where no more sets have room the old ones go in the same step.
#[test]
fn a_full_binding_takes_what_holds_now_in_the_place_of_the_others() {
    let tpm = Swtpm::start();
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    tpm.give(disk.bind_program(Maker::Ours, PIN, r#"{"pcr_ids":"16"}"#)).succeed();
    let key = disk.passphrase_file();
    let reseal = |words: &[&str]| luks(&tpm, &disk, "reseal", &[&["-k", key.to_str().unwrap()], words].concat());
    for byte in 1..8 {
        tpm.extend(16, byte);
        reseal(&[]).succeeded();
    }
    tpm.extend(16, 8);
    let full = reseal(&[]).failed_with(1).said();
    assert!(full.contains("at most 8 sets") && full.contains("--drop-old"), "{full}");
    reseal(&["--drop-old"]).succeeded();
    luks(&tpm, &disk, "unlock", &["-t", "1"]).succeeded();
}
