//! `image cat` and `image serve` on LUKS1, with QEMU's own LUKS driver as the judge: it has nothing of cryptsetup in it.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::disk::PASSPHRASE;
use compliance::{Disk, Maker, Program, Table, Version};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Bytes of which no two sectors are alike.
fn content() -> Vec<u8> {
    (0u32..1 << 19).flat_map(|n| n.wrapping_mul(0x9e37_79b9).to_le_bytes()).collect()
}

/// `qemu-img convert` with the disk's passphrase as the secret `s`.
fn convert(disk: &Disk) -> Program {
    let secret = format!("secret,id=s,file={}", disk.passphrase_file().display());
    Program::new("qemu-img").args(["convert", "--object", &secret])
}

fn cat(file: &Path, words: &[&str]) -> Vec<u8> {
    let program = Program::cotter().args(["image", "cat"]).arg(file).args(words).input(PASSPHRASE);
    program.succeed().stdout
}

#[test]
fn what_qemu_encrypts_is_read() {
    let mut table = Table::new("qemu-img encrypts LUKS1, cotter image cat reads");
    let content = content();
    for (cipher, ivgen, hash) in [
        ("aes-256,cipher-mode=xts", "plain64", "sha256"),
        ("aes-256,cipher-mode=xts", "plain64", "sha512"),
        ("aes-128,cipher-mode=xts", "plain64", "sha1"),
        ("aes-256,cipher-mode=cbc,ivgen-hash-alg=sha256", "essiv", "sha256"),
    ] {
        table.row(format!("{cipher} {ivgen} {hash}"), || {
            let disk = Disk::blank(0);
            let raw = disk.file("raw", &content);
            let options = format!("key-secret=s,cipher-alg={cipher},ivgen-alg={ivgen},hash-alg={hash},iter-time=10");
            encrypted_by_qemu(&disk, &raw, &options);
            assert!(cat(&disk.path(), &["-k", "-"]) == content);
            let info = Program::cotter().args(["image", "info"]).arg(disk.path()).succeed().text();
            assert!(info.contains("LUKS1"), "{info}");
            // QEMU leaves no gap before the data, so there is no room for a binding, and nothing is written that is not there.
            let before = disk.bytes();
            assert!(disk.try_bind(Maker::Ours, "null", "{}").failed_with(1).said().contains("cotter encrypt"));
            assert!(disk.bytes() == before);
            // Another passphrase finds its place, for QEMU too.
            disk.add(Maker::Ours, "second", &[]);
            disk.assert_opens(&[PASSPHRASE, "second"], &["wrong"]);
            disk.kill(Maker::Ours, "0");
            fs::write(disk.passphrase_file(), "second").unwrap();
            assert!(read_by_qemu(&disk) == content);
        });
    }
    table.finish();
}

/// QEMU measures a derivation of some milliseconds, and gives up where the kernel's clock of the process has not moved meanwhile: that is
/// not what is tried here, and it is asked again.
fn encrypted_by_qemu(disk: &Disk, raw: &Path, options: &str) {
    const TRIES: usize = 20;
    let convert = || convert(disk).args(["-f", "raw", "-O", "luks", "-o", options]).arg(raw).arg(disk.path()).run();
    let mut tries = std::iter::repeat_with(convert).take(TRIES);
    let ended = tries.find(|ended| ended.status.success() || !ended.said().contains("accurate CPU usage"));
    ended.unwrap().succeeded();
}

/// The plaintext, as QEMU reads it.
fn read_by_qemu(disk: &Disk) -> Vec<u8> {
    let out = disk.beside("plain");
    let source = format!("driver=luks,key-secret=s,file.driver=file,file.filename={}", disk.path().display());
    convert(disk).args(["--image-opts", &source, "-O", "raw"]).arg(&out).succeed();
    fs::read(out).unwrap()
}

#[test]
fn what_the_export_writes_qemu_reads() {
    let mut table = Table::new("nbdcopy writes to cotter image serve, QEMU reads LUKS1");
    let content = content();
    for maker in Maker::BOTH {
        table.row(maker.format_name(), || {
            let disk = Disk::of(maker, Version::Luks1);
            let (source, socket) = (disk.file("source", &content), disk.beside("socket"));
            let serve = Program::cotter().args(["image", "serve", "--read-write", "-k"]).arg(disk.passphrase_file());
            let serve = serve.arg(disk.path()).arg("--socket").arg(&socket).start();
            let uri = format!("nbd+unix:///?socket={}", socket.display());
            let start = Instant::now();
            while !socket.exists() {
                assert!(start.elapsed() < Duration::from_secs(20), "the export does not come up");
                std::thread::sleep(Duration::from_millis(5));
            }
            Program::new("nbdcopy").arg("--flush").arg(&source).arg(uri).succeed();
            serve.terminate();
            serve.wait().succeeded();
            assert!(read_by_qemu(&disk).starts_with(&content));
            // Bound, it is read with nothing typed.
            disk.bind(Maker::Ours, "null", "{}");
            assert!(cat(&disk.path(), &[]).starts_with(&content));
            assert!(cat(&disk.path(), &["-k", "-"]).starts_with(&content));
        });
    }
    table.finish();
}
