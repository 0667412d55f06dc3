//! Keyslots that systemd has enrolled: what `systemd-cryptenroll` wrote, ours opens, on a TPM made of software.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::disk::PASSPHRASE;
use compliance::swtpm::{Eavesdropper, TCTI};
use compliance::{Curve, Disk, Ended, KeyDirectory, Maker, Program, Screen, Server, Swtpm, Table};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

const PIN: &str = "31415926";

/// Enrols the TPM. systemd 252 and 257 leave a session in it each time, and a TPM has room for few.
fn enroll(tpm: &Swtpm, disk: &Disk, words: &[&str]) {
    tpm.tool("tpm2_flushcontext").arg("-l").succeed();
    let program = Program::new("systemd-cryptenroll").env("NEWPIN", PIN);
    let program = program.arg(format!("--unlock-key-file={}", disk.passphrase_file().display()));
    program.arg(format!("--tpm2-device={}", tpm.place())).args(words).arg(disk.path()).succeed();
    tpm.tool("tpm2_flushcontext").arg("-l").succeed();
}

fn unlock(tpm: &Swtpm, disk: &Disk, words: &[&str]) -> Ended {
    tpm.give(disk.cotter(["unlock"]).args(words)).run()
}

/// At a terminal, with this typed.
fn unlock_typed(tpm: &Swtpm, disk: &Disk, words: &[&str], pins: &[&str]) -> (Ended, String) {
    let mut screen = Screen::start(tpm.give(disk.cotter(["unlock", "--test-passphrase"]).args(words)));
    for (number, pin) in pins.iter().enumerate() {
        // Each question is another: what was typed before the last one is thrown away.
        let question = if number == 0 { "PIN for the TPM (".into() } else { format!("({} tries): ", TRIES - number) };
        screen.answers(&question, pin);
    }
    screen.shows("\n");
    let shown = screen.text();
    (screen.ended(), shown)
}

/// Wrong PINs that a patient TPM takes.
const TRIES: usize = 32;

/// The failures of a test are not to lock the TPM.
fn patient(tpm: &Swtpm) {
    tpm.tool("tpm2_dictionarylockout").args(["-s", "-n", &TRIES.to_string(), "-t", "10", "-l", "10"]).succeed();
}

fn measure(tpm: &Swtpm, pcr: u8, what: &[u8]) {
    let digest: String = Sha256::digest(what).iter().map(|byte| format!("{byte:02x}")).collect();
    tpm.tool("tpm2_pcrextend").arg(format!("{pcr}:sha256={digest}")).succeed();
}

fn luks2() -> Disk {
    Disk::formatted(Maker::Theirs)
}

/// The one line that ours lists.
fn listed(disk: &Disk) -> String {
    let text = disk.cotter(["list"]).succeed().text();
    assert_eq!(text.lines().count(), 1, "{text}");
    text.trim_end().to_owned()
}

#[test]
fn what_systemd_enrols_ours_opens() {
    let mut table = Table::new("systemd-cryptenroll");
    let check = |table: &mut Table, words: &[&str], config: &str| {
        table.row(format!("enrolled with {}, cotter lists and opens", words.join(" ")), || {
            let (tpm, disk) = (Swtpm::start(), luks2());
            tpm.extend(0, 0x11);
            tpm.extend(7, 0x77);
            enroll(&tpm, &disk, words);
            assert_eq!(listed(&disk), format!("1: systemd-tpm2 '{config}'"));
            let before = tpm.left_behind();
            let passphrase = unlock(&tpm, &disk, &["--print-key"]).succeeded().stdout;
            assert!(disk.opens_with(&passphrase));
            assert_eq!(tpm.left_behind(), before, "something was left in the TPM");
            for command in [&["unlock", "-t", "1"][..], &["unlock", "--test-passphrase", "-s", "1"]] {
                tpm.give(disk.cotter(command.iter().copied())).succeed();
            }
            let by_slot = tpm.give(disk.cotter(["pass", "-s", "1"])).succeed().stdout;
            assert_eq!(by_slot, passphrase);
        });
    };
    check(&mut table, &["--tpm2-pcrs=7"], r#"{"pcr_bank":"sha256","pcr_ids":"7"}"#);
    check(&mut table, &["--tpm2-pcrs=0+7"], r#"{"pcr_bank":"sha256","pcr_ids":"0,7"}"#);
    check(&mut table, &["--tpm2-pcrs="], "{}");
    table.row("enrolled by the bank of SHA-1, cotter lists and opens", || {
        let (tpm, disk) = (Swtpm::start(), luks2());
        // systemd takes a bank in which something was measured.
        tpm.tool("tpm2_pcrextend").arg(format!("7:sha1={}", "77".repeat(20))).succeed();
        enroll(&tpm, &disk, &["--tpm2-pcrs=7"]);
        assert_eq!(listed(&disk), r#"1: systemd-tpm2 '{"pcr_bank":"sha1","pcr_ids":"7"}'"#);
        unlock(&tpm, &disk, &["--test-passphrase"]).succeeded();
    });
    table.row("enrolled with a PIN, cotter asks for it and opens", || {
        let (tpm, disk) = (Swtpm::start(), luks2());
        tpm.extend(7, 0x77);
        patient(&tpm);
        enroll(&tpm, &disk, &["--tpm2-pcrs=7", "--tpm2-with-pin=yes"]);
        assert_eq!(listed(&disk), r#"1: systemd-tpm2 '{"pcr_bank":"sha256","pcr_ids":"7","pin":true}'"#);
        let (ended, shown) = unlock_typed(&tpm, &disk, &[], &["wrong", PIN]);
        ended.succeeded();
        assert!(!shown.contains(PIN), "{shown}");
    });
    table.finish();
}

/// A kernel is measured as systemd-stub does it, and systemd-measure vouches for it.
struct Signed {
    directory: tempfile::TempDir,
}

impl Signed {
    fn boot(tpm: &Swtpm) -> Signed {
        let signed = Signed { directory: tempfile::tempdir().unwrap() };
        fs::write(signed.file("kernel"), b"kernel").unwrap();
        for what in [&b".linux\0"[..], b"kernel", b"enter-initrd"] {
            measure(tpm, 11, what);
        }
        let (key, public) = (signed.file("key.pem"), signed.file("public.pem"));
        Program::new("openssl").args(["genrsa", "-out"]).arg(&key).arg("2048").succeed();
        Program::new("openssl").args(["rsa", "-pubout", "-in"]).arg(&key).arg("-out").arg(&public).succeed();
        let option = |name: &str, file: &Path| format!("--{name}={}", file.display());
        let measure = Program::at(Path::new("/lib/systemd/systemd-measure")).args(["sign", "--bank=sha256"]);
        let measure = measure.args(["--phase=enter-initrd".into(), option("linux", &signed.file("kernel"))]);
        let measure = measure.args([option("private-key", &key), option("public-key", &public)]);
        let text = measure.arg(format!("--tpm2-device={}", tpm.place())).succeed().stdout;
        fs::write(signed.signature(), text).unwrap();
        signed
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn signature(&self) -> PathBuf {
        self.file("signature.json")
    }

    fn key_option(&self) -> String {
        format!("--tpm2-public-key={}", self.file("public.pem").display())
    }
}

#[test]
fn what_is_signed_opens() {
    let mut table = Table::new("systemd-measure");
    table.row("enrolled with signed PCR 11, cotter opens by the signature", || {
        let (tpm, disk) = (Swtpm::start(), luks2());
        let signed = Signed::boot(&tpm);
        enroll(&tpm, &disk, &["--tpm2-pcrs=", &signed.key_option()]);
        assert_eq!(listed(&disk), r#"1: systemd-tpm2 '{"pcr_bank":"sha256","signed":{"pcr_ids":"11"}}'"#);
        let words = ["--test-passphrase", "--tpm2-signature", signed.signature().to_str().unwrap()].map(str::to_owned);
        let words = words.each_ref().map(String::as_str);
        unlock(&tpm, &disk, &words).succeeded();
        let pass = tpm.give(disk.cotter(["pass", "-s", "1"]).arg("--tpm2-signature").arg(signed.signature()));
        assert!(disk.opens_with(&pass.run().succeeded().stdout));
        let said = unlock(&tpm, &disk, &["--test-passphrase"]).failed_with(1).said();
        assert!(said.contains("/run/systemd/tpm2-pcr-signature.json"), "{said}");
        let text = fs::read_to_string(signed.signature()).unwrap();
        for (wrong, expected) in [
            (text.replace("\"sig\":\"", "\"sig\":\"AAAA"), "signature"),
            (text.replace("\"pol\":\"", "\"pol\":\"00"), "no signature in"),
            (text.replace("pkfp", "pkfq"), "pkfp"),
            (text.replace("sha256", "sha1"), "no signature in"),
            ("{".to_owned(), "it is not JSON"),
        ] {
            fs::write(signed.signature(), wrong).unwrap();
            let said = unlock(&tpm, &disk, &words).failed_with(1).said();
            assert!(said.contains(expected), "{said}");
        }
        fs::write(signed.signature(), text).unwrap();
        measure(&tpm, 11, b"leave-initrd");
        let said = unlock(&tpm, &disk, &words).failed_with(1).said();
        assert!(said.contains("no signature in") && said.contains("sha256:11"), "{said}");
    });
    table.row("enrolled with signed PCR 11, PCR 7 and a PIN, cotter opens by all of them", || {
        let (tpm, disk) = (Swtpm::start(), luks2());
        let signed = Signed::boot(&tpm);
        tpm.extend(7, 0x77);
        enroll(&tpm, &disk, &["--tpm2-pcrs=7", &signed.key_option(), "--tpm2-with-pin=yes"]);
        let file = signed.signature();
        let words = ["--tpm2-signature", file.to_str().unwrap()];
        unlock_typed(&tpm, &disk, &words, &[PIN]).0.succeeded();
        tpm.extend(7, 1);
        let said = unlock_typed(&tpm, &disk, &words, &[PIN]).0.failed_with(1).said();
        assert!(said.contains("the PCRs sha256:7"), "{said}");
    });
    table.finish();
}

/// Each reason has its word, and a passphrase opens as before.
#[test]
fn what_does_not_fit_is_named() {
    let (tpm, other, disk) = (Swtpm::start(), Swtpm::start(), luks2());
    patient(&tpm);
    tpm.extend(7, 0x77);
    enroll(&tpm, &disk, &["--tpm2-pcrs=7", "--tpm2-with-pin=yes"]);
    let said = unlock(&tpm, &disk, &["--test-passphrase"]).failed_with(1).said();
    assert!(said.contains("nobody can be asked for the PIN"), "{said}");
    let said = unlock_typed(&tpm, &disk, &[], &["1", "2", "3"]).0.failed_with(1).said();
    assert!(said.contains("the PIN is wrong; the TPM takes 29 more"), "{said}");
    let said = unlock_typed(&other, &disk, &[], &[PIN]).0.failed_with(1).said();
    assert!(said.contains("the TPM does not know this object"), "{said}");
    tpm.extend(7, 1);
    let said = unlock_typed(&tpm, &disk, &[], &[PIN]).0.failed_with(1).said();
    assert!(said.contains("the PCRs sha256:7 are not what they were"), "{said}");
    assert!(tpm.left_behind().trim().is_empty(), "{}", tpm.left_behind());
    assert!(disk.opens_with(PASSPHRASE.as_bytes()));
}

/// Up to 253 the parent key is made anew and counted, as Clevis's: that is said before the TPM locks, and for how long it has.
#[test]
fn a_lockout_is_told_before_it_comes_and_then_how_long() {
    let (tpm, disk) = (Swtpm::start(), luks2());
    tpm.extend(7, 0x77);
    enroll(&tpm, &disk, &["--tpm2-pcrs=7"]);
    let told = || unlock(&tpm, &disk, &["--test-passphrase"]);
    tpm.locks_and_it_is_told(&told);
}

/// A binding of Clevis's whose server is down does not stand in the way, nor the other way about.
#[test]
fn both_kinds_are_tried_side_by_side() {
    let (tpm, disk) = (Swtpm::start(), luks2());
    tpm.extend(7, 0x77);
    let keys = KeyDirectory::new(Maker::Ours, Curve::P256);
    let server = Server::start(Maker::Ours, &keys);
    disk.bind(Maker::Ours, "tang", &server.config());
    drop(server);
    enroll(&tpm, &disk, &["--tpm2-pcrs=7"]);
    let text = disk.cotter(["list"]).succeed().text();
    assert_eq!(text.lines().map(|line| &line[..4]).collect::<Vec<_>>(), ["1: t", "2: s"], "{text}");
    unlock(&tpm, &disk, &["--test-passphrase"]).succeeded();
    assert_eq!(disk.cotter(["list", "-p"]).succeed().text(), "systemd-tpm2\ntang");
    let said = disk.cotter(["unbind", "-f", "-s", "2"]).run().failed_with(1).said();
    assert!(said.contains("cotter luks kill -s 2"), "{said}");
    // Nobody but systemd seals it anew.
    let renewal = "systemd-cryptenroll --wipe-slot=tpm2 --tpm2-device=auto --tpm2-pcrs=7 ";
    let said = tpm.give(disk.cotter(["regen", "-q", "-s", "2"])).run().failed_with(1).said();
    assert!(said.contains(&format!("{renewal}{}", disk.path().display())), "{said}");
    let explain = || tpm.give(Program::cotter().args(["tpm", "explain", "-s", "2", "-d"])).arg(disk.path()).run();
    assert!(!explain().succeeded().said().contains("renews"), "it opens");
    tpm.extend(7, 1);
    let explained = explain();
    assert_eq!(explained.status.code(), Some(3));
    let explained = explained.text();
    assert!(explained.contains("PCR 7 moved") && !explained.contains("    was "), "{explained}");
    assert!(explained.contains(&format!("systemd renews it: {renewal}{}", disk.path().display())), "{explained}");
    let said = unlock(&tpm, &disk, &["--test-passphrase", "-s", "2"]).failed_with(1).said();
    assert!(said.contains(&format!("have systemd renew the keyslot: `{renewal}DEVICE`")), "{said}");
    let said = unlock(&tpm, &disk, &["--test-passphrase"]).failed_with(1).said();
    assert!(said.contains("keyslot 1: ") && said.contains("keyslot 2: "), "{said}");
    disk.bind(Maker::Ours, "null", "{}");
    unlock(&tpm, &disk, &["--test-passphrase"]).succeeded();
}

/// Whoever listens on the line hears neither the PIN nor the passphrase, and no more is sent than is documented.
#[test]
fn nothing_secret_is_on_the_line() {
    let (tpm, disk) = (Swtpm::start(), luks2());
    tpm.extend(7, 0x77);
    let codes = |words: &[&str], pin: bool| {
        enroll(&tpm, &disk, &[words, &["--wipe-slot=tpm2"]].concat());
        let line = Eavesdropper::listening(&tpm);
        let program = disk.cotter(["unlock", "--test-passphrase"]).env(TCTI, line.place());
        if pin {
            let mut screen = Screen::start(program);
            screen.answers("PIN for the TPM", PIN);
            screen.ended().succeeded();
        } else {
            program.succeed();
        }
        let heard = line.heard();
        let secrets = [PIN.as_bytes(), &Sha256::digest(PIN)[..]];
        assert!(secrets.iter().all(|secret| !heard.windows(secret.len()).any(|part| part == *secret)));
        line.commands()
    };
    let opening = [CREATE_PRIMARY, START, LOAD, START, FLUSH];
    let pcrs = [&opening[..], &[POLICY_PCR, UNSEAL, FLUSH, GET_CAPABILITY]].concat();
    assert_eq!(codes(&["--tpm2-pcrs=7"], false), pcrs);
    let signed = Signed::boot(&tpm);
    enroll(&tpm, &disk, &["--tpm2-pcrs=", &signed.key_option(), "--wipe-slot=tpm2"]);
    let line = Eavesdropper::listening(&tpm);
    let program = disk.cotter(["unlock", "--test-passphrase"]).arg("--tpm2-signature").arg(signed.signature());
    program.env(TCTI, line.place()).succeed();
    let approved = [POLICY_GET_DIGEST, LOAD_EXTERNAL, VERIFY_SIGNATURE, POLICY_AUTHORIZE, FLUSH];
    assert_eq!(line.commands(), [&opening[..], &[POLICY_PCR], &approved, &[UNSEAL, FLUSH, GET_CAPABILITY]].concat());
    let pin = [POLICY_PCR, POLICY_AUTH_VALUE, UNSEAL, FLUSH, GET_CAPABILITY];
    let with_pin = [&[GET_CAPABILITY][..], &opening, &pin].concat();
    assert_eq!(codes(&["--tpm2-pcrs=7", "--tpm2-with-pin=yes"], true), with_pin);
}

const CREATE_PRIMARY: u32 = 0x131;
const LOAD: u32 = 0x157;
const UNSEAL: u32 = 0x15e;
const FLUSH: u32 = 0x165;
const LOAD_EXTERNAL: u32 = 0x167;
const POLICY_AUTHORIZE: u32 = 0x16a;
const POLICY_AUTH_VALUE: u32 = 0x16b;
const START: u32 = 0x176;
const GET_CAPABILITY: u32 = 0x17a;
const VERIFY_SIGNATURE: u32 = 0x177;
const POLICY_PCR: u32 = 0x17f;
const POLICY_GET_DIGEST: u32 = 0x189;
const READ_PUBLIC: u32 = 0x173;

/// What systemd 257 enrols: under the storage root key that stays in the TPM, the PIN salted. The TPM is the one of the recording.
#[test]
fn what_a_later_systemd_enrolled_opens() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/systemd_257");
    let read = |name: &str| fs::read(directory.join(name)).unwrap();
    let signature = directory.join("signature.json");
    let signature = ["--tpm2-signature", signature.to_str().unwrap()];
    let mut table = Table::new("systemd-cryptenroll 257, recorded");
    for (name, words, pins) in [
        ("pcrs", &[][..], &[][..]),
        ("signed", &signature, &[]),
        ("pin", &[], &["1234"]),
        ("all", &signature, &["1234"]),
    ] {
        table.row(format!("the vector {name}, cotter opens"), || {
            let (tpm, disk) = (Swtpm::with_state(&read("tpm.state")), luks2());
            measure(&tpm, 7, b"secure boot");
            for what in [&b".linux\0"[..], b"kernel", b"enter-initrd"] {
                measure(&tpm, 11, what);
            }
            disk.add(Maker::Theirs, &String::from_utf8(read(&format!("{name}.passphrase"))).unwrap(), &[]);
            import(&disk, &read(&format!("{name}.json")));
            if pins.is_empty() {
                let line = Eavesdropper::listening(&tpm);
                disk.cotter(["unlock", "--test-passphrase"]).args(words).env(TCTI, line.place()).succeed();
                // One less to flush: the storage root key stays where it is.
                assert_eq!(line.commands()[..4], [READ_PUBLIC, START, LOAD, START]);
                assert_eq!(line.commands().iter().filter(|code| **code == FLUSH).count(), 1 + words.len() / 2);
            } else {
                unlock_typed(&tpm, &disk, words, pins).0.succeeded();
            }
            // A token cannot name another key than the TPM has: nothing secret is sent to it.
            let mut token: Value = serde_json::from_slice(&read(&format!("{name}.json"))).unwrap();
            let srk = token["tpm2_srk"].as_str().unwrap().replacen("gQAAAQAiAAuR", "gQAAAQAiAAuS", 1);
            assert_ne!(token["tpm2_srk"], srk);
            token["tpm2_srk"] = srk.into();
            disk.cryptsetup(["token", "remove", "--token-id", "0"]).succeed();
            import(&disk, token.to_string().as_bytes());
            let said = match pins {
                [] => unlock(&tpm, &disk, &[&["--test-passphrase"], words].concat()).failed_with(1).said(),
                _ => unlock_typed(&tpm, &disk, words, pins).0.failed_with(1).said(),
            };
            assert!(said.contains("the TPM's parent key is not the one"), "{said}");
        });
    }
    table.finish();
}

fn import(disk: &Disk, token: &[u8]) {
    disk.cotter(["token", "import"]).input(token).succeed();
}

/// What only systemd opens is listed and named, with what opens it.
#[test]
fn what_is_not_opened_is_named() {
    let tpm2 = |more: Value| {
        let mut token = json!({"type": "systemd-tpm2", "keyslots": ["0"], "tpm2-blob": "AAA=", "tpm2-pcrs": [7]});
        token.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        token
    };
    let fido2 = json!({"type": "systemd-fido2", "keyslots": ["0"], "fido2-credential": "", "fido2-salt": ""});
    let pkcs11 = json!({"type": "systemd-pkcs11", "keyslots": ["0"], "pkcs11-uri": "", "pkcs11-key": ""});
    for (token, name, why, option) in [
        (fido2, "systemd-fido2", "a security key (FIDO2), which is not used here", "fido2-device=auto"),
        (pkcs11, "systemd-pkcs11", "a smart card (PKCS#11), which is not used here", "pkcs11-uri=auto"),
        (
            tpm2(json!({"tpm2_pcrlock": true, "tpm2_pcrlock_nv": ""})),
            "systemd-tpm2",
            "the TPM by a policy of systemd-pcrlock, which is not followed here",
            "tpm2-device=auto",
        ),
        (
            tpm2(json!({"tpm2-blob": ["AAA=", "AAA="]})),
            "systemd-tpm2",
            "the TPM in several parts, which are not put together here",
            "tpm2-device=auto",
        ),
        (
            tpm2(json!({"tpm2_new": 1})),
            "systemd-tpm2",
            "a later systemd has enrolled the TPM in a form that is not known here",
            "tpm2-device=auto",
        ),
    ] {
        let disk = luks2();
        import(&disk, token.to_string().as_bytes());
        let line = listed(&disk);
        assert!(line.starts_with(&format!("0: {name} (")) && line.ends_with(&format!("{why})")), "{line}");
        let said = disk.cotter(["unlock", "--test-passphrase"]).run().failed_with(1).said();
        let hint = format!("`systemd-cryptsetup attach NAME DEVICE - {option}`");
        assert!(said.contains(&format!("{why}\n")) && said.contains(&hint), "{token}: {said}");
        assert!(disk.opens_with(PASSPHRASE.as_bytes()));
    }
}

/// A token that is damaged is no later systemd's, and no TPM's fault.
#[test]
fn a_damaged_token_is_named() {
    for (member, value, expected) in
        [("tpm2-blob", json!("AAA="), "what the TPM sealed is not in it"), ("tpm2-pcrs", json!([24]), "token.tpm2-")]
    {
        let disk = luks2();
        let mut token = json!({"type": "systemd-tpm2", "keyslots": ["0"], "tpm2-blob": "AAA=", "tpm2-pcrs": [7]});
        token[member] = value;
        import(&disk, token.to_string().as_bytes());
        let list = disk.cotter(["list"]).succeed();
        assert!(format!("{}{}", list.text(), list.said()).contains("systemd"), "{}", list.said());
        let said = disk.cotter(["unlock", "--test-passphrase"]).run().failed_with(1).said();
        assert!(said.contains(expected) || member == "tpm2-pcrs", "{token}: {said}");
        assert!(disk.opens_with(PASSPHRASE.as_bytes()));
    }
}

/// A recovery key of ours is one of systemd's: its token, its form; and the other way about.
#[test]
fn recovery_keys_are_systemds() {
    let mut table = Table::new("systemd recovery keys");
    table.row("cotter makes a recovery key, systemd-cryptenroll lists it, cryptsetup opens by it", || {
        let disk = luks2();
        let program = disk.cotter(["add", "--recovery"]).arg("-k").arg(disk.passphrase_file());
        let key = program.succeed().text();
        assert!(disk.opens_with(key.trim_end().as_bytes()), "{key}");
        let slots = Program::new("systemd-cryptenroll").arg(disk.path()).succeed().text();
        assert!(slots.lines().any(|line| line.split_whitespace().eq(["1", "recovery"])), "{slots}");
        assert_eq!(listed(&disk), "1: systemd-recovery (a recovery key, which a person types)");
        assert!(!fs::read(disk.path()).unwrap().windows(17).any(|part| part == &key.as_bytes()[..17]));
    });
    table.row("systemd-cryptenroll makes a recovery key, cotter lists it and opens by it", || {
        let disk = luks2();
        let program = Program::new("systemd-cryptenroll").arg("--recovery-key");
        let program = program.arg(format!("--unlock-key-file={}", disk.passphrase_file().display()));
        let key = program.arg(disk.path()).succeed().text().trim().to_owned();
        assert!(disk.opens_for_us(key.as_bytes()) && disk.opens_for_us(key.replace('-', "").as_bytes()), "{key}");
        assert_eq!(listed(&disk), "1: systemd-recovery (a recovery key, which a person types)");
        assert!(disk.cotter(["unbind", "-f", "-s", "1"]).run().failed_with(1).said().contains("not bound"));
        // The person's own slot may go: this one is a person's too.
        disk.cotter(["kill", "-q", "-s", "0"]).succeed();
        assert!(!disk.cotter(["kill", "-q", "-s", "1"]).run().status.success());
    });
    table.finish();
}
