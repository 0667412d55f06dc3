//! What policies protect from, as the command line says it: alone, when a keyslot is bound, and of bindings that are there, also Clevis's.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::swtpm::{Eavesdropper, TCTI};
use compliance::{Curve, Disk, KeyDirectory, Maker, Program, Server, Swtpm};
use serde_json::Value;

fn explain(words: &[&str]) -> Program {
    Program::cotter().args(["policy", "explain", "--machine", "physical", "--secure-boot", "unknown"]).args(words)
}

fn answer(record: &Value, goal: &str) -> String {
    record["verdict"]["answers"][goal]["answer"].as_str().unwrap().to_owned()
}

#[test]
fn a_policy_is_explained_for_people_and_programs() {
    let said = explain(&["tpm2", "{}"]).succeed().text();
    for line in [
        "the machine is stolen and switched on  NO      the TPM gives the key to any system that boots there",
        "the disk leaves the building           yes     the TPM stays behind",
        "better (machine-stolen: yes): ask a key server",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let record: Value = serde_json::from_str(&explain(&[r#"{"tpm2":{}}"#, "--json"]).succeed().text()).unwrap();
    assert_eq!((answer(&record, "machine-stolen"), answer(&record, "header-copied")), ("no".into(), "yes".into()));
    assert_eq!(record["verdict"]["advice"]["gap"], "machine-stolen");
    let machine = ["tpm2", "{}", "--require", "header-copied", "--require", "machine-stolen"];
    let ended = explain(&machine).run().failed_with(1);
    assert!(ended.said().contains("the policy does not reach machine-stolen: no"), "{}", ended.said());
    explain(&["tpm2", "{}", "--require", "header-copied"]).succeed();
    for wrong in [&["tpm2"][..], &["{}"], &["tang", "{}"], &["tpm2", "{}", "--require", "peace"]] {
        explain(wrong).run().failed_with(2);
    }
}

/// A verdict on what no binding can be is worse than none: whatever `encrypt` refuses is refused, with the same reason.
#[test]
fn what_cannot_be_bound_is_not_judged() {
    for (pin, config, word) in [
        ("tpm2", r#"{"pcr_id":"7"}"#, "pcr_id is not an option"),
        ("tpm2", r#"{"pin":true}"#, "pin is not an option"),
        ("tpm2", r#"{"pcr_bank":"sha256"}"#, "of use without pcr_ids"),
        ("cotter-tpm2", r#"{"pin":"yes"}"#, "configuration.pin"),
        ("cotter-tpm2", r#"{"latch":7}"#, "from 8 to 15"),
        ("cotter-tpm2", r#"{"signed":{"key":"k"}}"#, "without pcr_ids"),
        ("tpm2plus", r#"{"use_policy":false}"#, "without a policy"),
        ("tang", r#"{"url":"http://a","thumb":"x"}"#, "thumb is not an option"),
        ("file", r#"{"name":""}"#, "the name of a file"),
        ("pkcs11", r#"{"uri":"x"}"#, "pkcs11:"),
        ("null", r#"{"fails":true}"#, "fails is not an option"),
        ("sss", r#"{"t":3,"pins":{"null":{}}}"#, "from 1 to that of the pins"),
        ("sss", r#"{"t":1,"pins":{"cotter-tpm2":[{"pin":"yes"},{}]}}"#, "pins.cotter-tpm2.0.pin is not"),
        ("sss", r#"{"t":1,"pins":{"tpmm2":{}}}"#, "there is no pin tpmm2"),
        ("tpmm2", "{}", "there is no pin tpmm2"),
    ] {
        let said = explain(&[pin, config, "--require", "disk-stolen"]).run().failed_with(2).said();
        assert!(said.contains(word), "{pin} {config}: {said}");
        let encrypted = Program::cotter().args(["encrypt", pin, config]).input("x").run();
        assert!(!encrypted.status.success() && encrypted.said().contains(word), "{pin} {config}: {}", encrypted.said());
    }
    for good in [["tpm2", r#"{"pcr_ids":"7"}"#], ["cotter-tpm2", r#"{"pin":true}"#], ["pkcs11", r#"{"uri":"pkcs11:"}"#]]
    {
        explain(&good).succeed();
    }
}

#[test]
fn a_policy_that_misses_a_goal_is_not_bound() {
    let keys = KeyDirectory::new(Maker::Theirs, Curve::P256);
    let server = Server::start(Maker::Theirs, &keys);
    let disk = Disk::formatted(Maker::Theirs);
    let before = disk.bytes();
    let refused = disk.bind_program(Maker::Ours, "tang", &server.config()).args(["--require", "header-copied"]);
    let ended = refused.run().failed_with(1);
    assert!(ended.said().contains("127.0.0.1 answers anybody who has a copy of the header"), "{}", ended.said());
    assert_eq!(disk.bytes(), before);
    let bound = disk.bind_program(Maker::Ours, "tang", &server.config()).succeed();
    // The server of the test is this machine.
    for words in [
        "its header is copied, on its network   NO",
        "the machine is stolen and switched on  NO",
        "better (machine-stolen",
    ] {
        assert!(bound.said().contains(words), "{words}: {}", bound.said());
    }
}

/// A TPM of software has a keeper who reads it, whatever the processor says: `bind` and `list -v` judge by what the TPM says of itself, and
/// goals that it does not reach are refused before anything is written. Where it has no part, nobody asks it.
#[test]
fn a_tpm_of_software_is_judged_as_that_of_a_guest() {
    let (tpm, disk) = (Swtpm::start(), Disk::formatted(Maker::Theirs));
    let bind = |pin: &str, config: &str| tpm.give(disk.bind_program(Maker::Ours, pin, config));
    let cells = ["the disk leaves the building           partly  a virtual TPM is a file of the host"];
    let host = "the host of the virtual machine looks  NO";
    let before = disk.bytes();
    for goal in ["host-curious", "disk-stolen"] {
        let said = bind("cotter-tpm2", "{}").args(["--require", goal]).run().failed_with(1).said();
        assert!(said.contains(&format!("does not reach {goal}")), "{said}");
    }
    assert_eq!(disk.bytes(), before);
    for (pin, config) in [("cotter-tpm2", "{}"), ("sss", r#"{"t":1,"pins":{"tpm2":{}}}"#)] {
        let said = bind(pin, config).succeed().said();
        for words in cells.into_iter().chain([host, "note: the TPM is virtual"]) {
            assert_eq!(said.matches(words).count(), 1, "{words}: {said}");
        }
    }
    let list = |program: Program| program.args(["luks", "list", "-v", "-d"]).arg(disk.path()).succeed().text();
    let text = list(tpm.give(Program::cotter()));
    for words in cells.into_iter().chain([host, "note: the TPM is virtual"]) {
        assert_eq!(text.matches(words).count(), 2, "{words}: {text}");
    }
    // Elsewhere it is what this machine says, and a TPM that is not there is waited for by nobody.
    let nowhere = Program::cotter().env(TCTI, "swtpm:host=127.0.0.1,port=1");
    assert_eq!(list(nowhere).lines().filter(|line| line.contains("the disk leaves the building")).count(), 2);
    let alone = Disk::formatted(Maker::Theirs);
    alone.bind(Maker::Ours, "null", "{}");
    let line = Eavesdropper::listening(&tpm);
    let program = Program::cotter().args(["luks", "list", "-v", "-d"]).arg(alone.path());
    program.env(TCTI, line.place()).succeed();
    assert!(line.commands().is_empty(), "it has no part in it");
}

#[test]
fn bindings_of_both_are_listed_with_what_they_protect_from() {
    let keys = KeyDirectory::new(Maker::Theirs, Curve::P256);
    let server = Server::start(Maker::Theirs, &keys);
    let disk = Disk::formatted(Maker::Theirs);
    disk.bind(Maker::Ours, "sss", &format!(r#"{{"t":2,"pins":{{"tang":{},"null":{{}}}}}}"#, server.config()));
    disk.bind(Maker::Theirs, "tang", &server.config());
    let list =
        |words: &[&str]| Program::cotter().args(["luks", "list", "-d"]).arg(disk.path()).args(words).succeed().text();
    let text = list(&["-v"]);
    assert_eq!(text.matches("the disk leaves the building           partly").count(), 2, "{text}");
    assert!(text.contains("better (machine-stolen"), "{text}");
    for line in list(&["-v", "--json"]).lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        assert_eq!(answer(&record, "header-copied"), "no");
        assert_eq!(answer(&record, "key-server-stolen"), "partly");
    }
    assert!(!list(&["--json"]).contains("verdict") && !list(&[]).contains("leaves the building"));
}
