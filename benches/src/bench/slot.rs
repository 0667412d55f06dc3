//! Opening a slot with a passphrase: ours, and cryptsetup on the same disk.

use crate::clock::Cost;
use crate::sides::{self, Side};
use crate::table::{Asked, Limit, markdown};
use compliance::disk::PASSPHRASE;
use compliance::{Disk, Program, need, program};
use std::process::Command;

/// Of a LUKS1 header with one slot, and a little behind a LUKS2 header.
const DISK_BYTES: u64 = 20 << 20;

/// A key derivation, the same in every run.
struct Derivation {
    name: &'static str,
    words: &'static [&'static str],
}

/// Iterations for about half a second of cryptsetup; Argon2id is like what cryptsetup chooses on a small machine.
const DERIVATIONS: &[Derivation] = &[
    Derivation {
        name: "LUKS1, PBKDF2-sha256",
        words: &["--type=luks1", "--hash=sha256", "--pbkdf-force-iterations=1000000"],
    },
    Derivation {
        name: "LUKS1, PBKDF2-sha512",
        words: &["--type=luks1", "--hash=sha512", "--pbkdf-force-iterations=600000"],
    },
    Derivation {
        name: "LUKS2, PBKDF2-sha256",
        words: &["--type=luks2", "--pbkdf=pbkdf2", "--hash=sha256", "--pbkdf-force-iterations=1000000"],
    },
    Derivation {
        name: "LUKS2, PBKDF2-sha512",
        words: &["--type=luks2", "--pbkdf=pbkdf2", "--hash=sha512", "--pbkdf-force-iterations=600000"],
    },
    Derivation {
        name: "LUKS2, Argon2id of 256 MiB, 4 passes, 2 lanes",
        words: &[
            "--type=luks2",
            "--pbkdf=argon2id",
            "--pbkdf-memory=262144",
            "--pbkdf-parallel=2",
            "--pbkdf-force-iterations=4",
        ],
    },
];

pub(crate) fn run() -> Vec<Asked> {
    let mut rows = Vec::new();
    let mut asked = Vec::new();
    for derivation in DERIVATIONS {
        eprintln!(" {}", derivation.name);
        let [ours, theirs] = openings(derivation);
        rows.push(sides::row(&format!("{}: cotter luks unlock --print-key", derivation.name), ours, theirs));
        rows.push(sides::row(&format!("{}: cryptsetup open --test-passphrase", derivation.name), theirs, theirs));
        let what = format!("CPU of opening a slot, of cryptsetup's: {}", derivation.name);
        asked.push(Asked::new(what, Limit::AtMost(1.05), ours.cpu / theirs.cpu));
    }
    println!("{}", markdown("Opening a slot with a passphrase", &sides::columns("of cryptsetup's"), &rows));
    asked
}

fn openings(derivation: &Derivation) -> [Cost; 2] {
    let disk = Disk::blank(DISK_BYTES);
    let file = disk.passphrase_file();
    let format = Program::new("cryptsetup").args(["luksFormat", "-q"]).args(derivation.words);
    format.arg("--key-file").arg(&file).arg(disk.path()).succeed();
    let mut ours = Command::new(program::cotter());
    ours.args(["luks", "unlock", "--print-key", "-k"]).arg(&file).arg("-d").arg(disk.path());
    let mut theirs = Command::new(need("cryptsetup"));
    theirs.args(["open", "--test-passphrase", "--key-file"]).arg(&file).arg(disk.path());
    assert_eq!(ours.output().unwrap().stdout, PASSPHRASE.as_bytes(), "{}", derivation.name);
    sides::measure([
        Side { name: "cotter luks unlock", command: ours, runs: 1 },
        Side { name: "cryptsetup open", command: theirs, runs: 1 },
    ])
}
