//! The decrypted view, and the cipher that it is made of.

use crate::clock::{self, Cost};
use crate::table::{Asked, Limit, in_turn, markdown, median_cost};
use block::{BlockRead, Bytes, MemoryDisk};
use compliance::Disk;
use compliance::disk::{Cipher, PASSPHRASE};
use crypto::sector::SectorCipher;
use crypto::{Passphrase, Secret, VolumeKey};
use luks::{Allowed, Header, Plain};
use std::hint::black_box;

const SECTOR_BYTES: u32 = 4096;
/// What one round reads.
const LENGTH: usize = 64 << 20;
/// What one read asks for, as a client of an export does.
const PIECE: usize = 256 << 10;

pub(crate) fn run() -> Vec<Asked> {
    let disk = Disk::encrypted(&vec![0x5a; LENGTH], Cipher { sector_bytes: SECTOR_BYTES, ..Cipher::USUAL });
    let (plain, key) = open(&disk);
    let raw = SectorCipher::aes_xts_plain64(key.expose(), SECTOR_BYTES).unwrap();
    let mut names = Vec::new();
    let mut costs: Vec<Cost> = Vec::new();
    let samples = in_turn(&mut [
        &mut || threads(1, |start, end| decipher(&raw, start, end)),
        &mut || threads(1, |start, end| read(&plain, start, end)),
        &mut || threads(2, |start, end| decipher(&raw, start, end)),
        &mut || threads(2, |start, end| read(&plain, start, end)),
    ]);
    for (name, samples) in ["AES-256-XTS, 1 thread", "Plain, 1 thread", "AES-256-XTS, 2 threads", "Plain, 2 threads"]
        .into_iter()
        .zip(&samples)
    {
        names.push(name);
        costs.push(median_cost(samples));
    }
    let rows: Vec<Vec<String>> = names.iter().zip(&costs).map(|(name, cost)| row(name, *cost)).collect();
    let columns = ["what", "MB per CPU second", "MB per second of wall"];
    println!("{}", markdown("Reading 64 MiB in order, sectors of 4096 bytes", &columns, &rows));
    let [raw_1, plain_1, raw_2, plain_2] = costs.try_into().expect("four sides were measured");
    vec![
        Asked::new("speed of Plain, of the bare cipher, 1 thread (CPU)", Limit::AtLeast(0.9), raw_1.cpu / plain_1.cpu),
        Asked::new("speed of Plain, of the bare cipher, 1 thread (wall)", Limit::Reported, raw_1.wall / plain_1.wall),
        Asked::new("speed of Plain, of the bare cipher, 2 threads (CPU)", Limit::AtLeast(0.9), raw_2.cpu / plain_2.cpu),
        Asked::new("speed of Plain with 2 threads, of 1 thread (wall)", Limit::Reported, plain_1.wall / plain_2.wall),
        Asked::new("the same of the bare cipher", Limit::Reported, raw_1.wall / raw_2.wall),
    ]
}

fn row(name: &str, cost: Cost) -> Vec<String> {
    let speed = |seconds: f64| format!("{:.0}", LENGTH as f64 / 1e6 / seconds);
    vec![name.to_owned(), speed(cost.cpu), speed(cost.wall)]
}

/// The view of a disk that cryptsetup made, held in memory; the content is proved before it is measured.
fn open(disk: &Disk) -> (Plain<MemoryDisk>, VolumeKey) {
    let memory = MemoryDisk::from(disk.bytes());
    let header = Header::read(&memory).unwrap().accept(&Allowed::default()).unwrap();
    let passphrase = Passphrase::new(Secret::copied_from(PASSPHRASE.as_bytes()));
    let (_, key) = luks::open_any(&memory, &header, &passphrase).unwrap();
    let plain = Plain::new(memory, &header, &key).unwrap();
    let mut piece = vec![0; PIECE];
    plain.read_at(Bytes((LENGTH - PIECE) as u64), &mut piece).unwrap();
    assert!(piece.iter().all(|byte| *byte == 0x5a), "what is read is not what was written");
    (plain, key)
}

/// Divides the length among `count` threads and counts what all of them cost.
fn threads(count: usize, work: impl Fn(usize, usize) + Sync) -> Cost {
    let each = LENGTH / count;
    let work = &work;
    clock::of_own(|| {
        std::thread::scope(|scope| {
            for number in 0..count {
                scope.spawn(move || work(number * each, (number + 1) * each));
            }
        });
    })
}

fn read(plain: &Plain<MemoryDisk>, start: usize, end: usize) {
    let mut piece = vec![0; PIECE];
    for offset in (start..end).step_by(PIECE) {
        plain.read_at(Bytes(offset as u64), &mut piece).unwrap();
        black_box(&piece);
    }
}

/// The cipher alone, in place on one piece of memory: nothing is fetched from anywhere.
fn decipher(raw: &SectorCipher, start: usize, end: usize) {
    let mut piece = vec![0; PIECE];
    for offset in (start..end).step_by(PIECE) {
        raw.decrypt(offset as u64 / 512, &mut piece).unwrap();
        black_box(&piece);
    }
}
