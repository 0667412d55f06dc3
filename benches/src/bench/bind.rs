//! A bind that writes a LUKS2 header: all of `cotter luks bind`, with derivations that cost nearly nothing.
//!
//! The pin is `null`, so no server is waited for, and every derivation has the fewest iterations that are legal. What is
//! left is starting, reading, locking, writing both copies of the header with their barriers, and reading them back. It is
//! done on the disk of temporary files, whose barriers are real, and in memory, whose barriers cost nothing.

use crate::clock::{self, Cost};
use crate::table::{Asked, Limit, in_turn, markdown, median_cost, time};
use block::MemoryDisk;
use compliance::{Disk, Maker, program};
use crypto::{Passphrase, Secret};
use luks::{Allowed, Header};
use std::fs;
use std::path::Path;
use std::process::Command;

/// In one round, into keyslots of their own.
const BINDS: u64 = 7;
/// A bind opens the volume, makes a keyslot, and opens that one to prove it.
const DERIVATIONS: u64 = 3;
/// Where files are memory.
const MEMORY: &str = "/dev/shm";

pub(crate) fn run() -> Vec<Asked> {
    let disk = Disk::formatted(Maker::Theirs);
    let fresh = fs::read(disk.path()).unwrap();
    let memory = tempfile::tempdir_in(MEMORY).expect("no file system in memory");
    let in_memory = memory.path().join("disk.img");
    let on_disk = disk.beside("bound.img");
    let key = disk.passphrase_file();
    let samples =
        in_turn(&mut [&mut || binds(&fresh, &on_disk, &key), &mut || binds(&fresh, &in_memory, &key), &mut || {
            derivations(&fresh)
        }]);
    let costs: Vec<Cost> = samples.iter().map(|samples| median_cost(samples)).collect();
    let [on_disk, in_memory, derivations] = costs.try_into().expect("three things were measured");

    let row = |name: &str, cost: Cost| vec![name.to_owned(), time(cost.cpu), time(cost.wall)];
    let rows = [
        row("cotter luks bind -k FILE null '{}', a file on a disk", on_disk),
        row("the same, a file in memory", in_memory),
        row("the openings of keyslots among it, by themselves", derivations),
    ];
    println!("{}", markdown("A bind that writes a LUKS2 header", &["what", "CPU", "wall"], &rows));
    let ms = |cost: Cost| (cost.wall - derivations.wall) * 1e3;
    vec![
        Asked::new("ms of a bind beside its key derivations, on a disk", Limit::AtMost(50.0), ms(on_disk)),
        Asked::new("ms of a bind beside its key derivations, in memory", Limit::AtMost(50.0), ms(in_memory)),
    ]
}

/// The cost of one of several binds of a fresh volume.
fn binds(fresh: &[u8], image: &Path, key: &Path) -> Cost {
    fs::write(image, fresh).unwrap();
    let work = || {
        for _ in 0..BINDS {
            let mut bind = Command::new(program::cotter());
            bind.args(["luks", "bind", "-f", "-k"]).arg(key).arg("-d").arg(image).args(["null", "{}"]);
            let output = bind.output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    };
    clock::of_children(work).shared(BINDS)
}

fn derivations(fresh: &[u8]) -> Cost {
    const ROUNDS: u64 = 50;
    let memory = MemoryDisk::from(fresh.to_vec());
    let header = Header::read(&memory).unwrap().accept(&Allowed::default()).unwrap();
    let passphrase = Passphrase::new(Secret::copied_from(compliance::disk::PASSPHRASE.as_bytes()));
    let work = || {
        for _ in 0..ROUNDS * DERIVATIONS {
            luks::open_any(&memory, &header, &passphrase).unwrap();
        }
    };
    clock::of_own(work).shared(ROUNDS)
}
