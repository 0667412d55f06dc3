//! A binding to the TPM that is made anew: after another boot, on another TPM, for a signer, and what becomes of its copies.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::{Disk, Ended, Maker, Program, Swtpm};
use std::fs;

const PIN: &str = "cotter-tpm2";
/// The first counter that a TPM is given.
const COUNTER: &str = "0x0180c077";

/// A disk, the key that signs for it, and the TPM that is there.
struct Machine {
    tpm: Swtpm,
    disk: Disk,
    signer: String,
}

impl Machine {
    fn new() -> Machine {
        let disk = Disk::formatted(Maker::Ours);
        let signer = disk.beside("reseal.jwk");
        Program::cotter().args(["tpm", "keygen"]).arg(&signer).succeed();
        Machine { tpm: Swtpm::start(), signer: signer.to_str().unwrap().to_owned(), disk }
    }

    fn luks(&self, command: &str, words: &[&str]) -> Ended {
        self.tpm.give(Program::cotter().args(["luks", command, "-d"])).arg(self.disk.path()).args(words).run()
    }

    /// The same with the passphrase.
    fn with_passphrase(&self, command: &str, words: &[&str]) -> Ended {
        self.luks(command, &[words, &["-k", self.disk.passphrase_file().to_str().unwrap()]].concat())
    }

    fn bind(&self, config: &str) {
        self.with_passphrase("bind", &["-s", "1", PIN, config]).succeeded();
    }

    fn approve(&self, words: &[&str]) -> Ended {
        self.luks("reseal", &[&["-y", "--sign", self.signer.as_str()], words].concat())
    }

    fn signed(&self, more: &str) -> String {
        format!(r#"{{"pcr_ids":"7",{more}"signed":{{"key":"{}"}}}}"#, self.signer)
    }

    fn opens(&self) -> bool {
        self.luks("pass", &["-s", "1"]).status.success()
    }

    fn count(&self) -> u64 {
        let bytes = self.tpm.tool("tpm2_nvread").args(["-C", "o", COUNTER]).succeed().stdout;
        u64::from_be_bytes(bytes.try_into().unwrap())
    }
}

/// Only the signer can end copies of a signed binding, and whoever makes it anew is told so.
#[test]
fn copies_of_a_signed_binding_are_ended_by_its_signer() {
    let machine = Machine::new();
    machine.bind(&machine.signed(r#""counter":true,"#));
    machine.approve(&[]).succeeded();
    let copy = machine.disk.bytes();
    let again = machine.signed(&format!(r#""counter":"{COUNTER}","#));
    for (command, words) in [("regen", &["-q", "-s", "1"][..]), ("edit", &["-f", "-s", "1", "-c", again.as_str()])] {
        let said = machine.luks(command, words).succeeded().said();
        let stays = format!(
            "the counter {COUNTER} of the TPM stays at 1, where approvals are good: copies of the old binding still open"
        );
        assert!(said.contains(&stays), "{said}");
        let way = format!("luks reseal -d {} --sign FILE --drop-old --revoke", machine.disk.path().display());
        assert!(said.contains(&way), "{said}");
        assert_eq!(machine.count(), 1);
    }
    machine.approve(&["--drop-old", "--revoke"]).succeeded();
    assert_eq!(machine.count(), 2);
    assert!(machine.opens());
    fs::write(machine.disk.path(), copy).unwrap();
    assert!(!machine.opens(), "the copy");
}

/// After a reseal too: it seals to what the PCRs hold now, whatever the binding accepted before.
#[test]
fn a_binding_that_was_resealed_is_made_anew_for_what_holds_now() {
    for (pin, config) in [(PIN, r#"{"pcr_ids":"7,9"}"#), ("sss", r#"{"t":1,"pins":{"cotter-tpm2":{"pcr_ids":"7,9"}}}"#)]
    {
        let machine = Machine::new();
        machine.with_passphrase("bind", &["-s", "1", pin, config]).succeeded();
        let regen = || machine.with_passphrase("regen", &["-q", "-s", "1"]).succeeded().said();
        for sets in [2, 1] {
            machine.tpm.extend(9, 1);
            let said = machine.with_passphrase("reseal", &[]).succeeded().said();
            assert!(said.contains("is to accept 2 sets"), "{pin}: {said}");
            if sets == 1 {
                machine.luks("reseal", &["--drop-old"]).succeeded();
            }
            machine.tpm.extend(7, 1);
            assert!(!machine.opens());
            let said = regen();
            assert_eq!(said.contains("accepted several sets of values"), sets == 2, "{pin}: {said}");
            assert!(machine.opens(), "{pin}, {sets}");
            let explained = machine.luks("list", &["-v"]).succeeded().text();
            assert!(!explained.contains("accepted sets: 2"), "{pin}: {explained}");
        }
    }
}

/// Values that a person gave stand, and the way out that is named is one.
#[test]
fn values_that_were_given_are_not_mended_by_regen() {
    let machine = Machine::new();
    machine.bind(&format!(r#"{{"pcr_ids":"16","pcr_digest":"{}"}}"#, "A".repeat(43)));
    assert!(machine.opens());
    machine.tpm.extend(16, 1);
    let said = machine.with_passphrase("regen", &["-q", "-s", "1"]).failed_with(1).said();
    assert!(said.contains("pcr_digest") && said.contains("`cotter luks reseal -d DEVICE -s SLOT -k -`"), "{said}");
    machine.with_passphrase("reseal", &["-s", "1"]).succeeded();
    assert!(machine.opens());
}

/// On another TPM nothing is approved: with a passphrase the binding is made all the same, and then approved.
#[test]
fn a_signed_binding_moves_to_another_tpm() {
    for counted in [false, true] {
        let mut machine = Machine::new();
        machine.bind(&machine.signed(if counted { r#""counter":true,"# } else { "" }));
        machine.approve(&[]).succeeded();
        machine.tpm = Swtpm::start();
        machine.tpm.extend(7, 1);
        let said = machine.approve(&[]).failed_with(1).said();
        assert!(!said.contains("PCRs cannot be read") && said.contains("parent key is not the one"), "{said}");
        let made = if counted {
            let said = machine.with_passphrase("regen", &["-q", "-s", "1"]).failed_with(1).said();
            assert!(said.contains("no such index") && said.contains("cotter luks edit"), "{said}");
            let config = machine.signed(r#""counter":true,"#);
            machine.with_passphrase("edit", &["-s", "1", "-f", "-c", &config])
        } else {
            machine.with_passphrase("regen", &["-q", "-s", "1"])
        };
        let said = made.succeeded().said();
        assert!(said.contains("not proved: nobody has approved"), "{said}");
        assert!(said.contains("--sign FILE, which approves it"), "{said}");
        machine.approve(&[]).succeeded();
        assert!(machine.opens(), "counted: {counted}");
        machine.luks("regen", &["-q", "-s", "1"]).succeeded();
        assert!(machine.opens(), "counted: {counted}");
    }
}

/// What opens is not given away for what nobody has approved, unless a passphrase was seen to open the volume.
#[test]
fn a_binding_becomes_a_signed_one_with_a_passphrase() {
    let machine = Machine::new();
    machine.bind(r#"{"pcr_ids":"7"}"#);
    let signed = machine.signed("");
    let said = machine.approve(&[]).failed_with(1).said();
    assert!(said.contains("no binding here is signed, so the key of --sign has approved nothing"), "{said}");
    let edit = ["-s", "1", "-c", signed.as_str()];
    let before = machine.disk.bytes();
    let said = machine.luks("edit", &edit).failed_with(1).said();
    assert!(said.contains("with a passphrase (-k FILE, or -k -) it is made before"), "{said}");
    machine.luks("edit", &[&edit[..], &["-k", "/dev/null"]].concat()).failed_with(1);
    let own = machine.disk.beside("own");
    fs::write(&own, machine.luks("pass", &["-s", "1"]).succeeded().stdout).unwrap();
    let said = machine.luks("edit", &[&edit[..], &["-k", own.to_str().unwrap()]].concat()).failed_with(1).said();
    assert!(said.contains("is the binding's own"), "{said}");
    let key = machine.disk.passphrase_file();
    let said = machine.luks("bind", &["--replace", "-k", key.to_str().unwrap(), PIN, &signed]).failed_with(1).said();
    assert!(said.contains("without --replace first") && said.contains("cotter luks kill"), "{said}");
    assert!(machine.disk.bytes() == before && machine.opens(), "something was changed");
    machine.with_passphrase("edit", &edit).succeeded();
    assert!(!machine.opens());
    machine.approve(&[]).succeeded();
    assert!(machine.opens());
}
