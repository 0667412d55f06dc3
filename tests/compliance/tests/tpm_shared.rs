//! `cotter luks reseal` and its neighbours where one thing belongs to several: the shares of a threshold, the bindings on one counter, the
//! approvals of several signers.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::swtpm::{Eavesdropper, TCTI};
use compliance::{Disk, Ended, Maker, Program, Swtpm, Table};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

const GRUB: &str = "ovmf_grub";
/// The same with one line more in GRUB's script.
const OTHER_SCRIPT: &str = "ovmf_grub_other_script";
/// The first counter that a TPM is given.
const COUNTER: &str = "0x0180c077";

fn vector(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/tpm2/vectors/event_log").join(name)
}

/// GRUB's script as it will be.
fn script() -> String {
    format!("/grub.cfg={}", vector("grub_other_script.cfg").display())
}

/// A machine that has booted a recorded log, and its disk.
struct Machine {
    tpm: Swtpm,
    disk: Disk,
    log: PathBuf,
}

impl Machine {
    fn booted(name: &str) -> Machine {
        let mut machine = Machine { tpm: Swtpm::start(), disk: Disk::formatted(Maker::Ours), log: PathBuf::new() };
        machine.boot(name);
        machine
    }

    fn boot(&mut self, name: &str) {
        self.tpm.restart();
        self.log = vector(&format!("{name}.log"));
        self.tpm.boot(&self.log);
    }

    fn luks(&self, command: &str, words: &[&str]) -> Program {
        let program = self.tpm.give(Program::cotter().args(["luks", command, "-d"])).arg(self.disk.path());
        program.args(words)
    }

    fn bind(&self, slot: &str, pin: &str, config: &str) -> Ended {
        let key = self.disk.passphrase_file();
        self.luks("bind", &["-y", "-s", slot, "-k", key.to_str().unwrap(), pin, config]).run()
    }

    fn reseal(&self, words: &[&str]) -> Ended {
        // Whoever signs says that this boot is one to trust.
        let yes: &[&str] = if words.contains(&"--sign") { &["-y"] } else { &[] };
        self.luks("reseal", words).args(yes).arg("--log").arg(&self.log).run()
    }

    fn opens(&self, slot: &str) -> bool {
        self.luks("pass", &["-s", slot]).run().status.success()
    }

    /// A new key that signs, in a file.
    fn signer(&self, name: &str) -> String {
        let path = self.disk.beside(name);
        Program::cotter().args(["tpm", "keygen"]).arg(&path).succeed();
        path.to_str().unwrap().to_owned()
    }

    fn count(&self) -> u64 {
        let bytes = self.tpm.tool("tpm2_nvread").args(["-C", "o", COUNTER]).succeed().stdout;
        u64::from_be_bytes(bytes.try_into().unwrap())
    }
}

/// With the latch shut nothing unseals, but the passphrase reseals, for the values at the moment when volumes are opened: inside of a threshold
/// too, whether or not a share beside it gives the rest.
#[test]
fn behind_a_shut_latch_a_passphrase_reseals() {
    let mut table = Table::new("reseal behind a shut latch");
    let ours = r#"{"pcr_ids":"9","latch":true}"#;
    for (pin, config, opens_latched) in [
        ("cotter-tpm2", ours.to_owned(), false),
        ("sss", format!(r#"{{"t":1,"pins":{{"null":{{"fail":true}},"cotter-tpm2":{ours}}}}}"#), false),
        ("sss", format!(r#"{{"t":2,"pins":{{"null":{{}},"sss":{{"t":1,"pins":{{"cotter-tpm2":{ours}}}}}}}}}"#), false),
        ("sss", format!(r#"{{"t":1,"pins":{{"null":{{}},"cotter-tpm2":{ours}}}}}"#), true),
    ] {
        table.row(format!("{pin} {config}"), || {
            let mut machine = Machine::booted(GRUB);
            machine.bind("1", pin, &config).succeeded();
            machine.tpm.give(Program::cotter().args(["tpm", "latch"])).succeed();
            assert_eq!(machine.opens("1"), opens_latched);
            let key = machine.disk.passphrase_file();
            let ended = machine.reseal(&["--file", &script(), "-k", key.to_str().unwrap()]).succeeded();
            assert!(ended.said().contains("keyslot 1 is to accept 2 sets of values, 1 before"), "{}", ended.said());
            for name in [OTHER_SCRIPT, GRUB] {
                machine.boot(name);
                assert!(machine.opens("1"), "{name}");
            }
        });
    }
    table.finish();
}

/// What is bound for another boot need not open in this one, as a share that the threshold needs neither; what else fails counts.
#[test]
fn a_threshold_is_bound_for_the_next_boot() {
    let mut machine = Machine::booted(GRUB);
    let predict = ["tpm", "predict", "--json", "--pcrs", "9", "--file", &script(), "--log"];
    let found = machine.tpm.give(Program::cotter().args(predict)).arg(&machine.log).succeed();
    let found: Value = serde_json::from_slice(&found.stdout).unwrap();
    let ahead = format!(r#"{{"pcr_bank":"sha256","pcr_ids":"9","pcr_digest":{}}}"#, found["pcr_digest"]);
    let config = |share: &str| format!(r#"{{"t":2,"pins":{{"null":{share},"cotter-tpm2":{ahead}}}}}"#);
    let refused = machine.bind("1", "sss", &config(r#"{"fail":true}"#)).failed_with(1).said();
    assert!(refused.contains("so nothing was bound"), "{refused}");
    let bound = machine.bind("1", "sss", &config("{}")).succeeded().said();
    assert!(bound.contains("not proved: "), "{bound}");
    assert!(!machine.opens("1"));
    machine.boot(OTHER_SCRIPT);
    assert!(machine.opens("1"));
}

/// Whoever makes one binding anew ends no other: the counter waits until the last one is made anew, and then the copies of all are worthless.
#[test]
fn a_counter_waits_for_the_last_binding_on_it() {
    let machine = Machine::booted(GRUB);
    let shared = format!(r#"{{"pcr_ids":"9","counter":"{COUNTER}"}}"#);
    machine.bind("1", "cotter-tpm2", r#"{"pcr_ids":"9","counter":true}"#).succeeded();
    machine.bind("2", "sss", &format!(r#"{{"t":1,"pins":{{"cotter-tpm2":{shared}}}}}"#)).succeeded();
    machine.bind("3", "cotter-tpm2", r#"{"pcr_ids":"9"}"#).succeeded();
    let slots = ["1", "2", "3"];
    let all = |what: &str| slots.iter().for_each(|slot| assert!(machine.opens(slot), "keyslot {slot}, {what}"));
    let copy = machine.disk.bytes();
    let waits = |ended: Ended, lost: &str| {
        let said = ended.succeeded().said();
        assert!(said.contains(&format!("counter {COUNTER} of the TPM stays at its number")), "{said}");
        assert!(said.contains(&format!("copies of the old binding still open: {lost} would open no more")), "{said}");
        assert!(!said.contains("was not counted up"), "{said}");
        assert_eq!(machine.count(), 1);
    };
    // Another comes onto the counter, and one that is there is resealed.
    waits(machine.luks("edit", &["-s", "3", "-c", &shared]).run(), "keyslots 1, 2");
    all("edit");
    waits(machine.reseal(&["-s", "1", "--file", &script()]), "keyslot 2");
    all("reseal");
    waits(machine.luks("regen", &["-q", "-s", "3"]).run(), "keyslot 2");
    all("regen");
    let last = machine.luks("regen", &["-q", "-s", "2"]).run().succeeded().said();
    assert!(!last.contains("stays at its number"), "{last}");
    assert_eq!(machine.count(), 2);
    all("the last regen");
    fs::write(machine.disk.path(), copy).unwrap();
    assert!(!machine.opens("1") && !machine.opens("2"), "the copy");
}

/// What cannot be read may be a way in that ends with the number: a counter never goes back, so it waits, and says for what.
#[test]
fn a_counter_waits_for_what_cannot_be_read() {
    let machine = Machine::booted(GRUB);
    let key = machine.signer("a.jwk");
    machine.bind("1", "cotter-tpm2", r#"{"pcr_ids":"9","counter":true}"#).succeeded();
    let broken = r#"{"type":"clevis","keyslots":["0"],"jwe":{"protected":"?"}}"#;
    let token = |words: &[&str]| {
        Program::new("cryptsetup").arg("token").args(words).args(["--token-id", "9"]).arg(machine.disk.path())
    };
    token(&["import"]).input(broken).succeed();
    let said = machine.luks("regen", &["-q", "-s", "1"]).run().succeeded().said();
    assert!(said.contains("stays at its number") && said.contains("token 9 cannot be read"), "{said}");
    let signed = format!(r#"{{"pcr_ids":"9","counter":"{COUNTER}","signed":{{"key":"{key}"}}}}"#);
    machine.bind("2", "cotter-tpm2", &signed).succeeded();
    let said = machine.reseal(&["--sign", &key, "-s", "2", "--revoke"]).failed_with(1).said();
    assert!(said.contains("was not counted up") && said.contains("token 9 cannot be read"), "{said}");
    assert!(machine.opens("1") && machine.opens("2") && machine.count() == 1);
    token(&["remove"]).succeed();
    let said = machine.reseal(&["--sign", &key, "-s", "2", "--revoke"]).succeeded().said();
    assert!(said.contains("stands at 2") && machine.opens("1") && machine.opens("2"), "{said}");
}

/// A plain reseal goes over all bindings, and none of them is lost by it.
#[test]
fn a_reseal_of_one_binding_leaves_its_neighbour() {
    let machine = Machine::booted(GRUB);
    machine.bind("1", "cotter-tpm2", r#"{"pcr_ids":"9","counter":true}"#).succeeded();
    machine.bind("2", "cotter-tpm2", &format!(r#"{{"pcr_ids":"7","counter":"{COUNTER}"}}"#)).succeeded();
    let said = machine.reseal(&["--file", &script()]).succeeded().said();
    assert!(said.contains("keyslot 2 accepts these values already"), "{said}");
    assert!(machine.opens("1") && machine.opens("2"), "{said}");
}

/// Approvals are ways in as well: neither does a regen end those of a neighbour, nor a revocation a neighbour that is sealed.
#[test]
fn approvals_and_bindings_on_one_counter_wait_for_each_other() {
    let machine = Machine::booted(GRUB);
    let key = machine.signer("a.jwk");
    machine.bind("1", "cotter-tpm2", r#"{"pcr_ids":"9","counter":true}"#).succeeded();
    let signed = format!(r#"{{"pcr_ids":"9","counter":"{COUNTER}","signed":{{"key":"{key}"}}}}"#);
    machine.bind("2", "cotter-tpm2", &signed).succeeded();
    let sign = |words: &[&str]| machine.reseal(&[&["--sign", key.as_str(), "-s", "2"], words].concat());
    sign(&[]).succeeded();
    let both = || assert!(machine.opens("1") && machine.opens("2"));
    both();
    let said = sign(&["--revoke"]).failed_with(1).said();
    assert!(said.contains("was not counted up, so older approvals still open: keyslot 1 would open no more"), "{said}");
    both();
    assert_eq!(machine.count(), 1);
    // Both are good for the next number by now, so whoever comes last has it count.
    let said = machine.luks("regen", &["-q", "-s", "1"]).run().succeeded().said();
    assert!(!said.contains("stays at its number"), "{said}");
    both();
    assert_eq!(machine.count(), 2);
    sign(&[]).succeeded();
    // The other way round: the binding waits, and the approvals have it count.
    let said = machine.luks("regen", &["-q", "-s", "1"]).run().succeeded().said();
    assert!(said.contains("keyslot 2 would open no more"), "{said}");
    both();
    let said = sign(&["--revoke"]).succeeded().said();
    assert!(said.contains("stands at 3"), "{said}");
    both();
}

/// One signer's failure keeps no other counter from going on, and each that does not is told.
#[test]
fn a_counter_goes_on_unless_somebody_elses_approvals_end_by_it() {
    let machine = Machine::booted(GRUB);
    let (ours, theirs) = (machine.signer("a.jwk"), machine.signer("b.jwk"));
    let signed =
        |key: &str, counter: &str| format!(r#"{{"pcr_ids":"9","counter":{counter},"signed":{{"key":"{key}"}}}}"#);
    machine.bind("1", "cotter-tpm2", &signed(&ours, "true")).succeeded();
    machine.bind("2", "cotter-tpm2", &signed(&theirs, "true")).succeeded();
    for (key, slot) in [(&ours, "1"), (&theirs, "2")] {
        machine.reseal(&["--sign", key, "-s", slot]).succeeded();
        assert!(machine.opens(slot), "{slot}");
    }
    let copy = machine.disk.bytes();
    let said = machine.reseal(&["--sign", &ours, "--revoke"]).failed_with(1).said();
    assert!(said.contains("keyslot 2 is signed by another key"), "{said}");
    assert!(said.contains(&format!("the counter {COUNTER} stands at 2: older approvals open nothing")), "{said}");
    assert!(said.contains("the counter 0x0180c078 was not counted up: nothing was approved for keyslot 2"), "{said}");
    assert!(machine.opens("1") && machine.opens("2"));
    let new = machine.disk.bytes();
    fs::write(machine.disk.path(), copy).unwrap();
    assert!(!machine.opens("1") && machine.opens("2"), "the copy");
    fs::write(machine.disk.path(), new).unwrap();
    // Two signers on one counter: the second one has it count.
    machine.bind("3", "cotter-tpm2", &signed(&theirs, &format!("\"{COUNTER}\""))).succeeded();
    machine.reseal(&["--sign", &theirs, "-s", "3"]).succeeded();
    let said = machine.reseal(&["--sign", &ours, "-s", "1", "--revoke"]).failed_with(1).said();
    assert!(said.contains("keyslot 3 would open no more"), "{said}");
    assert!(machine.opens("1") && machine.opens("3"));
    let said = machine.reseal(&["--sign", &theirs, "-s", "3", "--revoke"]).succeeded().said();
    assert!(said.contains("stands at 3"), "{said}");
    assert!(machine.opens("1") && machine.opens("2") && machine.opens("3"));
}

/// Somebody approves for the number that is about to end, after the look at the header: that has ended, and it is said.
#[test]
fn what_ends_after_the_look_at_the_header_is_named() {
    let machine = Machine::booted(GRUB);
    let key = machine.signer("a.jwk");
    let signed = format!(r#"{{"pcr_ids":"9","counter":true,"signed":{{"key":"{key}"}}}}"#);
    machine.bind("1", "cotter-tpm2", &signed).succeeded();
    machine.reseal(&["--sign", &key]).succeeded();
    let (path, old) = (machine.disk.path().to_owned(), machine.disk.bytes());
    let writes = move |_: usize, answer: Vec<u8>| {
        // Of all commands here NV_Increment alone is answered in a session and without a parameter.
        if answer.starts_with(&[0x80, 2]) && answer.get(10..14) == Some(&[0; 4]) {
            fs::write(&path, &old).unwrap();
        }
        answer
    };
    let line = Eavesdropper::changing(&machine.tpm, Box::new(writes));
    let revoke = machine.luks("reseal", &["-y", "--sign", &key, "--revoke", "--log"]).arg(&machine.log);
    let said = revoke.env(TCTI, line.place()).run().failed_with(1).said();
    assert!(said.contains("stands at 2") && said.contains("which opens no more: keyslot 1"), "{said}");
    assert_eq!(machine.count(), 2);
    machine.reseal(&["--sign", &key]).succeeded();
    assert!(machine.opens("1"));
}

/// An approval without the counter of a policy opens nothing for it, and what a counter has passed is not known without the TPM.
#[test]
fn a_list_counts_the_approvals_that_are_meant() {
    let machine = Machine::booted(GRUB);
    let key = machine.signer("a.jwk");
    for (slot, counter) in [("1", r#""counter":true,"#), ("2", "")] {
        let config = format!(r#"{{"pcr_ids":"9",{counter}"signed":{{"key":"{key}"}}}}"#);
        machine.bind(slot, "cotter-tpm2", &config).succeeded();
    }
    machine.reseal(&["--sign", &key]).succeeded();
    let list = |slot: &str, words: &[&str]| machine.luks("list", &["-v", "-s", slot]).args(words).succeed().text();
    let asked = "approvals: 1, of which the counter may have passed some: where it stands was not looked at; cotter tpm explain";
    assert!(list("1", &[]).contains(asked), "{}", list("1", &[]));
    assert!(list("2", &[]).ends_with("approvals: 1"), "{}", list("2", &[]));
    assert!(list("1", &["--json"]).contains(r#""approvals":1,"counter_read":false"#), "{}", list("1", &["--json"]));
    assert!(!list("2", &["--json"]).contains("counter_read"), "{}", list("2", &["--json"]));
}

/// What nobody here has signed goes, unless there is something that cannot be read: it may be what they are for.
#[test]
fn approvals_are_not_tidied_up_while_something_cannot_be_read() {
    let machine = Machine::booted(GRUB);
    let (ours, theirs) = (machine.signer("a.jwk"), machine.signer("b.jwk"));
    for (slot, key) in [("1", &ours), ("2", &theirs)] {
        machine.bind(slot, "cotter-tpm2", &format!(r#"{{"pcr_ids":"9","signed":{{"key":"{key}"}}}}"#)).succeeded();
        machine.reseal(&["--sign", key, "-s", slot]).succeeded();
    }
    let good = machine.disk.bytes();
    machine.luks("unbind", &["-f", "-s", "2"]).succeed();
    let broken = r#"{"type":"clevis","keyslots":["1"],"jwe":{"protected":"?"}}"#;
    let import = Program::new("cryptsetup").args(["token", "import", "--token-id", "9"]).arg(machine.disk.path());
    import.input(broken).succeed();
    let said = machine.reseal(&["--sign", &ours, "--file", &script()]).succeeded().said();
    assert!(said.contains("keyslot 1: 1 approved") && !said.contains("removed"), "{said}");
    Program::new("cryptsetup").args(["token", "remove", "--token-id", "9"]).arg(machine.disk.path()).succeed();
    let said = machine.reseal(&["--sign", &ours, "--drop-old"]).succeeded().said();
    assert!(said.contains("approvals that no key of a binding here has signed: 1, removed"), "{said}");
    fs::write(machine.disk.path(), good).unwrap();
    assert!(machine.opens("2"));
}
