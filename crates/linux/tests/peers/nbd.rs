//! Our NBD export as libnbd and QEMU see it.

use crate::tool::{run, said, succeed, tool};
use block::nbd::{BlockSizes, Export, Report};
use block::{BlockRead, Bytes, MemoryDisk};
use linux::{Access, BlockEvent, BlockListener, FileDisk, StopBlocks};
use std::num::NonZeroUsize;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

const LIMIT: NonZeroUsize = NonZeroUsize::new(8).unwrap();
const SIZE: usize = 16 << 20;
/// nbdcopy gives each connection 128 MiB at a time: this is work for three.
const LARGE: usize = 260 << 20;

/// A server for one export, on a socket in a folder of its own.
struct Server {
    folder: tempfile::TempDir,
    stop: StopBlocks,
    thread: Option<JoinHandle<()>>,
    reports: Arc<Mutex<Vec<Report>>>,
}

impl Server {
    fn start(export: Export) -> Server {
        let folder = tempfile::tempdir().unwrap();
        let listener = BlockListener::bind(folder.path().join("nbd")).unwrap();
        let (stop, reports) = (listener.stop_handle(), Arc::new(Mutex::new(Vec::new())));
        let kept = reports.clone();
        let keep = move |event| match event {
            BlockEvent::Served { report, .. } => kept.lock().unwrap().push(report),
            BlockEvent::Broken { error, .. } => panic!("a client of today cannot even negotiate: {error}"),
            _ => {}
        };
        let thread = std::thread::spawn(move || listener.serve(&export, LIMIT, &keep).unwrap());
        Server { folder, stop, thread: Some(thread), reports }
    }

    fn uri(&self) -> String {
        format!("nbd+unix:///?socket={}/nbd", self.folder.path().display())
    }

    /// Stops it, and returns what was done on each connection.
    fn stop(mut self) -> Vec<Report> {
        self.stop.stop();
        self.thread.take().unwrap().join().unwrap();
        std::mem::take(&mut self.reports.lock().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

/// Bytes that differ from sector to sector.
fn sample(size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    for (number, sector) in (0_u64..).zip(bytes.chunks_exact_mut(512)) {
        sector.fill(number.to_le_bytes()[0] | 1);
        sector[..8].copy_from_slice(&number.to_le_bytes());
    }
    bytes
}

fn sizes(minimum: u32) -> BlockSizes {
    BlockSizes::from_minimum(minimum).unwrap()
}

fn read_only(minimum: u32) -> Server {
    let export = Export::read_only("plain", Arc::new(MemoryDisk::from(sample(SIZE))), sizes(minimum)).unwrap();
    Server::start(export.described("what was encrypted").unwrap())
}

fn read_write(minimum: u32) -> (Server, Arc<MemoryDisk>) {
    let disk = Arc::new(MemoryDisk::from(sample(SIZE)));
    (Server::start(Export::read_write("plain", disk.clone(), sizes(minimum)).unwrap()), disk)
}

fn libnbd(program: &str) -> Command {
    tool(program, "libnbd-bin")
}

fn qemu(program: &str) -> Command {
    tool(program, "qemu-utils")
}

/// `qemu-io` with its commands, each of which must succeed.
fn qemu_io(uri: &str, commands: &[&str]) -> String {
    let mut program = qemu("qemu-io");
    for command in commands {
        program.args(["-c", command]);
    }
    succeed(&mut program, ["-f", "raw", uri])
}

#[test]
fn nbdinfo_is_told_what_is_offered() {
    let server = read_only(512);
    let text = succeed(&mut libnbd("nbdinfo"), ["--json", &server.uri()]);
    for line in [
        "\"protocol\": \"newstyle-fixed\"",
        "\"TLS\": false",
        "\"structured\": true",
        "\"export-name\": \"plain\"",
        "\"description\": \"what was encrypted\"",
        "\"export-size\": 16777216",
        "\"is_read_only\": true",
        "\"can_multi_conn\": true",
        "\"can_df\": true",
        "\"can_flush\": true",
        "\"can_fua\": true",
        "\"can_trim\": false",
        "\"can_zero\": false",
        "\"can_cache\": false",
        "\"block_size_minimum\": 512",
        "\"block_size_preferred\": 4096",
        "\"block_size_maximum\": 33554432",
    ] {
        assert!(text.contains(line), "{line} is missing in {text}");
    }
    let (server, _) = read_write(4096);
    let text = succeed(&mut libnbd("nbdinfo"), ["--json", &server.uri()]);
    assert!(text.contains("\"is_read_only\": false") && text.contains("\"block_size_minimum\": 4096"), "{text}");
}

#[test]
fn exports_are_listed_and_asked_for_by_name() {
    let server = read_only(512);
    let text = succeed(&mut libnbd("nbdinfo"), ["--list", &server.uri()]);
    assert!(text.contains("export=\"plain\""), "{text}");
    let named = |name: &str| server.uri().replace("///?", &format!("///{name}?"));
    assert_eq!(succeed(&mut libnbd("nbdinfo"), ["--size", &named("plain")]).trim(), SIZE.to_string());
    let refused = run(&mut libnbd("nbdinfo"), ["--size", &named("other")]);
    assert!(!refused.status.success());
    assert!(said(&refused).contains("has no export named 'other'"), "{}", said(&refused));
}

#[test]
fn nbdcopy_reads_what_went_in() {
    for minimum in [1, 512, 4096] {
        let server = read_only(minimum);
        let copy = server.folder.path().join("copy.img");
        succeed(&mut libnbd("nbdcopy"), [&server.uri(), copy.to_str().unwrap()]);
        assert!(std::fs::read(&copy).unwrap() == sample(SIZE));
    }
}

#[test]
fn nbdcopy_writes_what_went_in() {
    for minimum in [1, 512, 4096] {
        let (server, disk) = read_write(minimum);
        let source = server.folder.path().join("source.img");
        // Holes too: they must arrive as zeroes although we offer no command for them.
        let mut bytes = sample(SIZE);
        bytes.reverse();
        bytes[1 << 20..5 << 20].fill(0);
        std::fs::write(&source, &bytes).unwrap();
        succeed(&mut libnbd("nbdcopy"), ["--flush", source.to_str().unwrap(), &server.uri()]);
        assert!(disk.to_vec() == bytes);
        let reports = server.stop();
        assert!(reports.iter().all(|report| report.refused == 0), "{reports:?}");
    }
}

/// Reads and writes at once: from one export of ours into another, four connections each.
#[test]
fn nbdcopy_over_several_connections_copies_what_went_in() {
    let from = Export::read_only("from", Arc::new(MemoryDisk::from(sample(LARGE))), sizes(512)).unwrap();
    let disk = Arc::new(MemoryDisk::zeroed(LARGE));
    let to = Export::read_write("to", disk.clone(), sizes(512)).unwrap();
    let (from, to) = (Server::start(from), Server::start(to));
    succeed(&mut libnbd("nbdcopy"), ["--connections=4", "--threads=4", "--flush", &from.uri(), &to.uri()]);
    assert!(disk.to_vec() == sample(LARGE));
    let (read, written) = (from.stop(), to.stop());
    assert_eq!(read.iter().map(|report| report.read.0).sum::<u64>(), LARGE as u64);
    assert_eq!(written.iter().map(|report| report.written.0).sum::<u64>(), LARGE as u64);
    assert!(written.iter().filter(|report| report.written > Bytes(0)).count() > 1, "one connection did it all");
}

#[test]
fn nbdcopy_cannot_write_a_read_only_export() {
    let server = read_only(512);
    let source = server.folder.path().join("source.img");
    std::fs::write(&source, vec![0; SIZE]).unwrap();
    let refused = run(&mut libnbd("nbdcopy"), [source.to_str().unwrap(), &server.uri()]);
    assert!(!refused.status.success());
}

#[test]
fn qemu_img_converts_and_compares() {
    let server = read_only(512);
    let copy = server.folder.path().join("copy.qcow2");
    let copy = copy.to_str().unwrap();
    succeed(&mut qemu("qemu-img"), ["convert", "-f", "raw", "-O", "qcow2", &server.uri(), copy]);
    let verdict = succeed(&mut qemu("qemu-img"), ["compare", "-f", "raw", "-F", "qcow2", &server.uri(), copy]);
    assert!(verdict.contains("Images are identical"), "{verdict}");
}

#[test]
fn qemu_io_reads_writes_flushes_and_discards() {
    for minimum in [512, 4096] {
        let (server, disk) = read_write(minimum);
        let commands = [
            "write -P 0xab 4096 8192",
            "write -f -P 0xac 1048576 4096", // FUA
            "write -P 0xad 777 100",         // not in whole blocks: QEMU reads, changes and writes
            "write -z 65536 65536",          // zeroes, which QEMU has to write out
            "discard 131072 65536",          // not offered: QEMU leaves it
            "flush",
            "read -P 0xab 4096 8192",
            "read -P 0xad 777 100",
            "read -P 0 65536 65536",
        ];
        let text = qemu_io(&server.uri(), &commands);
        assert!(!text.contains("verification failed"), "{text}");
        let mut expected = sample(SIZE);
        expected[4096..12288].fill(0xab);
        expected[1 << 20..(1 << 20) + 4096].fill(0xac);
        expected[777..877].fill(0xad);
        expected[65536..131_072].fill(0);
        assert!(disk.to_vec() == expected);
        let reports = server.stop();
        assert!(reports.iter().all(|report| report.refused == 0), "{reports:?}");
    }
}

#[test]
fn qemu_io_is_refused_on_a_read_only_export() {
    let server = read_only(512);
    let commands = ["-r", "-c", "write 0 512", "-f", "raw", &server.uri()];
    let refused = run(&mut qemu("qemu-io"), commands);
    assert!(said(&refused).contains("read-only"), "{}", said(&refused));
    let writable = run(&mut qemu("qemu-io"), ["-c", "read 0 512", "-f", "raw", &server.uri()]);
    assert!(!writable.status.success(), "QEMU opens a read-only export for writing: {}", said(&writable));
}

#[test]
fn one_client_sees_what_another_has_written() {
    let (server, _) = read_write(512);
    qemu_io(&server.uri(), &["write -P 0x5a 0 65536"]);
    let text = qemu_io(&server.uri(), &["read -P 0x5a 0 65536"]);
    assert!(!text.contains("verification failed"), "{text}");
}

#[test]
fn a_file_is_served_and_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.img");
    std::fs::write(&path, sample(SIZE)).unwrap();
    let disk = Arc::new(FileDisk::open(&path, Access::Write).unwrap());
    let server = Server::start(Export::read_write("disk", disk, sizes(512)).unwrap());
    qemu_io(&server.uri(), &["write -P 0x77 512 512", "flush"]);
    assert_eq!(server.stop().len(), 1);
    let mut expected = sample(SIZE);
    expected[512..1024].fill(0x77);
    assert!(std::fs::read(&path).unwrap() == expected);
}

#[test]
fn a_disk_that_fails_is_an_error_for_the_client() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.img");
    let disk = FileDisk::create(&path, Bytes(SIZE as u64)).unwrap();
    // Somebody cuts the file while it is served.
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(8192).unwrap();
    assert_eq!(disk.len(), Bytes(SIZE as u64));
    let server = Server::start(Export::read_only("disk", Arc::new(disk), sizes(512)).unwrap());
    let outcome = run(&mut qemu("qemu-io"), ["-r", "-c", "read 0 65536", "-f", "raw", &server.uri()]);
    assert!(said(&outcome).contains("Input/output error"), "{}", said(&outcome));
    let fine = succeed(&mut qemu("qemu-io"), ["-r", "-c", "read 0 8192", "-f", "raw", &server.uri()]);
    assert!(fine.contains("8 KiB"), "{fine}");
    assert!(server.stop().iter().any(|report| report.disk_failure.is_some()));
}

#[test]
fn the_socket_is_gone_after_a_stop() {
    let server = read_only(512);
    let socket = server.folder.path().join("nbd");
    assert!(socket.exists());
    server.stop.stop();
    let thread = server.thread.as_ref().unwrap();
    while !thread.is_finished() {
        std::thread::yield_now();
    }
    assert!(!socket.exists());
}
