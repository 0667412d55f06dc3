//! States of a TPM in which it opens nothing, or soon will not: each has its words and its next step, and a passphrase opens as before.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where it stands")]

use compliance::disk::PASSPHRASE;
use compliance::swtpm::TCTI;
use compliance::{Disk, Ended, Maker, Program, Swtpm, Table, Version};

/// The pins that ask a TPM, in the order of their keyslots.
const PINS: [&str; 2] = ["tpm2", "cotter-tpm2"];
const PLAINTEXT: &[u8] = b"a plaintext\0with \xff bytes\n";

/// What became of a TPM: the same in another state, or none.
type Change = fn(Swtpm) -> Option<Swtpm>;

struct State {
    name: &'static str,
    change: Change,
    /// What is said of each of [`PINS`]; nothing of one that opens all the same.
    said: [&'static [&'static str]; 2],
}

fn changed(tpm: Swtpm, words: &[&str]) -> Option<Swtpm> {
    let (tool, words) = words.split_first().unwrap();
    tpm.tool(tool).args(words).succeed();
    Some(tpm)
}

const CLEARED: &str = "or the TPM was cleared";
const OWNED: &[&str] = &["the TPM wants a password", "`tpm2_changeauth -c owner -p OLD`"];
const OFF: &[&str] = &["the TPM's hierarchy is switched off", "switch the TPM's owner hierarchy on in the firmware"];
const GONE: &[&str] = &["cannot be used: Connection refused", "no TPM is there", "start swtpm"];
const LOCKED: &[&str] =
    &["TPM_RC_LOCKOUT (0x921)", "1 of 1 failures count", "every 100 s", "`tpm2_dictionarylockout --clear-lockout`"];

const STATES: [State; 5] = [
    State {
        name: "cleared",
        change: |tpm| changed(tpm, &["tpm2_clear", "-Q"]),
        said: [&["TPM_RC_INTEGRITY", CLEARED], &["the TPM's parent key is not the one", CLEARED]],
    },
    State {
        name: "locked out",
        change: |tpm| {
            tpm.locks_at("1");
            tpm.fail();
            Some(tpm)
        },
        said: [LOCKED, &[]],
    },
    State {
        name: "owned",
        change: |tpm| changed(tpm, &["tpm2_changeauth", "-Q", "-c", "owner", "word"]),
        said: [OWNED; 2],
    },
    State {
        name: "switched off",
        change: |tpm| changed(tpm, &["tpm2_hierarchycontrol", "-C", "p", "shEnable", "clear"]),
        said: [OFF; 2],
    },
    State { name: "gone", change: |_| None, said: [GONE; 2] },
];

fn assert_says(ended: Ended, expected: &[&str]) {
    let said = ended.failed_with(1).said();
    for word in expected {
        assert!(said.contains(word), "{said} has no {word}");
    }
    assert!(said.contains("\n  try: "), "{said} has no next step");
    assert!(!said.contains("be root"), "{said}: no right is missing");
}

/// A plaintext and a disk, each for both pins.
#[test]
fn each_state_of_a_tpm_has_its_words() {
    let mut table = Table::new("states of a TPM");
    for State { name, change, said } in &STATES {
        table.row(format!("{name}: clevis does not open, cotter says why, a passphrase opens"), || {
            let tpm = Swtpm::start();
            let place = tpm.place();
            let give = |program: Program| program.env(TCTI, &place);
            let sealed =
                PINS.map(|pin| give(Program::cotter().args(["encrypt", pin, "{}"])).input(PLAINTEXT).succeed().stdout);
            let disk = Disk::of(Maker::Theirs, Version::Luks2);
            for pin in PINS {
                give(disk.bind_program(Maker::Ours, pin, r#"{"pcr_ids":"7"}"#)).succeed();
            }
            let left = change(tpm);
            assert!(!give(Maker::Theirs.client().arg("decrypt")).input(sealed[0].clone()).run().status.success());
            if let Some(tpm) = &left {
                tpm.tool("tpm2_flushcontext").arg("-t").run();
            }
            for ((slot, jwe), expected) in ["1", "2"].into_iter().zip(&sealed).zip(said) {
                let decrypt = give(Program::cotter().arg("decrypt")).input(jwe.clone()).run();
                let unlock = give(disk.cotter(["unlock", "--test-passphrase", "-s", slot])).run();
                if expected.is_empty() {
                    assert_eq!(decrypt.succeeded().stdout, PLAINTEXT);
                    unlock.succeeded();
                } else {
                    assert_says(decrypt, expected);
                    assert_says(unlock, expected);
                }
            }
            let all = give(disk.cotter(["unlock", "--test-passphrase"])).run();
            if said.contains(&[].as_slice()) {
                all.succeeded();
            } else {
                let slots = [&["keyslot 1: ", "keyslot 2: "], said[0], said[1]].concat();
                assert_says(all, &slots);
            }
            give(disk.cotter(["unlock", "--test-passphrase", "-k", "-"])).input(PASSPHRASE).succeed();
        });
    }
    table.finish();
}

/// The next step that an owned TPM is given is one that helps.
#[test]
fn the_password_of_the_owner_is_taken_away_as_the_hint_says() {
    let tpm = Swtpm::start();
    let jwe = tpm.give(Program::cotter().args(["encrypt", "tpm2", "{}"])).input(PLAINTEXT).succeed().stdout;
    tpm.tool("tpm2_changeauth").args(["-Q", "-c", "owner", "word"]).succeed();
    let decrypt = || tpm.give(Program::cotter().arg("decrypt")).input(jwe.clone()).run();
    assert_says(decrypt(), OWNED);
    tpm.tool("tpm2_changeauth").args(["-Q", "-c", "owner", "-p", "word"]).succeed();
    assert_eq!(decrypt().succeeded().stdout, PLAINTEXT);
}

/// A machine without a TPM, and a word that names none.
#[test]
fn no_tpm_is_named() {
    for pin in PINS {
        for (place, expected, hint) in [
            ("tabrmd:", "TPM2TOOLS_TCTI=tabrmd:", "`device:/dev/tpmrm0`"),
            ("device:/no/such/tpm", "the TPM at /no/such/tpm cannot be used: No such file", "no TPM is there"),
            ("swtpm:port=1", "the TPM at 127.0.0.1:1 cannot be used: Connection refused", "no TPM is there"),
        ] {
            let program = Program::cotter().args(["encrypt", pin, "{}"]).env(TCTI, place).input(PLAINTEXT);
            assert_says(program.run(), &[expected, hint]);
            let disk = Disk::of(Maker::Theirs, Version::Luks2);
            let before = disk.bytes();
            assert_says(disk.bind_program(Maker::Ours, pin, "{}").env(TCTI, place).run(), &[expected, hint]);
            assert!(disk.bytes() == before, "the disk was changed");
        }
    }
}

/// Before a TPM locks, whoever opens, prints or makes a binding that would be locked with it hears so, with what to do; what is never locked
/// has no remark.
#[test]
fn a_lockout_is_told_before_it_comes() {
    const WORDS: [&str; 4] = [
        "the TPM counts 2 failures, power cuts among them, and locks this binding at 3",
        "it forgets one every 100 s",
        "\n  try: ",
        "`tpm2_dictionarylockout --clear-lockout`",
    ];
    let tpm = Swtpm::start();
    tpm.locks_at("3");
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    let bind = |pin: &str| tpm.give(disk.bind_program(Maker::Ours, pin, "{}")).succeed().said();
    let is_silent = |said: &str| !said.contains("failures") && !said.contains("lockout");
    assert!(is_silent(&PINS.map(bind).concat()));
    let conversations = || {
        ["1", "2"].map(|slot| {
            let unlock = tpm.give(disk.cotter(["unlock", "--test-passphrase", "-s", slot])).succeed().said();
            let passed = tpm.give(disk.cotter(["pass", "-s", slot])).succeed();
            assert!(disk.opens_with(&passed.stdout));
            [("unlock", unlock), ("pass", passed.said())]
        })
    };
    for failures in [0, 1] {
        for (command, said) in conversations().into_iter().flatten() {
            assert!(is_silent(&said), "{failures} of 3, {command}: {said}");
        }
        tpm.fail();
    }
    let [locked, never] = conversations();
    let [bound, bound_never] = PINS.map(bind);
    for (command, said) in locked.into_iter().chain([("bind", bound)]) {
        for word in WORDS {
            assert_eq!(said.matches(word).count(), 1, "{command}: {said} has not one {word}");
        }
    }
    for (command, said) in never.into_iter().chain([("bind", bound_never)]) {
        assert!(is_silent(&said), "{command}: {said}");
    }
    // The hint is one that helps.
    tpm.tool("tpm2_dictionarylockout").arg("--clear-lockout").succeed();
    for (command, said) in conversations().into_iter().flatten() {
        assert!(is_silent(&said), "cleared, {command}: {said}");
    }
}
