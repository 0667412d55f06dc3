//! Ours and cryptsetup on one disk at once: about a thousand edits in loops side by side, and every one that ended well is in
//! the header.
//!
//! On LUKS1, where the original takes no lock, it is ours against ours.
//!
//! Each loop has slots or tokens of its own, adds them, and takes them away again. So an edit that was lost is noticed by the
//! next one of that loop, and the last ones by a look at the header in the end. Whoever notices that somebody else was faster
//! may give up; that is counted, and the edit made again.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::disk::PASSPHRASE;
use compliance::{Disk, Ended, Maker, Program};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::thread;

/// The cheapest derivation that is legal.
const KDF: [&str; 4] = ["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1001"];
/// How often each loop goes over the two that it owns; every turn adds and, except for the last one, removes.
const ROUNDS: usize = 51;
/// With two loops instead of five.
const ROUNDS_OF_LUKS1: usize = 16;

/// Room for many slots and tokens.
fn luks2() -> Disk {
    let disk = Disk::blank((5 << 20) + (64 << 10));
    let words = ["luksFormat", "-q", "--type", "luks2", "--key-size", "256", "--offset", "10240"];
    let sizes = ["--luks2-metadata-size", "64k", "--luks2-keyslots-size", "4m"];
    let program = Program::new("cryptsetup").args(words).args(sizes).args(KDF).arg("--key-file");
    program.arg(disk.passphrase_file()).arg(disk.path()).succeed();
    disk
}

/// Made by the original.
fn luks1() -> Disk {
    let disk = Disk::blank((2 << 20) + (64 << 10));
    let words = ["luksFormat", "-q", "--type", "luks1", "--key-size", "512", "--hash", "sha512"];
    let program = Program::new("cryptsetup").args(words).args(KDF).arg("--key-file").arg(disk.passphrase_file());
    program.arg(disk.path()).succeed();
    disk
}

/// What a loop has done.
#[derive(Default)]
struct Done {
    edits: usize,
    repeated: usize,
}

impl Done {
    /// Makes one edit, again and again until it is not given up for somebody who was faster.
    fn edit(&mut self, program: impl Fn() -> Program) {
        loop {
            let ended = program().run();
            if ended.status.success() {
                self.edits += 1;
                return;
            }
            assert!(was_given_up(&ended), "{}; it said: {}", ended.status, ended.said());
            self.repeated += 1;
        }
    }
}

fn was_given_up(ended: &Ended) -> bool {
    const THEIRS: &str = "Detected attempt for concurrent LUKS2 metadata update";
    ended.said().contains(THEIRS)
}

/// Goes over what a loop owns: adds it all and removes it all, again and again; in the end it is there.
fn rounds(
    count: usize,
    owned: [usize; 2],
    add: impl Fn(usize, usize) -> Program,
    remove: impl Fn(usize) -> Program,
) -> Done {
    let mut done = Done::default();
    for round in 0..count {
        owned.iter().for_each(|one| done.edit(|| add(*one, round)));
        if round + 1 < count {
            owned.iter().for_each(|one| done.edit(|| remove(*one)));
        }
    }
    done
}

/// Slots of ours, bound and unbound.
fn bindings(disk: &Disk, slots: [usize; 2], count: usize) -> Done {
    let bind = |slot: usize, _| disk.bind_program(Maker::Ours, "null", "{}").args(["-s", &slot.to_string()]);
    let unbind = |slot: usize| cotter(disk, &["unbind", "-f", "-s", &slot.to_string()]);
    rounds(count, slots, bind, unbind)
}

/// Slots with passphrases, added and killed.
fn passphrases(maker: Maker, disk: &Disk, slots: [usize; 2], count: usize) -> Done {
    let add = |slot: usize, _| match maker {
        Maker::Ours => {
            let program = cotter(disk, &["add", "-s", &slot.to_string()]).args(KDF);
            program.arg("-k").arg(disk.passphrase_file()).arg("--new-key-file").arg(key_of(disk, slot))
        }
        Maker::Theirs => {
            let program = cryptsetup(&["luksAddKey", "--key-slot", &slot.to_string()]).args(KDF);
            program.arg("--key-file").arg(disk.passphrase_file()).arg(disk.path()).arg(key_of(disk, slot))
        }
    };
    let kill = |slot: usize| match maker {
        Maker::Ours => cotter(disk, &["kill", "-q", "-s", &slot.to_string()]),
        Maker::Theirs => cryptsetup(&["luksKillSlot"]).arg(disk.path()).arg(slot.to_string()),
    };
    rounds(count, slots, add, kill)
}

/// The file of the passphrase of a slot.
fn key_of(disk: &Disk, slot: usize) -> PathBuf {
    let file = disk.beside(&format!("key-{slot}"));
    std::fs::write(&file, passphrase_of(slot)).unwrap();
    file
}

fn passphrase_of(slot: usize) -> String {
    format!("the passphrase of slot {slot}")
}

/// Tokens, imported and removed.
fn tokens(maker: Maker, disk: &Disk, tokens: [usize; 2], count: usize) -> Done {
    let token = |verb: &str, token: usize| match maker {
        Maker::Ours => cotter(disk, &["token", verb, "--token-id", &token.to_string()]),
        Maker::Theirs => cryptsetup(&["token", verb, "--token-id", &token.to_string()]).arg(disk.path()),
    };
    let import = |number, round| token("import", number).input(token_of(round).to_string());
    rounds(count, tokens, import, |number| token("remove", number))
}

fn cotter(disk: &Disk, words: &[&str]) -> Program {
    Program::cotter().arg("luks").args(words).arg("-d").arg(disk.path())
}

fn cryptsetup(words: &[&str]) -> Program {
    Program::new("cryptsetup").arg("-q").args(words)
}

/// The token of a round. It serves no slot: a slot with a token counts as opened by a policy, and somebody has to be left.
fn token_of(round: usize) -> Value {
    json!({"type": "together", "keyslots": [], "round": round})
}

#[test]
fn a_thousand_edits_at_once_and_none_is_lost() {
    let disk = luks2();
    let done = thread::scope(|scope| {
        let loops = [
            scope.spawn(|| bindings(&disk, [1, 2], ROUNDS)),
            scope.spawn(|| passphrases(Maker::Ours, &disk, [3, 4], ROUNDS)),
            scope.spawn(|| passphrases(Maker::Theirs, &disk, [5, 6], ROUNDS)),
            scope.spawn(|| tokens(Maker::Ours, &disk, [28, 29], ROUNDS)),
            scope.spawn(|| tokens(Maker::Theirs, &disk, [30, 31], ROUNDS)),
        ];
        loops.map(|running| running.join().unwrap())
    });
    assert_eq!(tell("LUKS2", &done), 5 * 2 * (2 * ROUNDS - 1));
    everything_is_there(&disk);
}

#[test]
fn edits_of_luks1_at_once_and_none_is_lost() {
    let disk = luks1();
    let done = thread::scope(|scope| {
        let loops = [
            scope.spawn(|| bindings(&disk, [1, 2], ROUNDS_OF_LUKS1)),
            scope.spawn(|| passphrases(Maker::Ours, &disk, [3, 4], ROUNDS_OF_LUKS1)),
        ];
        loops.map(|running| running.join().unwrap())
    });
    assert_eq!(tell("LUKS1", &done), 2 * 2 * (2 * ROUNDS_OF_LUKS1 - 1));
    let dump = disk.dump();
    assert_eq!(dump.matches("ENABLED").count(), 5, "{dump}");
    let show = Program::new("luksmeta").args(["show", "-d"]).arg(disk.path()).succeed().text();
    assert_eq!(show.matches("cb6e8904-81ff-40da-a84a-07ab9ab5715e").count(), 2, "{show}");
    slots_open(&disk, &[3, 4]);
}

/// The sum of the edits, after a word about what was repeated.
fn tell(disk: &str, done: &[Done]) -> usize {
    let repeated: Vec<usize> = done.iter().map(|done| done.repeated).collect();
    let edits = done.iter().map(|done| done.edits).sum();
    println!("{disk}: {edits} edits; given up and made again, by loop: {repeated:?}");
    edits
}

fn everything_is_there(disk: &Disk) {
    let dump = cryptsetup(&["luksDump", "--dump-json-metadata"]).arg(disk.path()).succeed();
    let metadata: Value = serde_json::from_slice(&dump.stdout).unwrap();
    let names = |section: &str| metadata[section].as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names("keyslots"), ["0", "1", "2", "3", "4", "5", "6"].map(String::from).into());
    for token in ["28", "29", "30", "31"] {
        assert_eq!(metadata["tokens"][token], token_of(ROUNDS - 1));
    }
    assert_eq!(names("tokens").len(), 6, "each binding has one token: {}", metadata["tokens"]);
    slots_open(disk, &[3, 4, 5, 6]);
}

/// The first one, the bindings of slots 1 and 2, and these.
fn slots_open(disk: &Disk, passphrases: &[usize]) {
    let opens = |slot: &str, passphrase: &[u8]| {
        let program = cryptsetup(&["open", "--test-passphrase", "--key-file", "-", "--key-slot", slot]);
        program.arg(disk.path()).input(passphrase).run().status.success()
    };
    assert!(opens("0", PASSPHRASE.as_bytes()));
    for slot in ["1", "2"] {
        assert!(opens(slot, &disk.pass(Maker::Ours, slot)), "slot {slot}");
    }
    for slot in passphrases {
        assert!(opens(&slot.to_string(), passphrase_of(*slot).as_bytes()), "slot {slot}");
    }
}
