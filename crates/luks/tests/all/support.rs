//! Small volumes in memory, the original in a process, and headers changed by hand.

use block::{BlockError, BlockRead, BlockWrite, Bytes, MemoryDisk};
use crypto::kdf::{Argon2Cost, Argon2Variant};
use crypto::{Hash, Passphrase, Random, RandomFailed, Secret, SystemRandom, VolumeKey};
use json::{Limits, Value};
use luks::{Accepted, Allowed, FormatOptions, FormatPlan, Header, KdfCost, LEAST_ITERATIONS};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

pub fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(Secret::copied_from(text.as_bytes()))
}

pub fn pbkdf2() -> KdfCost {
    KdfCost::Pbkdf2 { hash: Hash::Sha256, iterations: LEAST_ITERATIONS }
}

pub fn argon2(variant: Argon2Variant) -> KdfCost {
    KdfCost::Argon2 { variant, cost: Argon2Cost { memory_kib: 64, passes: 4, lanes: 2 } }
}

pub fn slot(number: u64) -> luks::Slot {
    luks::Slot::new(number).unwrap()
}

pub fn token(number: u64) -> luks::TokenId {
    luks::TokenId::new(number).unwrap()
}

/// A volume in memory: room for two slots of 64-byte keys, and 64 KiB of data.
pub struct Volume {
    pub disk: MemoryDisk,
    pub key: VolumeKey,
}

pub const SMALL_OFFSET: u64 = 1 << 20;

pub fn small_options() -> FormatOptions {
    FormatOptions { data_offset: Bytes(SMALL_OFFSET), ..FormatOptions::new(pbkdf2()) }
}

/// Slot 0 is opened by `one`.
pub fn volume(options: FormatOptions) -> Volume {
    let disk = MemoryDisk::zeroed(usize::try_from(options.data_offset.0).unwrap() + (64 << 10));
    let plan = FormatPlan::new(disk.len(), options).unwrap();
    let formatted = plan.apply(&disk, &passphrase("one"), &SystemRandom, &mut |_| {}).unwrap();
    Volume { disk, key: formatted.key }
}

pub fn accepted(disk: &dyn BlockRead) -> Accepted {
    Header::read(disk).unwrap().accept(&Allowed::default()).unwrap()
}

/// An error and what caused it, as the top prints it.
pub fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

/// The JSON text of the copy at `offset`.
pub fn json_of(bytes: &[u8], offset: usize) -> String {
    let size = usize::try_from(u64::from_be_bytes(bytes[offset + 8..offset + 16].try_into().unwrap())).unwrap();
    let area = &bytes[offset + 4096..offset + size];
    let end = area.iter().position(|b| *b == 0).unwrap();
    String::from_utf8(area[..end].to_vec()).unwrap()
}

/// The JSON with its members sorted, lists of slots too, salts and digests left out: what does not differ between two programs
/// that did the same.
pub fn comparable(bytes: &[u8]) -> String {
    let mut document = json::parse(json_of(bytes, 0).as_bytes(), &Limits::LUKS2).unwrap();
    normalise(&mut document);
    document.to_compact().to_string()
}

fn normalise(value: &mut Value) {
    let Some(object) = value.as_object_mut() else { return };
    object.remove("salt");
    if object.get("digest").is_some_and(|digest| digest.as_str().is_some()) {
        object.remove("digest");
    }
    let mut names: Vec<String> = object.iter().map(|(name, _)| name.to_owned()).collect();
    names.sort();
    for name in names {
        let mut member = object.remove(&name).unwrap();
        normalise(&mut member);
        if let (Value::Array(slots), "keyslots") = (&mut member, name.as_str()) {
            slots.sort_by_key(|slot| slot.as_str().unwrap().to_owned());
        }
        object.insert(&name, member);
    }
}

/// Puts these bytes into the JSON area of both copies and gives them right checksums (SHA-256).
pub fn with_json_area(bytes: &[u8], area: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let size = usize::try_from(u64::from_be_bytes(bytes[8..16].try_into().unwrap())).unwrap();
    for start in [0, size] {
        let place = &mut bytes[start + 4096..start + size];
        place.fill(0);
        place[..area.len()].copy_from_slice(area);
        seal(&mut bytes, start, size);
    }
    bytes
}

/// Gives the copy at `start` a right checksum (SHA-256).
pub fn seal(bytes: &mut [u8], start: usize, size: usize) {
    bytes[start + 448..start + 512].fill(0);
    let digest = Hash::Sha256.digest(&[&bytes[start..start + size]]);
    bytes[start + 448..start + 480].copy_from_slice(digest.as_ref());
}

/// The same volume with a piece of its JSON replaced, in both copies, checksums right.
pub fn with_json(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let json = json_of(bytes, 0);
    assert!(json.contains(from), "{from} is not in {json}");
    with_json_area(bytes, json.replacen(from, to, 1).as_bytes())
}

/// A file that is removed with its value.
pub struct TestFile(pub PathBuf);

impl TestFile {
    pub fn new(bytes: &[u8]) -> TestFile {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("luks-{}-{number}.img", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&path, bytes).unwrap();
        TestFile(path)
    }

    /// A file of `length` zeros that takes no room.
    pub fn zeroed(length: u64) -> TestFile {
        let file = TestFile::new(&[]);
        std::fs::OpenOptions::new().write(true).open(&file.0).unwrap().set_len(length).unwrap();
        file
    }

    /// A name for a file that somebody else makes.
    pub fn absent() -> TestFile {
        let file = TestFile::new(&[]);
        std::fs::remove_file(&file.0).unwrap();
        file
    }

    pub fn bytes(&self) -> Vec<u8> {
        std::fs::read(&self.0).unwrap()
    }

    pub fn disk(&self) -> MemoryDisk {
        MemoryDisk::from(self.bytes())
    }

    pub fn set(&self, disk: &MemoryDisk) {
        std::fs::write(&self.0, disk.to_vec()).unwrap();
    }

    pub fn name(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for TestFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Runs cryptsetup with `input` on its standard input; gives its standard output, or its standard error.
pub fn cryptsetup(args: &[&str], input: &str) -> Result<String, String> {
    let child = Command::new("cryptsetup")
        .args(args)
        .env("LC_ALL", "C")
        // Debian keeps it in /usr/sbin, which is not on everybody's path.
        .env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.expect("cryptsetup does not run here: apt-get install cryptsetup-bin");
    // It may end without reading.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// Whether cryptsetup opens this slot with this passphrase.
pub fn they_open(file: &TestFile, slot: u64, passphrase: &str) -> bool {
    let slot = slot.to_string();
    let args = ["open", "--test-passphrase", "--key-slot", &slot, "--key-file=-", file.name()];
    match cryptsetup(&args, passphrase) {
        Ok(_) => true,
        Err(said) => {
            assert!(said.contains("No key available") || said.contains("No usable keyslot"), "{said}");
            false
        }
    }
}

/// Formats with cryptsetup; slot 0 is opened by `one`.
pub fn they_format(args: &[&str], length: u64) -> TestFile {
    let file = TestFile::zeroed(length);
    let mut all = vec!["luksFormat", "-q", "--type", "luks2", "--key-file=-"];
    all.extend(args);
    all.push(file.name());
    cryptsetup(&all, "one").unwrap();
    file
}

pub const TINY_PBKDF2: [&str; 4] = ["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"];
pub const TINY_ARGON2ID: [&str; 8] =
    ["--pbkdf", "argon2id", "--pbkdf-memory", "64", "--pbkdf-force-iterations", "4", "--pbkdf-parallel", "2"];

/// A generator that has nothing to give after so many bytes.
pub struct LittleRandom(pub AtomicUsize);

impl Random for LittleRandom {
    fn fill(&self, into: &mut [u8]) -> Result<(), RandomFailed> {
        let left = self.0.load(Ordering::Relaxed).checked_sub(into.len()).ok_or(RandomFailed)?;
        self.0.store(left, Ordering::Relaxed);
        SystemRandom.fill(into)
    }
}

/// A disk that fails, or lies, from the n-th write on.
pub struct FailingDisk {
    pub disk: MemoryDisk,
    writes: AtomicUsize,
    fail: Failing,
}

#[derive(Clone, Copy)]
pub enum Failing {
    /// Writing fails this often, having written half.
    Write { from: usize, times: usize },
    /// The power fails during write number `at`: of it `kept` bytes reach the disk, of later ones nothing.
    Power { at: usize, kept: usize },
    /// Flushing number this fails once.
    Flush(usize),
    /// Write number this is taken and forgotten.
    Forget(usize),
    /// Reading anything from this byte on fails.
    ReadFrom(u64),
    /// Reading fails after so many writes.
    ReadAfter(usize),
}

impl FailingDisk {
    pub fn new(disk: MemoryDisk, fail: Failing) -> FailingDisk {
        FailingDisk { disk, writes: AtomicUsize::new(0), fail }
    }

    /// How many writes, or flushes, there were.
    pub fn count(&self) -> usize {
        self.writes.load(Ordering::Relaxed)
    }

    fn failed(doing: &'static str, offset: Bytes) -> BlockError {
        BlockError::Failed { doing, offset, source: std::io::Error::other("planned") }
    }
}

impl BlockRead for FailingDisk {
    fn len(&self) -> Bytes {
        self.disk.len()
    }

    fn read_at(&self, offset: Bytes, into: &mut [u8]) -> Result<(), BlockError> {
        match self.fail {
            Failing::ReadFrom(from) if offset.0 + into.len() as u64 > from => Err(FailingDisk::failed("read", offset)),
            Failing::ReadAfter(writes) if self.count() >= writes => Err(FailingDisk::failed("read", offset)),
            _ => self.disk.read_at(offset, into),
        }
    }
}

impl BlockWrite for FailingDisk {
    fn write_at(&self, offset: Bytes, from: &[u8]) -> Result<(), BlockError> {
        match self.fail {
            Failing::Write { from: first, times } => {
                let n = self.writes.fetch_add(1, Ordering::Relaxed);
                if (first..first + times).contains(&n) {
                    self.disk.write_at(offset, &from[..from.len() / 2])?;
                    return Err(FailingDisk::failed("write", offset));
                }
            }
            Failing::Power { at, kept } => {
                let n = self.writes.fetch_add(1, Ordering::Relaxed);
                if n >= at {
                    let kept = if n == at { kept.min(from.len()) } else { 0 };
                    self.disk.write_at(offset, &from[..kept])?;
                    return Err(FailingDisk::failed("write", offset));
                }
            }
            Failing::ReadAfter(_) => {
                self.writes.fetch_add(1, Ordering::Relaxed);
            }
            Failing::Forget(n) if self.writes.fetch_add(1, Ordering::Relaxed) == n => return Ok(()),
            _ => {}
        }
        self.disk.write_at(offset, from)
    }

    fn flush(&self) -> Result<(), BlockError> {
        match self.fail {
            Failing::Flush(n) if self.writes.fetch_add(1, Ordering::Relaxed) == n => {
                Err(FailingDisk::failed("flush", Bytes(0)))
            }
            _ => self.disk.flush(),
        }
    }
}

/// A disk that somebody changes after so many reads.
pub struct ChangingDisk {
    before: MemoryDisk,
    after: MemoryDisk,
    reads: AtomicUsize,
    until: usize,
}

impl ChangingDisk {
    pub fn new(before: &[u8], after: &[u8], until: usize) -> ChangingDisk {
        let (before, after) = (MemoryDisk::from(before.to_vec()), MemoryDisk::from(after.to_vec()));
        ChangingDisk { before, after, reads: AtomicUsize::new(0), until }
    }

    /// How many reads there were.
    pub fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
    }
}

impl BlockRead for ChangingDisk {
    fn len(&self) -> Bytes {
        self.before.len()
    }

    fn read_at(&self, offset: Bytes, into: &mut [u8]) -> Result<(), BlockError> {
        let n = self.reads.fetch_add(1, Ordering::Relaxed);
        if n < self.until { self.before.read_at(offset, into) } else { self.after.read_at(offset, into) }
    }
}
