//! `cotter image`: what is read from and written to a disk, with cryptsetup and libnbd as judges.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::disk::Cipher;
use compliance::program::Running;
use compliance::{Curve, Disk, KeyDirectory, Maker, Program, Server, Table};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const MIB: usize = 1 << 20;

/// Bytes of which no two sectors are alike.
fn content(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..length / 8).flat_map(|_| next()).collect()
}

/// `cotter image cat` of a disk that cryptsetup encrypted is what cryptsetup itself decrypts, in every cipher.
#[test]
fn cat_reads_what_cryptsetup_encrypted() {
    let mut table = Table::new("cryptsetup encrypts, cotter image cat reads");
    let content = content(MIB);
    for cipher in Cipher::ACCEPTED {
        table.row(cipher.words().join(" "), || {
            let disk = Disk::encrypted(&content, cipher);
            let program = Program::cotter().args(["image", "cat", "-k"]).arg(disk.passphrase_file()).arg(disk.path());
            let plain = program.succeed().stdout;
            assert!(plain.starts_with(&content), "the content is not what was encrypted");
            assert!(disk.decrypted().starts_with(&plain), "what follows the content is not what cryptsetup decrypts");
        });
    }
    table.finish();
}

/// What `nbdcopy` writes to our export, cryptsetup decrypts; nothing was typed, the disk was bound.
#[test]
fn cryptsetup_reads_what_the_export_wrote() {
    let mut table = Table::new("nbdcopy writes to cotter image serve, cryptsetup reads");
    let keys = KeyDirectory::new(Maker::Theirs, Curve::P521);
    let server = Server::start(Maker::Theirs, &keys);
    let content = content(2 * MIB);
    for cipher in Cipher::ACCEPTED {
        table.row(cipher.words().join(" "), || {
            let kdf = ["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1001"];
            let disk = Disk::formatted_with(Maker::Ours, cipher, &kdf);
            disk.bind(Maker::Ours, "tang", &server.config());
            let source = disk.beside("source");
            fs::write(&source, &content).unwrap();
            let export = Export::start(&disk, &["--read-write"]);
            Program::new("nbdcopy").arg("--connections=4").arg("--flush").arg(&source).arg(export.uri()).succeed();
            export.stop();
            assert!(disk.decrypted().starts_with(&content));
        });
    }
    table.finish();
}

/// The export read back by `nbdcopy` equals what went in, over several connections, bound by either client.
#[test]
fn nbdcopy_reads_what_went_in() {
    let mut table = Table::new("cotter image serve, nbdcopy reads");
    let keys = KeyDirectory::new(Maker::Ours, Curve::P521);
    let server = Server::start(Maker::Ours, &keys);
    let content = content(4 * MIB);
    for binding in Maker::BOTH {
        for cipher in [Cipher::ACCEPTED[0], Cipher::ACCEPTED[1]] {
            table.row(format!("{} binds, {}", binding.client_name(), cipher.words().join(" ")), || {
                let disk = Disk::encrypted(&content, cipher);
                disk.bind(binding, "tang", &server.config());
                let before = disk.bytes();
                let export = Export::start(&disk, &[]);
                let copy = disk.beside("copy");
                Program::new("nbdcopy").arg("--connections=4").arg(export.uri()).arg(&copy).succeed();
                assert!(fs::read(&copy).unwrap().starts_with(&content));
                let info = Program::new("nbdinfo").arg(export.uri()).succeed().text();
                assert!(info.contains("is_read_only: true"), "{info}");
                let write = Program::new("nbdcopy").arg(&copy).arg(export.uri()).run();
                assert!(!write.status.success(), "a read-only export was written to");
                export.stop();
                assert!(disk.bytes() == before, "reading changed the disk");
            });
        }
    }
    table.finish();
}

/// QEMU and nbdkit, each with an NBD client of its own, read what libnbd reads.
#[test]
fn other_clients_read_the_same() {
    let content = content(2 * MIB);
    let disk = Disk::encrypted(&content, Cipher::ACCEPTED[1]);
    let key = disk.passphrase_file();
    let export = Export::start(&disk, &["-k", key.to_str().unwrap()]);
    let mut table = Table::new("other clients of cotter image serve");
    let copy = disk.beside("copy");
    let check = |program: Program| {
        program.succeed();
        assert!(fs::read(&copy).unwrap().starts_with(&content));
        fs::remove_file(&copy).unwrap();
    };
    table.row("qemu-img convert", || {
        let program = Program::new("qemu-img").args(["convert", "-f", "raw", "-O", "raw", "-S", "0"]);
        check(program.arg(format!("nbd+unix:///?socket={}", export.socket.display())).arg(&copy));
    });
    table.row("nbdkit nbd", || {
        let program =
            Program::new("nbdkit").args(["-U", "-", "nbd"]).arg(format!("socket={}", export.socket.display()));
        check(program.arg("--run").arg(format!("nbdcopy \"$uri\" {}", copy.display())));
    });
    export.stop();
    table.finish();
}

/// A disk image with a partition table, made by `sfdisk`, with LUKS in its second partition.
#[test]
fn a_partition_is_found_in_an_image() {
    let keys = KeyDirectory::new(Maker::Theirs, Curve::P521);
    let server = Server::start(Maker::Theirs, &keys);
    let content = content(MIB);
    for label in ["gpt", "dos"] {
        let disk = Disk::encrypted(&content, Cipher::USUAL);
        disk.bind(Maker::Theirs, "tang", &server.config());
        let image = in_second_partition(&disk, label);
        let info = Program::cotter().args(["image", "info"]).arg(&image).succeed().text();
        assert!(info.to_lowercase().contains("luks"), "{info}");
        for choice in [&[][..], &["--partition", "2"]] {
            let plain = Program::cotter().args(["image", "cat"]).arg(&image).args(choice).succeed().stdout;
            assert!(plain.starts_with(&content), "{label} {choice:?}");
        }
        Program::cotter().args(["image", "cat"]).arg(&image).args(["--partition", "1"]).run().failed_with(1);
        Program::cotter().args(["image", "cat"]).arg(&image).args(["--partition", "9"]).run().failed_with(1);
    }
}

/// The first partition has 1 MiB from sector 2048; the second, from 4096, holds the disk.
fn in_second_partition(disk: &Disk, label: &str) -> PathBuf {
    const SECOND_AT: usize = 4096 * 512;
    let bytes = disk.bytes();
    let image = disk.beside("whole.img");
    let mut whole = vec![0; SECOND_AT];
    whole.extend(&bytes);
    whole.resize(whole.len() + MIB, 0); // room for the second copy of a GPT
    fs::write(&image, whole).unwrap();
    let sectors = bytes.len() / 512;
    let table = format!("label: {label}\nstart=2048, size=2048\nstart=4096, size={sectors}\n");
    Program::new("sfdisk").args(["-q", "--wipe=never", "--wipe-partitions=never"]).arg(&image).input(table).succeed();
    image
}

/// A running `cotter image serve`.
struct Export {
    running: Running,
    socket: PathBuf,
}

impl Export {
    fn start(disk: &Disk, words: &[&str]) -> Export {
        let socket = disk.beside("nbd.socket");
        let program = Program::cotter().args(["image", "serve"]).arg(disk.path()).arg("--socket").arg(&socket);
        let mut running = program.args(words).start();
        let start = Instant::now();
        while !socket.exists() {
            assert!(start.elapsed() < Duration::from_secs(20), "the export does not come up");
            if !running.is_alive() {
                running.wait().succeeded();
                panic!("the export ended before it served");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Export { running, socket }
    }

    fn uri(&self) -> String {
        format!("nbd+unix:///?socket={}", self.socket.display())
    }

    /// As a service manager stops it; the socket goes with it.
    fn stop(self) {
        self.running.terminate();
        self.running.wait().succeeded();
        assert_gone(&self.socket);
    }
}

fn assert_gone(socket: &Path) {
    assert!(!socket.exists(), "the socket was left behind");
}
