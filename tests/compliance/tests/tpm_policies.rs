//! The pin `cotter-tpm2` on disks: what it opens, what clevis makes of it, and that a person's passphrase is never touched.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::disk::PASSPHRASE;
use compliance::swtpm::{Eavesdropper, TCTI};
use compliance::{Disk, Ended, Maker, Program, Screen, Swtpm, Table, Version};

const PIN: &str = "cotter-tpm2";
const PLAINTEXT: &[u8] = b"a plaintext\0with \xff bytes\n";

fn luks(tpm: &Swtpm, disk: &Disk, command: &str, words: &[&str]) -> Program {
    tpm.give(disk.cotter([command]).args(words))
}

fn pass(tpm: &Swtpm, disk: &Disk, slot: &str) -> Ended {
    luks(tpm, disk, "pass", &["-s", slot]).run()
}

fn bind(tpm: &Swtpm, disk: &Disk, config: &str) {
    tpm.give(disk.bind_program(Maker::Ours, PIN, config)).succeed();
}

fn everything(version: Version) -> Vec<String> {
    let accept = format!(r#"[{{"7":"{}"}}]"#, "ab".repeat(32));
    let mut configs = vec![
        "{}".to_owned(),
        r#"{"key":"rsa","pcr_ids":"7"}"#.into(),
        format!(r#"{{"pcr_ids":"7","accept":{accept},"latch":15,"counter":true}}"#),
    ];
    configs.extend((version == Version::Luks2).then(|| r#"{"pcr_bank":"sha1","pcr_ids":[0,7],"latch":true}"#.into()));
    configs
}

/// List, pass, unlock, regen, edit, report and unbind, on both versions.
#[test]
fn a_disk_lives_with_it() {
    let mut table = Table::new("cotter-tpm2 on a disk");
    for version in Version::BOTH {
        for config in everything(version) {
            table.row(format!("{version}, {config}"), || {
                let tpm = Swtpm::start();
                let disk = Disk::of(Maker::Theirs, version);
                bind(&tpm, &disk, &config);
                let first = pass(&tpm, &disk, "1").succeeded().stdout;
                assert!(disk.opens_with(&first));
                luks(&tpm, &disk, "list", &["-s", "1", "--expect", PIN, &config]).succeed();
                luks(&tpm, &disk, "regen", &["-q", "-s", "1"]).succeed();
                let second = pass(&tpm, &disk, "1").succeeded().stdout;
                assert!(disk.opens_with(&second) && !disk.opens_with(&first));
                assert_eq!(luks(&tpm, &disk, "unlock", &["--print-key"]).succeed().stdout, second);
                luks(&tpm, &disk, "report", &["-s", "1"]).succeed();
                luks(&tpm, &disk, "edit", &["-f", "-s", "1", "-c", r#"{"pcr_ids":"4","latch":14}"#]).succeed();
                assert!(disk.list(Maker::Ours).contains(r#""pcr_ids":"4","latch":14"#));
                luks(&tpm, &disk, "unbind", &["-f", "-s", "1"]).succeed();
                disk.assert_opens(&[PASSPHRASE], &[]);
            });
        }
    }
    table.finish();
}

/// Between the opening of a binding and the sealing of the one that takes its place somebody puts another TPM there: it hears nothing. Where
/// the old one is not opened, because the TPM is a new one, that is believed and said.
#[test]
fn a_tpm_that_is_swapped_while_a_binding_is_made_anew_is_told_nothing() {
    const BELIEVED: &str = "nothing from before vouches for the TPM's parent key";
    let mut table = Table::new("a swapped TPM when a binding is made anew");
    let shared = format!(r#"{{"t":1,"pins":{{"{PIN}":{{"pcr_ids":"7"}}}}}}"#);
    for (pin, config, words) in [
        (PIN, r#"{"pcr_ids":"7"}"#, &["regen", "-q"][..]),
        (PIN, r#"{"key":"rsa"}"#, &["regen", "-q"]),
        (PIN, r#"{"pcr_ids":"7"}"#, &["edit", "-f", "-c", r#"{"pcr_ids":"4"}"#]),
        ("sss", &shared, &["regen", "-q"]),
    ] {
        table.row(format!("{pin} {config}, {}", words[0]), || {
            let (tpm, other) = (Swtpm::start(), Swtpm::start());
            let disk = Disk::of(Maker::Theirs, Version::Luks2);
            tpm.give(disk.bind_program(Maker::Ours, pin, config)).succeed();
            let anew = |place: String| disk.cotter(words.iter().copied()).args(["-s", "1"]).env(TCTI, place);
            let (before, line) = (disk.bytes(), Eavesdropper::swapping(&tpm, &other));
            let said = anew(line.place()).run().failed_with(1).said();
            assert!(said.contains("the TPM's parent key is not the one"), "{said}");
            let heard = line.commands();
            let last = heard.iter().rposition(|code| *code == 0x131).unwrap();
            assert!(last > 1 && heard[last + 1..].iter().all(|code| *code == 0x165), "{heard:x?}");
            assert!(disk.bytes() == before, "the disk was changed");
            assert!(!anew(tpm.place()).succeed().said().contains(BELIEVED));
            let key = disk.passphrase_file();
            let said = anew(other.place()).arg("-k").arg(&key).succeed().said();
            assert!(said.contains("did not open by its binding") && said.contains(BELIEVED), "{said}");
            assert!(disk.opens_with(&pass(&other, &disk, "1").succeeded().stdout));
        });
    }
    table.finish();
}

/// Clevis says that it does not know the pin, and touches nothing.
#[test]
fn clevis_refuses_it_as_unknown() {
    let tpm = Swtpm::start();
    let encrypt = tpm.give(Program::cotter().args(["encrypt", PIN, "{}"])).input(PLAINTEXT).succeed();
    let ended = tpm.give(Maker::Theirs.client().arg("decrypt")).input(encrypt.stdout).run();
    assert!(!ended.status.success() && ended.stdout.is_empty());
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    let said = tpm.give(disk.bind_program(Maker::Ours, PIN, r#"{"pcr_ids":"7"}"#)).succeed().said();
    for note in
        ["Clevis does not know this form", "the TPM that answers when this is bound is believed", "the TPM is virtual"]
    {
        assert_eq!(said.matches(note).count(), 1, "{note}: {said}");
    }
    let before = disk.bytes();
    let listed = tpm.give(Maker::Theirs.client().args(["luks", "list", "-d"]).arg(disk.path())).run();
    assert!(listed.text().contains("unknown pin 'cotter-tpm2'"), "{}", listed.text());
    let opened = tpm.give(Maker::Theirs.client().args(["luks", "pass", "-s", "1", "-d"]).arg(disk.path())).run();
    assert!(!opened.status.success() && opened.stdout.is_empty());
    assert!(disk.bytes() == before, "the disk was changed");
}

/// Every option that is wrong, alone or beside another, is refused before the TPM hears of it.
#[test]
fn what_makes_no_sense_is_refused_with_its_reason() {
    let zeros = "00".repeat(32);
    let nine = vec![format!(r#"{{"7":"{zeros}"}}"#); 8].join(",");
    let signed = r#"{"key":{"kty":"EC","crv":"P-256","x":"uLEVqmnuf3ebgnSamwZOw_gA06F62vavYTfxpCHdD0g","y":"Nxahzb8fVRun6H4kEnTs22ijyYjvRXuMJU1t1lBKpLc"}}"#;
    for (config, word) in [
        (r#"{"hash":"sha1"}"#.to_owned(), "not an option"),
        (r#"{"key":"dsa"}"#.into(), "ecc or rsa"),
        (r#"{"pcr_ids":"24"}"#.into(), "pcr_ids"),
        (r#"{"pcr_ids":""}"#.into(), "pcr_ids"),
        (r#"{"pcr_bank":"sha1"}"#.into(), "without pcr_ids or latch"),
        (r#"{"pcr_digest":"AAAA"}"#.into(), "without pcr_ids"),
        (r#"{"pcr_ids":"7","pcr_digest":"AAAA"}"#.into(), "one behind the other"),
        (r#"{"accept":[]}"#.into(), "without pcr_ids"),
        (format!(r#"{{"pcr_ids":"7","accept":[{nine}]}}"#), "8 with that of now"),
        (format!(r#"{{"pcr_ids":"7","accept":[{{"8":"{zeros}"}}]}}"#), "for each of pcr_ids"),
        (format!(r#"{{"pcr_ids":"7","accept":[{{"7":"{zeros}","8":"{zeros}"}}]}}"#), "for no other"),
        (r#"{"pcr_ids":"7","accept":[{"7":"00"}]}"#.into(), "digest of a PCR"),
        (r#"{"pin":1}"#.into(), "configuration.pin"),
        (r#"{"latch":16}"#.into(), "from 8 to 15"),
        (r#"{"latch":23}"#.into(), "from 8 to 15"),
        (r#"{"latch":0}"#.into(), "from 8 to 15"),
        (r#"{"latch":"yes"}"#.into(), "configuration.latch is not true or a PCR from 8 to 15"),
        (format!(r#"{{"signed":{signed}}}"#), "without pcr_ids"),
        (format!(r#"{{"pcr_ids":"15","latch":15,"signed":{signed}}}"#), "without pcr_ids"),
        (format!(r#"{{"pcr_ids":"7","accept":[],"signed":{signed}}}"#), "the signature says"),
        (r#"{"pcr_ids":"7","signed":{"key":{"kty":"oct","k":"AA"}}}"#.into(), "on P-256"),
        (r#"{"pcr_ids":"7","signed":{"key":"/nowhere/key.pem"}}"#.into(), "no place for approvals"),
        (r#"{"pcr_ids":"7","signed":{"keys":"x"}}"#.into(), "signed.key"),
        (r#"{"counter":7}"#.into(), "configuration.counter is not true, or an index of the TPM"),
        (r#"{"counter":"0x81000001"}"#.into(), "an index of the TPM"),
    ] {
        let program = Program::cotter().args(["encrypt", PIN, &config]).env(TCTI, "swtpm:host=127.0.0.1,port=1");
        let said = program.input(PLAINTEXT).run().failed_with(1).said();
        assert!(said.contains(word), "{config}: {said}");
    }
}

/// Whoever takes one pin for another is told which one has the option, and shown an example of the pin that was named.
#[test]
fn the_hints_fit_the_pin_that_was_named() {
    for (pin, config, word) in [
        ("tpm2", r#"{"pin":true}"#, "options of the pin cotter-tpm2"),
        ("sss", r#"{"t":1,"pins":{"tpm2":{"counter":true}}}"#, "options of the pin cotter-tpm2"),
        ("tpm2", r#"{"pcr_id":"7"}"#, "cotter encrypt --help"),
        ("tpm2", "[]", r#"'{"pcr_ids":"7"}'"#),
        ("tang", "[]", r#"'{"url":"http://keys.example:7500"}'"#),
        ("tmp2", "{}", "cotter-tpm2, sss, file (and null"),
    ] {
        let ended = Program::cotter().args(["encrypt", pin, config]).input(PLAINTEXT).run();
        assert!(!ended.status.success() && ended.said().contains(word), "{pin} {config}: {}", ended.said());
    }
}

/// The PIN is typed on the terminal and nowhere else; three wrong ones lock the TPM and not the person.
#[test]
fn a_pin_is_asked_for_and_a_locked_tpm_leaves_the_passphrase_alone() {
    const QUESTION: &str = "PIN for the TPM (";
    let tpm = Swtpm::start();
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    let program = disk.bind_program(Maker::Ours, PIN, r#"{"pin":true,"pcr_ids":"7"}"#);
    let line = Eavesdropper::listening(&tpm);
    let mut screen = Screen::start(program.env(TCTI, line.place()));
    screen.answers("New PIN for the TPM: ", "a long PIN");
    screen.answers("The same PIN again: ", "a long PIN");
    screen.answers(QUESTION, "a long PIN");
    let shown = screen.text();
    screen.ended().succeeded();
    assert!(!shown.contains("a long PIN"), "{shown}");
    let mut screen = Screen::start(disk.cotter(["pass", "-s", "1"]).env(TCTI, line.place()));
    screen.answers(QUESTION, "a long PIN");
    let bound = screen.ended().succeeded().stdout;
    assert!(disk.opens_with(&bound));
    let heard = line.heard();
    for secret in [&b"a long PIN"[..], &bound, PASSPHRASE.as_bytes()] {
        assert!(!heard.windows(secret.len()).any(|at| at == secret));
    }
    // Nobody there: a word about it, and no waiting.
    let said = pass(&tpm, &disk, "1").failed_with(1).said();
    assert!(said.contains("nobody can be asked for the PIN"), "{said}");
    let mut screen = Screen::start(luks(&tpm, &disk, "pass", &["-s", "1"]));
    screen.answers("(3 tries): ", "1");
    screen.answers("(2 tries): ", "2");
    screen.answers("(the last try before the TPM locks): ", "3");
    let said = screen.ended().failed_with(1).said();
    assert!(said.contains("the PIN is wrong, and the TPM is locked now"), "{said}");
    disk.assert_opens(&[PASSPHRASE], &[]);
    luks(&tpm, &disk, "unlock", &["--print-key", "-k", "-"]).input(PASSPHRASE).succeed();
}

/// Another binding that opens ends the question.
#[test]
fn a_question_is_taken_back_when_something_else_opens() {
    let tpm = Swtpm::start();
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    let mut screen = Screen::start(tpm.give(disk.bind_program(Maker::Ours, PIN, r#"{"pin":true}"#)));
    screen.answers("New PIN for the TPM: ", "1234");
    screen.answers("The same PIN again: ", "1234");
    screen.answers("(3 tries): ", "1234");
    screen.ended().succeeded();
    disk.bind(Maker::Ours, "null", "{}");
    Screen::start(luks(&tpm, &disk, "unlock", &["--print-key"])).ended().succeeded();
}

/// The latch is shut for every binding that has it, and for none that has not.
#[test]
fn a_latch_shuts_the_volume_for_what_runs_later() {
    let tpm = Swtpm::start();
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    bind(&tpm, &disk, r#"{"pcr_ids":"7","latch":true}"#);
    bind(&tpm, &disk, r#"{"pcr_ids":"7","latch":14}"#);
    tpm.give(disk.bind_program(Maker::Ours, "tpm2", r#"{"pcr_ids":"7"}"#)).succeed();
    let said = tpm.give(Program::cotter().args(["tpm", "latch"])).succeed().text();
    assert!(said.contains("PCR 15 is extended in sha1, sha256"), "{said}");
    let said = pass(&tpm, &disk, "1").failed_with(1).said();
    assert!(said.contains("the latch is shut: PCR 15") && said.contains("restart the machine"), "{said}");
    pass(&tpm, &disk, "2").succeeded();
    pass(&tpm, &disk, "3").succeeded();
    let json = tpm.give(Program::cotter().args(["tpm", "latch", "--pcr", "14", "--json"])).succeed().text();
    assert!(json.starts_with(r#"{"pcr":14,"banks":["sha1","sha256""#), "{json}");
    pass(&tpm, &disk, "2").failed_with(1);
    // A binding for the next start is made, and said to be unproved.
    let bound = tpm.give(disk.bind_program(Maker::Ours, PIN, r#"{"latch":true}"#)).succeed();
    assert!(bound.said().contains("not proved: the latch is shut"), "{}", bound.said());
}

/// A copy of the disk from before a regen opens nothing more, if a counter is in the policy.
#[test]
fn a_counter_kills_old_copies() {
    let tpm = Swtpm::start();
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    bind(&tpm, &disk, r#"{"pcr_ids":"7","counter":true}"#);
    let old = disk.bytes();
    luks(&tpm, &disk, "regen", &["-q", "-s", "1"]).succeed();
    pass(&tpm, &disk, "1").succeeded();
    std::fs::write(disk.path(), old).unwrap();
    let said = pass(&tpm, &disk, "1").failed_with(1).said();
    assert!(said.contains("has passed this: it was replaced by something newer"), "{said}");
}

/// Who names a passphrase has done what a hint could say.
#[test]
fn a_passphrase_that_was_named_is_not_asked_for() {
    let tpm = Swtpm::start();
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    bind(&tpm, &disk, r#"{"pcr_ids":"7"}"#);
    tpm.extend(7, 1);
    let key = disk.passphrase_file();
    let regen = |key: &str| luks(&tpm, &disk, "regen", &["-q", "-s", "1", "-k", key]).run();
    let said = regen(key.to_str().unwrap()).succeeded().said();
    assert!(
        said.contains("keyslot 1 did not open by its binding: ") && said.contains("; opened by the passphrase"),
        "{said}"
    );
    assert!(!said.contains("try:"), "{said}");
    // The volume is open by then.
    assert!(!said.contains("stays closed") && !said.contains("did not open the volume"), "{said}");
    tpm.extend(7, 1);
    let said = luks(&tpm, &disk, "regen", &["-q", "-s", "1"]).run().failed_with(1).said();
    assert!(said.contains("keyslot 1 does not open by its binding: the PCRs sha256:7 are not what"), "{said}");
    assert!(said.matches("try:").count() == 1 && !said.contains("then `cotter luks regen"), "{said}");
    let said = regen("/dev/null").failed_with(1).said();
    assert!(said.contains("did not open by its binding") && !said.contains("opened by the passphrase"), "{said}");
}

/// What opened instead is said.
#[test]
fn another_binding_that_opened_the_volume_is_named() {
    let tpm = Swtpm::start();
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    bind(&tpm, &disk, r#"{"pcr_ids":"7"}"#);
    disk.bind(Maker::Ours, "null", "{}");
    tpm.extend(7, 1);
    let said = luks(&tpm, &disk, "regen", &["-q", "-s", "1"]).succeed().said();
    assert!(said.contains("keyslot 1 does not open by its binding: the PCRs sha256:7"), "{said}");
    assert!(said.contains("keyslot 2 has opened the volume by its binding"), "{said}");
    assert!(!said.contains("stays closed") && !said.contains("try:"), "{said}");
}

/// Nothing is there yet to be opened or made anew, and no volume where a JWE is all there is.
#[test]
fn hints_are_for_what_was_being_done() {
    let tpm = Swtpm::start();
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    let bind = |config: &str| tpm.give(disk.bind_program(Maker::Ours, PIN, config)).run().failed_with(1).said();
    let said = bind(r#"{"pcr_ids":"7","counter":"0x0180c0ff"}"#);
    assert!(
        said.contains("there is no counter of this number in this TPM") && !said.contains("use a passphrase"),
        "{said}"
    );
    let said = bind(r#"{"pcr_ids":"7","pin":true}"#);
    assert!(said.contains("try: do it at a terminal, where the PIN can be typed"), "{said}");
    let jwe =
        tpm.give(Program::cotter().args(["encrypt", PIN, r#"{"pcr_ids":"7"}"#])).input(PLAINTEXT).succeed().stdout;
    tpm.extend(7, 1);
    let said = tpm.give(Program::cotter().arg("decrypt")).input(jwe).run().failed_with(1).said();
    assert!(said.contains("make the JWE anew") && !said.contains("volume"), "{said}");
    for words in [["--sign", "nothere"], ["--sign", "/dev/null"], ["--kernel", "nothere"]] {
        let said = luks(&tpm, &disk, "reseal", &words).run().failed_with(1).said();
        assert!(said.contains("try: "), "{words:?}: {said}");
    }
}

/// A signed policy may be bound before anything is approved; LUKS1 has no place for approvals, and nothing is written.
#[test]
fn a_signed_policy_waits_for_its_approvals() {
    let tpm = Swtpm::start();
    for version in Version::BOTH {
        let disk = Disk::of(Maker::Theirs, version);
        let (private, public) = (disk.beside("private.pem"), disk.beside("public.pem"));
        let openssl = |words: &[&str]| Program::new("openssl").args(words);
        openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out"])
            .arg(&private)
            .succeed();
        openssl(&["pkey", "-pubout", "-in"]).arg(&private).arg("-out").arg(&public).succeed();
        let config = format!(r#"{{"pcr_ids":"7","signed":{{"key":"{}"}}}}"#, public.display());
        let before = disk.bytes();
        let ended = tpm.give(disk.bind_program(Maker::Ours, PIN, &config)).run();
        if version == Version::Luks1 {
            let said = ended.failed_with(1).said();
            assert!(said.contains("no place for approvals"), "{said}");
            assert!(disk.bytes() == before, "the disk was changed");
        } else {
            let said = ended.succeeded().said();
            assert!(said.contains("not proved: nobody has approved what the PCRs sha256:7 hold now"), "{said}");
            let next = format!("cotter luks reseal -d {} --sign FILE", disk.path().display());
            assert!(said.contains(&next), "{said}");
            luks(&tpm, &disk, "list", &["-s", "1", "--expect", PIN, &config]).succeed();
            let listed = luks(&tpm, &disk, "list", &["-v"]).succeed().text();
            assert!(listed.contains("approvals: 0"), "{listed}");
            let accept = format!(r#"{{"pcr_ids":"7","accept":[{{"7":"{}"}}]}}"#, "ab".repeat(32));
            bind(&tpm, &disk, &accept);
            let listed = luks(&tpm, &disk, "list", &["-v", "-s", "2"]).succeed().text();
            assert!(listed.contains("accepted sets: 2"), "{listed}");
        }
    }
}
