//! `cotter tpm` and `cotter luks reseal`: machines that boot recorded logs into a TPM made of software.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::disk::PASSPHRASE;
use compliance::swtpm::TCTI;
use compliance::{Disk, Ended, Maker, Program, Swtpm, Table};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

const GRUB: &str = "ovmf_grub";
/// The same with one line more in GRUB's script.
const OTHER_SCRIPT: &str = "ovmf_grub_other_script";

fn vector(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/tpm2/vectors/event_log").join(name)
}

fn log(name: &str) -> PathBuf {
    vector(&format!("{name}.log"))
}

/// What a real TPM held after the boot that wrote the log.
fn recorded(name: &str, pcr: u64) -> String {
    let text = fs::read_to_string(vector(&format!("{name}.pcrs"))).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("sha256 {pcr} ")).map(str::to_owned));
    line.unwrap()
}

fn json(ended: &Ended) -> Value {
    serde_json::from_slice(&ended.stdout).unwrap_or_else(|why| panic!("{why}: {}", ended.text()))
}

fn cotter(tpm: &Swtpm, words: &[&str]) -> Program {
    tpm.give(Program::cotter().args(words))
}

fn status(tpm: &Swtpm, name: &str) -> Value {
    json(&cotter(tpm, &["tpm", "status", "--json", "--log"]).arg(log(name)).succeed())
}

/// Extends the PCRs of a TPM that was just started as this boot has.
fn boot(tpm: &Swtpm, name: &str) {
    tpm.boot(&log(name));
}

fn booted(name: &str) -> Swtpm {
    let tpm = Swtpm::start();
    boot(&tpm, name);
    tpm
}

fn reboot(tpm: &mut Swtpm, name: &str) {
    tpm.restart();
    boot(tpm, name);
}

fn bind(tpm: &Swtpm, disk: &Disk, pin: &str, config: &str) {
    let words = ["luks", "bind", "-y", "-s", "1", "-k"];
    let program = cotter(tpm, &words).arg(disk.passphrase_file()).arg("-d").arg(disk.path());
    program.args([pin, config]).succeed();
}

fn opens(tpm: &Swtpm, disk: &Disk) -> bool {
    cotter(tpm, &["luks", "pass", "-s", "1", "-d"]).arg(disk.path()).run().status.success()
}

fn reseal(tpm: &Swtpm, disk: &Disk, name: &str, words: &[&str]) -> Program {
    cotter(tpm, &["luks", "reseal", "--log"]).arg(log(name)).arg("-d").arg(disk.path()).args(words)
}

/// GRUB's script as it will be.
fn script() -> String {
    format!("/grub.cfg={}", vector("grub_other_script.cfg").display())
}

#[test]
fn status_says_what_the_tpm_is_and_what_the_log_explains() {
    let tpm = booted(GRUB);
    let found = status(&tpm, GRUB);
    assert_eq!(found["identity"]["manufacturer"], "IBM");
    assert_eq!(found["identity"]["kind"], "software");
    assert_eq!(found["tpm"]["why"], TCTI);
    assert_eq!(found["protection"]["locked_out"], false);
    assert!(found["banks"].as_array().unwrap().contains(&"sha256".into()));
    for pcr in found["pcrs"].as_array().unwrap() {
        let number = pcr["pcr"].as_u64().unwrap();
        // What the kernel itself measured came after the log.
        if number != 10 {
            assert_ne!(pcr["explained"], "no", "{pcr}");
            assert_eq!(pcr["value"], recorded(GRUB, number), "{number}");
        }
    }
    let text = cotter(&tpm, &["tpm", "status", "-v", "--log"]).arg(log(GRUB)).succeed().text();
    for words in ["firmware", "a virtual TPM protects from nobody who reads its host", "the file /vmlinuz", "lockout"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    tpm.extend(7, 1);
    let text = cotter(&tpm, &["tpm", "status", "--log"]).arg(log(GRUB)).succeed().text();
    assert_eq!(text.matches("the log does not explain this PCR").count(), 1, "{text}");
    assert_eq!(tpm.left_behind(), "");
}

#[test]
fn without_a_log_with_half_of_one_and_without_a_tpm_it_says_what_there_is() {
    let tpm = Swtpm::start();
    let folder = tempfile::tempdir().unwrap();
    let half = folder.path().join("log");
    fs::write(&half, &fs::read(log(GRUB)).unwrap()[..3000]).unwrap();
    let end = |path: &Path| {
        let ended = cotter(&tpm, &["tpm", "status", "--json", "--log"]).arg(path).succeed();
        json(&ended)["log"]["end"].as_str().unwrap().to_owned()
    };
    assert_eq!(end(&half), "truncated");
    fs::write(&half, "").unwrap();
    assert_eq!(end(&half), "absent");
    cotter(&tpm, &["tpm", "status", "--log", "/no/such/log"]).run().failed_with(1);
    let none = Program::cotter().args(["tpm", "status"]).env(TCTI, "swtpm:host=127.0.0.1,port=1").run().failed_with(1);
    assert!(none.text().contains("log "), "{}", none.text());
    Program::cotter().args(["tpm", "status"]).env(TCTI, "tabrmd:").run().failed_with(1);
    cotter(&tpm, &["tpm", "predict", "--log"]).arg(&half).run().failed_with(1);
}

/// What is predicted is what the recorded second boot held.
#[test]
fn predict_gives_the_values_of_a_boot_that_was_recorded() {
    let tpm = booted(GRUB);
    let predict = |words: &[&str]| cotter(&tpm, &["tpm", "predict", "--json", "--log"]).arg(log(GRUB)).args(words);
    let found = json(&predict(&["--file", &script(), "--pcrs", "4,7,9"]).succeed());
    for pcr in [4, 7, 9] {
        assert_eq!(found["accept"][0][pcr.to_string()], recorded(OTHER_SCRIPT, pcr), "{pcr}");
    }
    assert_eq!(found["moves"].to_string(), "[9]");
    let ended = predict(&["--file", &script(), "--pcrs", "8,9"]).run();
    assert_eq!(ended.status.code(), Some(3), "{ended:?}");
    assert!(json(&ended)["unpredictable"]["8"].as_str().unwrap().contains("not known"));
    let missing = predict(&["--uki", "/bin/sh"]).run().failed_with(1).said();
    assert!(missing.contains("nothing like sh is in the log"), "{missing}");
    // The forms that are printed are those that a binding takes.
    let disk = Disk::formatted(Maker::Ours);
    let config = format!(
        r#"{{"pcr_bank":"sha256","pcr_ids":"{}","pcr_digest":"{}","accept":{}}}"#,
        found["pcr_ids"].as_str().unwrap(),
        found["pcr_digest"].as_str().unwrap(),
        json(&predict(&["--pcrs", "4,7,9"]).succeed())["accept"]
    );
    bind(&tpm, &disk, "cotter-tpm2", &config);
    assert!(opens(&tpm, &disk));
}

#[test]
fn explain_names_the_pcr_and_the_event() {
    let mut table = Table::new("tpm explain");
    for (pin, config) in [
        ("cotter-tpm2", r#"{"pcr_ids":"7,9"}"#),
        ("cotter-tpm2", r#"{"key":"ecc256","pcr_ids":"7,9"}"#),
        ("tpm2", r#"{"pcr_bank":"sha256","pcr_ids":"7,9"}"#),
        ("sss", r#"{"t":1,"pins":{"null":{},"cotter-tpm2":{"pcr_ids":"7,9"}}}"#),
    ] {
        table.row(format!("{pin} {config}"), || {
            let mut tpm = booted(GRUB);
            let disk = Disk::formatted(Maker::Ours);
            bind(&tpm, &disk, pin, config);
            let explain = |tpm: &Swtpm, name: &str| {
                let words = ["tpm", "explain", "-s", "1", "--json", "--log"];
                cotter(tpm, &words).arg(log(name)).arg("-d").arg(disk.path()).run()
            };
            let now = explain(&tpm, GRUB).succeeded();
            assert_eq!(json(&now)["state"], "holds");
            tpm.extend(9, 1);
            let later = explain(&tpm, GRUB);
            assert_eq!(later.status.code(), Some(3));
            let moved = &json(&later)["moved"][0];
            assert_eq!((&moved["pcr"], &moved["because"]), (&Value::from(9), &Value::from("later")));
            assert_eq!(moved["was"], recorded(GRUB, 9));
            reboot(&mut tpm, OTHER_SCRIPT);
            let other = explain(&tpm, OTHER_SCRIPT);
            assert_eq!(other.status.code(), Some(3));
            assert_eq!(json(&other)["state"], "moved", "{}", other.text());
            assert!(other.text().contains("grub.cfg"), "{}", other.text());
        });
    }
    table.row("the original's binding has a digest alone", || {
        let mut tpm = booted(GRUB);
        let disk = Disk::formatted(Maker::Ours);
        let bind = tpm.give(Program::new("clevis").args(["luks", "bind", "-y", "-s", "1", "-k"]));
        let bind = bind.arg(disk.passphrase_file()).arg("-d").arg(disk.path());
        bind.args(["tpm2", r#"{"pcr_bank":"sha256","pcr_ids":"7,9"}"#]).succeed();
        let explain = |tpm: &Swtpm, name: &str| {
            let words = ["tpm", "explain", "-s", "1", "--json", "--log"];
            json(&cotter(tpm, &words).arg(log(name)).arg("-d").arg(disk.path()).run())
        };
        assert_eq!(explain(&tpm, GRUB)["state"], "holds");
        tpm.extend(7, 1);
        let later = explain(&tpm, GRUB);
        assert_eq!((&later["state"], &later["moved"][0]["pcr"]), (&"moved".into(), &7.into()), "{later}");
        reboot(&mut tpm, OTHER_SCRIPT);
        assert_eq!(explain(&tpm, OTHER_SCRIPT)["state"], "unnamed");
    });
    table.row("systemd-cryptenroll enrols PCRs", || {
        let tpm = booted(GRUB);
        let disk = Disk::formatted(Maker::Ours);
        let place = tpm.place();
        let enrol = Program::new("systemd-cryptenroll").env("PASSWORD", PASSPHRASE);
        let device = format!("--tpm2-device={place}");
        enrol.args([device.as_str(), "--tpm2-pcrs=7+9"]).arg(disk.path()).succeed();
        let explain = || {
            let words = ["tpm", "explain", "-s", "1", "--json", "--log"];
            cotter(&tpm, &words).arg(log(GRUB)).arg("-d").arg(disk.path()).run()
        };
        assert_eq!(json(&explain().succeeded())["state"], "holds");
        tpm.extend(9, 1);
        let later = explain();
        assert_eq!(later.status.code(), Some(3));
        assert_eq!(json(&later)["moved"][0]["pcr"], 9, "{}", later.text());
    });
    table.row("nothing that the TPM decides", || {
        let tpm = Swtpm::start();
        let disk = Disk::formatted(Maker::Ours);
        bind(&tpm, &disk, "null", "{}");
        cotter(&tpm, &["tpm", "explain", "-s", "1", "-d"]).arg(disk.path()).run().failed_with(1);
    });
    table.finish();
}

/// One wrong try, and one is too many.
fn lock(tpm: &Swtpm) {
    let folder = tempfile::tempdir().unwrap();
    let (parent, child) = (folder.path().join("parent"), folder.path().join("child"));
    tpm.tool("tpm2_dictionarylockout").args(["-s", "-n", "1", "-t", "1000", "-l", "1000"]).succeed();
    tpm.tool("tpm2_createprimary").args(["-Q", "-C", "o", "-p", "word", "-c"]).arg(&parent).succeed();
    let wrong = tpm.tool("tpm2_create").args(["-Q", "-P", "wrong", "-C"]).arg(&parent).arg("-u").arg(&child);
    assert!(!wrong.run().status.success());
    tpm.tool("tpm2_flushcontext").arg("-t").succeed();
}

/// What no PCR tells: another TPM, a locked one, a counter that has passed. And a PIN, which is not tried.
#[test]
fn explain_looks_at_the_tpm_too() {
    let mut table = Table::new("tpm explain: the TPM");
    let explain = |tpm: &Swtpm, disk: &Disk| {
        let ended = cotter(tpm, &["tpm", "explain", "-s", "1", "--json", "-d"]).arg(disk.path()).run();
        (ended.status.code(), json(&ended)["state"].as_str().unwrap().to_owned())
    };
    let shut = |state: &str| (Some(3), state.to_owned());
    for (pin, config, locked) in [
        ("tpm2", "{}", "locked-out"),
        ("tpm2", r#"{"pcr_bank":"sha256","pcr_ids":"7"}"#, "locked-out"),
        ("cotter-tpm2", r#"{"pcr_ids":"7"}"#, "holds"),
    ] {
        table.row(format!("{pin} {config}"), || {
            let tpm = Swtpm::start();
            let disk = Disk::formatted(Maker::Ours);
            bind(&tpm, &disk, pin, config);
            assert_eq!(explain(&tpm, &disk).0, Some(0));
            let other = Swtpm::start();
            assert_eq!(explain(&other, &disk), shut("other-tpm"));
            other.extend(7, 1);
            assert_eq!(explain(&other, &disk), shut("other-tpm"), "no story of what moved");
            assert_eq!((tpm.left_behind(), other.left_behind()), (String::new(), String::new()));
            lock(&tpm);
            assert_eq!(explain(&tpm, &disk).1, locked);
            assert_eq!(explain(&tpm, &disk).0 == Some(0), opens(&tpm, &disk));
        });
    }
    table.row("systemd's", || {
        let tpm = Swtpm::start();
        let disk = Disk::formatted(Maker::Ours);
        let device = format!("--tpm2-device={}", tpm.place());
        let enrol = Program::new("systemd-cryptenroll").env("PASSWORD", PASSPHRASE);
        enrol.args([device.as_str(), "--tpm2-pcrs=7"]).arg(disk.path()).succeed();
        assert_eq!(explain(&tpm, &disk), (Some(0), "holds".to_owned()));
        assert_eq!(explain(&Swtpm::start(), &disk), shut("other-tpm"));
        lock(&tpm);
        assert_eq!(explain(&tpm, &disk), shut("locked-out"));
    });
    table.row("a counter that has passed", || {
        let tpm = Swtpm::start();
        let disk = Disk::formatted(Maker::Ours);
        bind(&tpm, &disk, "cotter-tpm2", r#"{"counter":true}"#);
        assert_eq!(explain(&tpm, &disk).0, Some(0));
        let indices = tpm.tool("tpm2_getcap").arg("handles-nv-index").succeed().text();
        let index = indices.split_whitespace().find(|word| word.starts_with("0x")).unwrap().to_owned();
        tpm.tool("tpm2_nvincrement").args(["-C", "o", &index]).succeed();
        assert_eq!(explain(&tpm, &disk), shut("counter-passed"));
        tpm.tool("tpm2_nvundefine").args(["-C", "o", &index]).succeed();
        assert_eq!(explain(&tpm, &disk), shut("no-counter"));
    });
    table.finish();
}

/// A boot of which there is no log has no story either.
#[test]
fn without_a_log_explain_says_that_there_is_none() {
    let tpm = Swtpm::start();
    let disk = Disk::formatted(Maker::Ours);
    bind(&tpm, &disk, "cotter-tpm2", r#"{"pcr_ids":"7"}"#);
    tpm.extend(7, 1);
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("log");
    let explain = |content: &str| {
        fs::write(&empty, content).unwrap();
        let explain = cotter(&tpm, &["tpm", "explain", "-s", "1", "--json", "--log"]).arg(&empty);
        explain.arg("-d").arg(disk.path()).run()
    };
    let ended = explain("");
    assert_eq!(ended.status.code(), Some(3));
    assert_eq!(json(&ended)["moved"][0]["because"], "no-log", "{}", ended.text());
    // One that was named has to be one.
    let said = explain("root:x:0:0:root:/root:/bin/bash\n").failed_with(1).said();
    assert!(said.contains("is no log of a boot"), "{said}");
}

/// Before the update both boots are accepted, afterwards the new one alone.
#[test]
fn values_of_its_own_are_resealed_before_an_update_and_dropped_after_it() {
    let mut tpm = booted(GRUB);
    let disk = Disk::formatted(Maker::Ours);
    bind(&tpm, &disk, "cotter-tpm2", r#"{"pcr_ids":"4,7,9"}"#);
    let before = fs::read(disk.path()).unwrap();
    let would = reseal(&tpm, &disk, GRUB, &["--file", &script(), "--dry-run", "--json"]).succeed();
    assert!(would.text().contains("would"), "{}", would.text());
    assert!(before == fs::read(disk.path()).unwrap(), "a plan writes nothing");
    reseal(&tpm, &disk, GRUB, &["--file", &script()]).succeed();
    assert!(opens(&tpm, &disk), "the old boot");
    let again = reseal(&tpm, &disk, GRUB, &["--file", &script()]).succeed();
    assert!(again.said().contains("accepts these values already"), "{}", again.said());
    reboot(&mut tpm, OTHER_SCRIPT);
    assert!(opens(&tpm, &disk), "the new boot");
    reseal(&tpm, &disk, OTHER_SCRIPT, &["--drop-old"]).succeed();
    assert!(opens(&tpm, &disk));
    reboot(&mut tpm, GRUB);
    assert!(!opens(&tpm, &disk), "the old boot opens no more");
    let none = reseal(&tpm, &disk, GRUB, &["--drop-old"]).run().failed_with(1).said();
    assert!(none.contains("nothing is dropped\n  try: "), "{none}");
    assert!(!none.contains('\u{fffd}'), "{none}");
    // With a passphrase the way back is open.
    let key = disk.passphrase_file();
    reseal(&tpm, &disk, GRUB, &["-k", key.to_str().unwrap()]).succeed();
    assert!(opens(&tpm, &disk));
    let refused = reseal(&tpm, &disk, GRUB, &["--kernel", "/bin/cat", "-s", "0"]).run().failed_with(1);
    assert!(refused.said().contains("no binding here compares PCRs"), "{}", refused.said());
}

/// Whoever has the key approves without unsealing; a counter makes copies of old approvals worthless.
#[test]
fn a_signed_binding_is_resealed_by_its_key_alone() {
    let mut tpm = booted(GRUB);
    let disk = Disk::formatted(Maker::Ours);
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("pcrs.jwk");
    let public = cotter(&tpm, &["tpm", "keygen"]).arg(&key).succeed().text();
    assert!(!public.contains("\"d\""), "{public}");
    let key = key.to_str().unwrap().to_owned();
    let config = format!(r#"{{"pcr_ids":"4,7,9","latch":true,"counter":true,"signed":{{"key":{public}}}}}"#);
    bind(&tpm, &disk, "cotter-tpm2", &config);
    assert!(!opens(&tpm, &disk), "nothing is approved yet");
    let unsigned = reseal(&tpm, &disk, GRUB, &[]).run().failed_with(1);
    assert!(unsigned.said().contains("--sign"), "{}", unsigned.said());
    reseal(&tpm, &disk, GRUB, &["--sign", &key, "-y"]).succeed();
    assert!(opens(&tpm, &disk));
    cotter(&tpm, &["tpm", "latch"]).succeed();
    assert!(!opens(&tpm, &disk));
    let would = reseal(&tpm, &disk, GRUB, &["--sign", &key, "--file", &script(), "--dry-run"]).succeed();
    assert!(would.said().contains("would be: 1 approved"), "{}", would.said());
    reseal(&tpm, &disk, GRUB, &["--sign", &key, "--file", &script()]).succeed();
    let copy = fs::read(disk.path()).unwrap();
    reboot(&mut tpm, OTHER_SCRIPT);
    assert!(opens(&tpm, &disk), "the boot that was predicted");
    let dropped = reseal(&tpm, &disk, OTHER_SCRIPT, &["--sign", &key, "--drop-old", "--revoke"]).succeed();
    assert!(dropped.said().contains("older approvals open nothing"), "{}", dropped.said());
    assert!(opens(&tpm, &disk), "what holds now was approved anew");
    reboot(&mut tpm, GRUB);
    assert!(!opens(&tpm, &disk));
    fs::write(disk.path(), copy).unwrap();
    assert!(!opens(&tpm, &disk), "the counter has passed the copy");
    let explained = cotter(&tpm, &["tpm", "explain", "-s", "1", "--json", "-d"]).arg(disk.path()).run();
    assert_eq!(json(&explained)["state"], "approval-passed");
    // Another binding, by another key, does not keep this one from being approved.
    let stranger = folder.path().join("other.jwk");
    cotter(&tpm, &["tpm", "keygen"]).arg(&stranger).succeed();
    let wrong = reseal(&tpm, &disk, GRUB, &["--sign", stranger.to_str().unwrap()]).run().failed_with(1);
    assert!(wrong.said().contains("signed by another key"), "{}", wrong.said());
    let config = format!(r#"{{"pcr_ids":"9","signed":{{"key":"{}"}}}}"#, stranger.display());
    let bind = cotter(&tpm, &["luks", "bind", "-y", "-s", "2", "-k"]).arg(disk.passphrase_file());
    bind.arg("-d").arg(disk.path()).args(["cotter-tpm2", &config]).succeed();
    let one = reseal(&tpm, &disk, GRUB, &["--sign", stranger.to_str().unwrap(), "-y"]).run().failed_with(1).said();
    assert!(one.contains("keyslot 2: 1 approved") && one.contains("keyslot 1 is signed by another key"), "{one}");
    let pass = cotter(&tpm, &["luks", "pass", "-s", "2", "-d"]).arg(disk.path());
    pass.succeed();
}

/// Old approvals that somebody has put back, or that a volume of long ago has, do not come to life by being resealed; those that are good stay so.
#[test]
fn what_was_revoked_is_not_signed_anew() {
    let mut tpm = booted(GRUB);
    let disk = Disk::formatted(Maker::Ours);
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("pcrs.jwk");
    cotter(&tpm, &["tpm", "keygen"]).arg(&key).succeed();
    let key = key.to_str().unwrap().to_owned();
    bind(&tpm, &disk, "cotter-tpm2", &format!(r#"{{"pcr_ids":"9","counter":true,"signed":{{"key":"{key}"}}}}"#));
    let sign = |tpm: &Swtpm, name: &str, words: &[&str]| {
        let words = [&["--sign", key.as_str()], words].concat();
        reseal(tpm, &disk, name, &words).succeed().said()
    };
    sign(&tpm, GRUB, &["-y"]);
    sign(&tpm, GRUB, &["--file", &script()]);
    let both = fs::read(disk.path()).unwrap();
    sign(&tpm, GRUB, &["--drop-old", "--revoke"]);
    fs::write(disk.path(), both).unwrap();
    let said = sign(&tpm, GRUB, &["-y"]);
    assert!(said.contains("keyslot 1: 1 approved, 2 dropped"), "{said}");
    assert!(said.contains("the counter had passed 1 of those dropped: revoked, and not signed anew"), "{said}");
    assert!(opens(&tpm, &disk), "the boot that runs");
    reboot(&mut tpm, OTHER_SCRIPT);
    assert!(!opens(&tpm, &disk), "the one that was revoked");
    // Whoever means it names it again; and what is good goes on with the counter.
    reboot(&mut tpm, GRUB);
    sign(&tpm, GRUB, &["--file", &script()]);
    let said = sign(&tpm, GRUB, &["--revoke"]);
    assert!(said.contains("keyslot 1: 2 approved, 2 dropped") && !said.contains("passed"), "{said}");
    for name in [OTHER_SCRIPT, GRUB] {
        reboot(&mut tpm, name);
        assert!(opens(&tpm, &disk), "{name}");
    }
}

/// The original's form is told about and left alone.
#[test]
fn the_originals_binding_is_told_about() {
    let tpm = booted(GRUB);
    let disk = Disk::formatted(Maker::Ours);
    bind(&tpm, &disk, "tpm2", r#"{"pcr_bank":"sha256","pcr_ids":"9"}"#);
    let before = fs::read(disk.path()).unwrap();
    let told = reseal(&tpm, &disk, GRUB, &["--file", &script()]).succeed();
    assert!(told.said().contains("PCR 9 moves") && told.said().contains("cotter luks regen -d"), "{}", told.said());
    let told = reseal(&tpm, &disk, GRUB, &[]).succeed();
    assert!(told.said().contains("not touched"), "{}", told.said());
    assert!(before == fs::read(disk.path()).unwrap());
    // One that does not open is told about, and the others of the volume are not forgotten for it.
    let more = cotter(&tpm, &["luks", "bind", "-y", "-s", "2", "-k"]).arg(disk.passphrase_file());
    more.arg("-d").arg(disk.path()).args(["cotter-tpm2", r#"{"pcr_ids":"9"}"#]).succeed();
    tpm.extend(9, 1);
    let told = reseal(&tpm, &disk, GRUB, &[]).run().said();
    let words = ["keyslot 1 (tpm2) does not open now: PCR 9 moved", "cotter luks regen -d", "-s 1 -k -", "keyslot 2 "];
    assert!(words.iter().all(|words| told.contains(words)), "{told}");
}

/// What systemd has enrolled systemd renews.
#[test]
fn systemds_keyslot_is_told_about() {
    let tpm = booted(GRUB);
    let disk = Disk::formatted(Maker::Ours);
    let device = format!("--tpm2-device={}", tpm.place());
    let enrol = Program::new("systemd-cryptenroll").env("PASSWORD", PASSPHRASE);
    enrol.args([device.as_str(), "--tpm2-pcrs=7"]).arg(disk.path()).succeed();
    let told = reseal(&tpm, &disk, GRUB, &[]).succeed().said();
    assert!(told.contains("systemd-cryptenroll --wipe-slot=tpm2"), "{told}");
}
