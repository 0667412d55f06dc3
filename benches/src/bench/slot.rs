//! Opening an Argon2id slot with a passphrase: ours, and cryptsetup on the same disk.

use crate::clock::{self, Cost};
use crate::table::{Asked, Limit, in_turn, markdown, median_cost, ratio, time};
use compliance::disk::Cipher;
use compliance::{Disk, Maker, need, program};
use std::process::Command;

/// Like what cryptsetup chooses on a small machine, and the same in every run.
const KDF: &[&str] = &["--pbkdf=argon2id", "--pbkdf-memory=262144", "--pbkdf-parallel=2", "--pbkdf-force-iterations=4"];

pub(crate) fn run() -> Vec<Asked> {
    let disk = Disk::formatted_with(Maker::Theirs, Cipher::USUAL, KDF);
    let file = disk.passphrase_file();
    let mut ours = Command::new(program::cotter());
    ours.args(["luks", "unlock", "--print-key", "-k"]).arg(&file).arg("-d").arg(disk.path());
    let mut theirs = Command::new(need("cryptsetup"));
    theirs.args(["open", "--test-passphrase", "--key-file"]).arg(&file).arg(disk.path());

    let samples = in_turn(&mut [&mut || opening(&mut ours), &mut || opening(&mut theirs)]);
    let medians: Vec<Cost> = samples.iter().map(|samples| median_cost(samples)).collect();
    let [ours, theirs] = medians.try_into().expect("two sides were measured");
    let row = |name: &str, cost: Cost| {
        vec![name.into(), time(cost.cpu), ratio(cost.cpu / theirs.cpu), time(cost.wall), ratio(cost.wall / theirs.wall)]
    };
    let rows = [row("cotter luks unlock --print-key", ours), row("cryptsetup open --test-passphrase", theirs)];
    let columns = ["program", "CPU", "of cryptsetup's", "wall", "of cryptsetup's"];
    println!("{}", markdown("Opening a slot: Argon2id, 256 MiB, 4 passes, 2 lanes", &columns, &rows));
    vec![Asked::new("CPU of opening an Argon2id slot, of cryptsetup's", Limit::AtMost(1.05), ours.cpu / theirs.cpu)]
}

fn opening(command: &mut Command) -> Cost {
    clock::of_children(|| {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    })
}
