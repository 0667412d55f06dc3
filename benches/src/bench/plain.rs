//! The decrypted view, and the cipher that it is made of.
//!
//! The cipher runs at the speed of memory, so a disk that only copies would already halve what is seen of both. The
//! figure that was asked for is therefore taken over a disk that costs nothing: what is left is the cipher and what the
//! view adds to it. The same over a disk in memory stands beside it.

use crate::clock::{self, Cost};
use crate::table::{Asked, Limit, in_turn, markdown, median_cost};
use block::{BlockError, BlockRead, Bytes, MemoryDisk};
use compliance::Disk;
use compliance::disk::{Cipher, PASSPHRASE};
use crypto::sector::SectorCipher;
use crypto::{Passphrase, Secret, VolumeKey};
use luks::{Accepted, Allowed, Header, Plain};
use std::hint::black_box;

const SECTOR_BYTES: u32 = 4096;
/// The plaintext on the disk.
const LENGTH: usize = 64 << 20;
/// How often one round reads it: 1 GiB together, or a round would be over too soon to be measured.
const PASSES: usize = 16;
/// What one read asks for, as a client of an export does.
const PIECE: usize = 256 << 10;
/// What every byte of the plaintext is.
const CONTENT: u8 = 0x5a;

/// A disk of the right length whose bytes are whatever the reader's memory holds: reading it costs nothing.
struct FreeDisk {
    length: Bytes,
}

impl BlockRead for FreeDisk {
    fn len(&self) -> Bytes {
        self.length
    }

    fn read_at(&self, offset: Bytes, into: &mut [u8]) -> Result<(), BlockError> {
        BlockError::check_range(offset, into.len(), self.length)
    }
}

pub(crate) fn run() -> Vec<Asked> {
    let disk = Disk::encrypted(&vec![CONTENT; LENGTH], Cipher { sector_bytes: SECTOR_BYTES, ..Cipher::USUAL });
    let memory = MemoryDisk::from(disk.bytes());
    let (header, key) = open(&memory);
    let cipher = SectorCipher::aes_xts_plain64(key.expose(), SECTOR_BYTES).unwrap();
    let free = Plain::new(FreeDisk { length: memory.len() }, &header, &key).unwrap();
    let copied = Plain::new(memory, &header, &key).unwrap();
    assert_right(&copied);

    let names = ["AES-256-XTS alone", "Plain over a disk that costs nothing", "Plain over a disk in memory"];
    let mut rows = Vec::new();
    let mut all = Vec::new();
    for count in [1, 2] {
        let samples = in_turn(&mut [
            &mut || threads(count, |at, piece| cipher.decrypt(at as u64 / 512, piece).unwrap()),
            &mut || threads(count, |at, piece| free.read_at(Bytes(at as u64), piece).unwrap()),
            &mut || threads(count, |at, piece| copied.read_at(Bytes(at as u64), piece).unwrap()),
        ]);
        let costs: Vec<Cost> = samples.iter().map(|samples| median_cost(samples)).collect();
        rows.extend(names.iter().zip(&costs).map(|(name, cost)| row(name, count, *cost)));
        let costs: [Cost; 3] = costs.try_into().expect("three sides were measured");
        all.push(costs);
    }
    let columns = ["what", "threads", "MB per CPU second", "MB per second of wall"];
    println!("{}", markdown("Reading in order, sectors of 4096 bytes, 256 KiB at a time", &columns, &rows));
    let [[cipher_1, free_1, copied_1], [cipher_2, free_2, copied_2]] = all.try_into().expect("two counts of threads");
    let of_cipher = "speed of Plain, of the bare cipher";
    vec![
        Asked::new(format!("{of_cipher}, 1 thread (CPU)"), Limit::AtLeast(0.9), cipher_1.cpu / free_1.cpu),
        Asked::new(format!("{of_cipher}, 2 threads (CPU)"), Limit::AtLeast(0.9), cipher_2.cpu / free_2.cpu),
        Asked::new("speed of Plain with 2 threads, of 1 thread (wall)", Limit::AtLeast(1.6), free_1.wall / free_2.wall),
        Asked::new("the same of the bare cipher", Limit::Reported, cipher_1.wall / cipher_2.wall),
        Asked::new("the same over a disk in memory", Limit::Reported, copied_1.wall / copied_2.wall),
    ]
}

fn row(name: &str, threads: usize, cost: Cost) -> Vec<String> {
    let speed = |seconds: f64| format!("{:.0}", (LENGTH * PASSES) as f64 / 1e6 / seconds);
    vec![name.to_owned(), threads.to_string(), speed(cost.cpu), speed(cost.wall)]
}

fn open(memory: &MemoryDisk) -> (Accepted, VolumeKey) {
    let header = Header::read(memory).unwrap().accept(&Allowed::default()).unwrap();
    let passphrase = Passphrase::new(Secret::copied_from(PASSPHRASE.as_bytes()));
    let (_, key) = luks::open_any(memory, &header, &passphrase).unwrap();
    (header, key)
}

/// A speed means nothing if what is read is wrong: cryptsetup wrote the disk.
fn assert_right(plain: &Plain<MemoryDisk>) {
    let mut piece = vec![0; PIECE];
    for offset in [0, LENGTH - PIECE] {
        plain.read_at(Bytes(offset as u64), &mut piece).unwrap();
        assert!(piece.iter().all(|byte| *byte == CONTENT), "what is read is not what was written");
    }
}

/// Divides the length among `count` threads, each with a piece of memory of its own; `work` gets an offset and it.
fn threads(count: usize, work: impl Fn(usize, &mut [u8]) + Sync) -> Cost {
    let each = LENGTH / count;
    let run = |number: usize| {
        let mut piece = vec![0; PIECE];
        for _ in 0..PASSES {
            for offset in (number * each..(number + 1) * each).step_by(PIECE) {
                work(offset, &mut piece);
                black_box(&piece);
            }
        }
    };
    clock::of_own(|| {
        std::thread::scope(|scope| {
            for number in 0..count {
                let run = &run;
                scope.spawn(move || run(number));
            }
        });
    })
}
