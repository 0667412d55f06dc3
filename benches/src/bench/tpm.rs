//! What a TPM sealed, opened again: `cotter decrypt` beside `clevis decrypt`, both on one swtpm.

use crate::sides::{self, Side};
use crate::table::{Asked, Limit, markdown};
use compliance::swtpm::TCTI;
use compliance::{Maker, Swtpm, need, program};
use std::path::Path;
use std::process::Command;

const OUR_RUNS: u64 = 40;
const THEIR_RUNS: u64 = 3;

pub(crate) fn run() -> Vec<Asked> {
    let configs = [("without PCRs", "{}"), ("with a PCR", r#"{"pcr_bank":"sha256","pcr_ids":"7"}"#)];
    configs.into_iter().flat_map(|(name, config)| one(name, config)).collect()
}

fn one(name: &str, config: &str) -> Vec<Asked> {
    eprintln!(" {name}");
    let tpm = Swtpm::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwe");
    let sealing = tpm.give(Maker::Theirs.client().args(["encrypt", "tpm2", config])).input("a secret");
    std::fs::write(&file, sealing.succeed().stdout).unwrap();
    // What the tools left behind takes room.
    tpm.tool("tpm2_flushcontext").arg("-l").succeed();

    let [ours, theirs] = sides::measure([
        side("cotter decrypt", program::cotter(), &file, &tpm, OUR_RUNS),
        side("clevis decrypt", &need("clevis"), &file, &tpm, THEIR_RUNS),
    ]);
    let rows = [sides::row("cotter decrypt", ours, theirs), sides::row("clevis decrypt", theirs, theirs)];
    println!("{}", markdown(&format!("A TPM's secret, {name}"), &sides::columns("of clevis's"), &rows));
    let most = Limit::AtMost(1.0 / 10.0);
    vec![
        Asked::new(format!("CPU of `decrypt` by a TPM {name}, of clevis's"), most, ours.cpu / theirs.cpu),
        Asked::new(format!("wall of `decrypt` by a TPM {name}, of clevis's"), most, ours.wall / theirs.wall),
    ]
}

/// Input is empty for every side, so a shell feeds the file to both alike.
fn side(name: &'static str, program: &Path, file: &Path, tpm: &Swtpm, runs: u64) -> Side {
    let mut command = Command::new("sh");
    command.env(TCTI, tpm.place()).args(["-c", "exec \"$0\" decrypt < \"$1\""]).arg(program).arg(file);
    Side { name, command, runs }
}
