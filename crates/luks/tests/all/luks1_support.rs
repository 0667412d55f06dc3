//! Small LUKS1 volumes, and luksmeta in a process.

use crate::support::*;
use block::{BlockRead, Bytes, MemoryDisk};
use crypto::{Hash, SystemRandom, VolumeKey};
use luks::*;
use std::io::Write as _;
use std::process::{Command, Stdio};
use uuid::Uuid;

/// What Clevis marks its data with.
pub const CLEVIS: Uuid = Uuid::from_u128(0xcb6e8904_81ff_40da_a84a_07ab9ab5715e);
/// Where the gap begins, and the data, with a key of 64 bytes.
pub const GAP: usize = 2_068_480;
pub const PAYLOAD: usize = 2 << 20;

pub fn pbkdf2_of(hash: Hash) -> KdfCost {
    KdfCost::Pbkdf2 { hash, iterations: LEAST_ITERATIONS }
}

/// The volume that XCP-ng makes, with 64 KiB of data that is not zeros. Slot 0 is opened by `one`.
pub fn luks1_volume() -> Volume {
    luks1_volume_of(PAYLOAD + (64 << 10))
}

/// The same, on a disk of this length.
pub fn luks1_volume_of(len: usize) -> Volume {
    let options = FormatOptions::luks1(pbkdf2_of(Hash::Sha512), 64);
    let disk = MemoryDisk::from(vec![0xaa; len]);
    let plan = FormatPlan::new(disk.len(), options).unwrap();
    let formatted = plan.apply(&disk, &passphrase("one"), &SystemRandom, &mut |_| {}).unwrap();
    Volume { disk, key: formatted.key }
}

/// A volume whose key areas and gap are small: 125 sectors each, and 6 blocks.
pub const SMALL_PAYLOAD: usize = (1032 + 56) * 512;

pub fn small_volume() -> Volume {
    let options = FormatOptions {
        cipher: Cipher::AesCbcEssivSha256,
        data_offset: Bytes(SMALL_PAYLOAD as u64),
        ..FormatOptions::luks1(pbkdf2_of(Hash::Sha1), 16)
    };
    let disk = MemoryDisk::from(vec![0xaa; SMALL_PAYLOAD + 4096]);
    let plan = FormatPlan::new(disk.len(), options).unwrap();
    let formatted = plan.apply(&disk, &passphrase("one"), &SystemRandom, &mut |_| {}).unwrap();
    Volume { disk, key: formatted.key }
}

/// A slot to be added to a volume of [`luks1_volume`].
pub fn adding<'a>(key: &'a VolumeKey, passphrase: &'a crypto::Passphrase, slot: Option<Slot>) -> NewKeyslot<'a> {
    NewKeyslot { key, passphrase, slot, kdf: pbkdf2_of(Hash::Sha512), af_hash: Hash::Sha512 }
}

/// Applies one change.
pub fn edit(disk: &MemoryDisk, make: impl FnOnce(&mut Edit<'_>)) -> Applied {
    let header = accepted(disk);
    let mut edit = Edit::new(&header, &SystemRandom).unwrap();
    make(&mut edit);
    edit.apply(disk).unwrap()
}

pub fn luks1_of(disk: &dyn BlockRead) -> Luks1 {
    Header::read(disk).unwrap().as_luks1().unwrap().clone()
}

/// The LUKSMeta of a volume that has one.
pub fn meta_of(disk: &dyn BlockRead) -> LuksMeta {
    let header = luks1_of(disk);
    header.meta().present().unwrap_or_else(|| panic!("{:?}", header.meta())).clone()
}

pub fn opens(disk: &dyn BlockRead, text: &str) -> Option<u8> {
    open_any(disk, &accepted(disk), &passphrase(text)).ok().map(|(slot, _)| slot.number())
}

/// What luksmeta printed, or the code it ended with.
pub fn luksmeta(args: &[&str], input: &[u8]) -> Result<Vec<u8>, i32> {
    let child = Command::new("luksmeta")
        .args(args)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = child.expect("luksmeta does not run here: apt-get install luksmeta");
    // It may end without reading.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    if output.status.success() { Ok(output.stdout) } else { Err(output.status.code().unwrap()) }
}

/// Formats with cryptsetup on a file of this length that is not zeros; slot 0 is opened by `one`.
pub fn they_format_luks1(args: &[&str], length: usize) -> TestFile {
    let file = TestFile::new(&vec![0xaa; length]);
    let mut all = vec!["luksFormat", "-q", "--type", "luks1", "--pbkdf-force-iterations", "1000", "--key-file=-"];
    all.extend(args);
    all.push(file.name());
    cryptsetup(&all, "one").unwrap();
    file
}

/// Places in the header of LUKS1, and in the entry of a slot.
pub const LUKS1_PAYLOAD: usize = 104;
pub const KEY_BYTES: usize = 108;
pub const MATERIAL: usize = 40;
pub const STRIPES: usize = 44;

/// Where a field of a slot's entry is.
pub fn luks1_field(slot: usize, field: usize) -> usize {
    208 + 48 * slot + field
}

/// The same bytes with another number at this place.
pub fn with_u32(bytes: &[u8], at: usize, value: u32) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
    bytes
}
