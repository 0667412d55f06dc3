//! Disks that somebody has tampered with, or that are simply broken.

use crate::support::*;
use block::{BlockRead, MemoryDisk};
use luks::*;
use proptest::prelude::*;

/// Reads, and gives the whole error in one line.
fn read(bytes: &[u8]) -> Result<Header, String> {
    Header::read(&MemoryDisk::from(bytes.to_vec())).map_err(|e| {
        assert!(!e.hint().is_empty());
        chain(&e)
    })
}

/// Both headers of a volume, without its data, and how long the disk was.
struct Headers(Vec<u8>);

impl Headers {
    fn new() -> Headers {
        Headers(volume(small_options()).disk.to_vec()[..32768].to_vec())
    }

    /// Reads them as the beginning of a disk of 2 MiB.
    fn read_with(&self, change: impl FnOnce(&mut Vec<u8>)) -> Result<Header, HeaderError> {
        let mut bytes = self.0.clone();
        change(&mut bytes);
        Header::read(&Padded(MemoryDisk::from(bytes)))
    }
}

/// A disk whose rest is zeros, so that it need not be copied.
struct Padded(MemoryDisk);

impl BlockRead for Padded {
    fn len(&self) -> block::Bytes {
        block::Bytes(2 << 20)
    }

    fn read_at(&self, offset: block::Bytes, into: &mut [u8]) -> Result<(), block::BlockError> {
        block::BlockError::check_range(offset, into.len(), self.len())?;
        into.fill(0);
        let left = usize::try_from(self.0.len().0.saturating_sub(offset.0)).unwrap();
        let end = left.min(into.len());
        if end == 0 { Ok(()) } else { self.0.read_at(offset, &mut into[..end]) }
    }
}

#[test]
fn any_flipped_byte_leaves_the_other_copy_in_charge() {
    let headers = Headers::new();
    let json = headers.read_with(|_| {}).unwrap().as_luks2().unwrap().metadata().document().to_compact();
    // Bytes 6 and 7 say of which version the first copy is. Of another one, the second copy does not count.
    for i in [6, 7] {
        let error = headers.read_with(|bytes| bytes[i] ^= 0x20).unwrap_err();
        assert!(matches!(error, HeaderError::UnknownVersion { .. }), "byte {i}: {error}");
    }
    for i in (0..32768).filter(|i| !(6..8).contains(i)) {
        let header =
            headers.read_with(|bytes| bytes[i] ^= 1 << (i % 8)).unwrap_or_else(|e| panic!("{i}: {}", chain(&e)));
        assert_eq!(header.as_luks2().unwrap().metadata().document().to_compact(), json, "byte {i}");
        let damaged =
            header.as_luks2().unwrap().copies().iter().filter(|copy| matches!(copy, CopyState::Damaged { .. })).count();
        // The checksum's field is longer than the checksum, and what is behind means nothing.
        let means_nothing = (480..512).contains(&(i % 16384));
        assert_eq!(damaged, usize::from(!means_nothing), "byte {i}");
    }
}

#[test]
fn any_flipped_byte_in_the_only_copy_is_an_error() {
    let headers = Headers::new();
    for i in (0..4096).chain((4096..16384).step_by(7)).filter(|i| !(480..512).contains(i)) {
        let result = headers.read_with(|bytes| {
            bytes[16384..].fill(0);
            bytes[i] ^= 1 << (i % 8);
        });
        assert!(result.is_err(), "byte {i}");
    }
    // And in the second one alone.
    for i in (16384..20480).chain((20480..32768).step_by(7)).filter(|i| !(480..512).contains(&(i % 16384))) {
        let result = headers.read_with(|bytes| {
            bytes[..16384].fill(0);
            bytes[i] ^= 1 << (i % 8);
        });
        assert!(result.is_err(), "byte {i}");
    }
}

#[test]
fn the_second_copy_is_found_wherever_it_may_be() {
    for size in HeaderSize::all() {
        let data_offset = block::Bytes(16 << 20);
        let Volume { disk, .. } = volume(FormatOptions { header_size: size, data_offset, ..small_options() });
        let mut bytes = disk.to_vec();
        bytes[..4096].fill(0);
        let disk = MemoryDisk::from(bytes);
        let header = Header::read(&disk).unwrap();
        assert_eq!(header.as_luks2().unwrap().size(), size);
        assert!(matches!(header.as_luks2().unwrap().copies(), [CopyState::Damaged { .. }, CopyState::Good]));
        assert!(open_any(&disk, &accepted(&disk), &passphrase("one")).is_ok());
    }
}

#[test]
fn every_truncation_is_an_error_or_the_same_header() {
    let bytes = volume(small_options()).disk.to_vec();
    let areas_end = 32768 + 258_048;
    for cut in [
        0,
        1,
        5,
        6,
        511,
        512,
        4095,
        4096,
        4097,
        16383,
        16384,
        16385,
        20480,
        32767,
        32768,
        areas_end - 1,
        areas_end,
        (1 << 20) - 1,
    ] {
        let said = read(&bytes[..cut]).expect_err("cut short");
        let expected = match cut {
            0..4096 => "there is no LUKS header",
            4096..16384 => "both copies of the LUKS2 header are damaged (primary: its JSON area cannot be read",
            16384..290_816 => "the key material of slot 0 reaches behind the end of the disk",
            _ => "the keyslots area ends at 1048576, behind the end of the disk",
        };
        assert!(said.contains(expected), "{cut}: {said}");
    }
    for cut in [1 << 20, bytes.len() - 1] {
        assert!(read(&bytes[..cut]).is_ok(), "{cut}");
    }
}

#[test]
fn what_is_not_luks_is_said_to_be_so() {
    for bytes in [vec![], vec![0; 1 << 20], vec![0xff; 1 << 20], b"luks\xba\xbe\0\x02".repeat(4096)] {
        assert_eq!(read(&bytes).unwrap_err(), "there is no LUKS header");
    }
    let mut bytes = vec![0; 1 << 20];
    bytes[..8].copy_from_slice(b"LUKS\xba\xbe\0\x01");
    assert_eq!(read(&bytes).unwrap_err(), "the LUKS1 header is damaged: uuid is not a UUID");
    bytes[..8].copy_from_slice(b"LUKS\xba\xbe\0\x03");
    assert_eq!(read(&bytes).unwrap_err(), "this is a LUKS volume of the unknown version 3");
    bytes[..8].copy_from_slice(b"LUKS\xba\xbe\0\x02");
    let said = read(&bytes).unwrap_err();
    assert!(said.contains("primary: it is not a LUKS2 header: hdr_size is 0, not a power of two"), "{said}");
}

#[test]
fn a_luks1_header_over_an_old_luks2_one_is_luks1() {
    let mut bytes = volume(small_options()).disk.to_vec();
    bytes[7] = 1;
    assert!(read(&bytes).unwrap_err().contains("LUKS1"));
}

#[test]
fn a_second_copy_under_something_else_is_refused() {
    let bytes = volume(small_options()).disk.to_vec();
    let zeroed = |len: usize| [vec![0; len], bytes[len..].to_vec()].concat();
    let with = |mut bytes: Vec<u8>, at: usize, magic: &[u8]| {
        bytes[at..at + magic.len()].copy_from_slice(magic);
        bytes
    };
    let garbage = with(bytes.clone(), 0, &[0x6b; 4096]);
    let damaged = with(bytes.clone(), 5000, b"x");
    for alone in [zeroed(512), zeroed(4096), zeroed(16384), garbage, damaged.clone()] {
        let header = Header::read(&MemoryDisk::from(alone.clone())).unwrap();
        assert!(matches!(header.as_luks2().unwrap().copies(), [CopyState::Damaged { .. }, CopyState::Good]));
        assert!(Verdicts::theirs(&alone));
    }
    let refused = |start: &[u8], at: usize, magic: &[u8], expected: &str| {
        let both = with(start.to_vec(), at, magic);
        let said = read(&both).map(|_| ()).expect_err(expected);
        assert!(said.contains("only the second copy") && said.ends_with(expected), "{said}");
        assert!(!Verdicts::theirs(&both), "{expected}: cryptsetup takes it");
    };
    refused(&zeroed(8192), 1080, b"\x53\xef", "ext file system");
    refused(&zeroed(8192), 510, b"\x55\xaa", "partition table");
    refused(&damaged, 1080, b"\x53\xef", "ext file system");
    // A first copy that is whole says that this is LUKS, whatever stands in the bytes that mean nothing.
    let mut whole = with(bytes.clone(), 1080, b"\x53\xef");
    seal(&mut whole, 0, 16384);
    assert!(read(&whole).is_ok() && Verdicts::theirs(&whole));
}

/// What cryptsetup refuses, we refuse; the other way round only where it is written down.
struct Verdicts {
    bytes: Vec<u8>,
}

impl Verdicts {
    fn theirs(bytes: &[u8]) -> bool {
        let file = TestFile::new(bytes);
        cryptsetup(&["luksDump", file.name()], "").is_ok()
    }

    /// Both refuse, and we say this.
    fn both_refuse(&self, from: &str, to: &str, expected: &str) {
        let bytes = with_json(&self.bytes, from, to);
        let said = read(&bytes).expect_err(to);
        assert!(said.contains(expected), "{to}: {said}");
        assert!(!Verdicts::theirs(&bytes), "{to}: cryptsetup takes it");
    }

    /// Only we refuse, and say this.
    fn stricter(&self, from: &str, to: &str, expected: &str) {
        let bytes = with_json(&self.bytes, from, to);
        let said = read(&bytes).expect_err(to);
        assert!(said.contains(expected), "{to}: {said}");
        assert!(Verdicts::theirs(&bytes), "{to}: cryptsetup refuses it too");
    }
}

#[test]
fn metadata_that_cryptsetup_refuses_is_refused() {
    let v = Verdicts { bytes: volume(small_options()).disk.to_vec() };
    assert!(Verdicts::theirs(&v.bytes));
    for section in ["keyslots", "tokens", "segments", "digests", "config"] {
        let from = format!("\"{section}\":{{");
        v.both_refuse(&from, &format!("\"_{section}\":{{"), &format!("metadata.{section} is missing"));
        v.both_refuse(&from, &format!("\"{section}\":[],\"_\":{{"), &format!("metadata.{section} is not an object"));
    }
    let area = "\"offset\":\"32768\",\"size\":\"258048\"";
    let outside = "the key material of slot 0 does not lie in the keyslots area";
    v.both_refuse(area, "\"offset\":\"28672\",\"size\":\"258048\"", outside);
    v.both_refuse(area, "\"offset\":\"0\",\"size\":\"258048\"", outside);
    v.both_refuse(area, "\"offset\":\"1044480\",\"size\":\"258048\"", outside);
    v.both_refuse(area, "\"offset\":\"32768\",\"size\":\"0\"", "at least one byte");
    v.both_refuse(area, "\"offset\":\"18446744073709551615\",\"size\":\"258048\"", "ends below 2^64");
    v.both_refuse(area, "\"offset\":\"32768\",\"size\":\"18446744073709551616\"", "whole number written as a string");
    v.both_refuse(area, "\"offset\":\"-32768\",\"size\":\"258048\"", "whole number written as a string");
    v.both_refuse("\"kdf\":{", "\"_\":{", "metadata.keyslots.0.kdf is missing");
    v.both_refuse("\"af\":{", "\"_\":{", "metadata.keyslots.0.af is missing");
    v.both_refuse("\"area\":{", "\"_\":{", "metadata.keyslots.0.area is missing");
    v.both_refuse("\"key_size\":64,\"af\"", "\"key_size\":4294967296,\"af\"", "key_size is not below 2^32");
    v.both_refuse("\"key_size\":64,\"af\"", "\"key_size\":\"64\",\"af\"", "key_size is not a whole number");
    v.both_refuse("\"keyslots\":{\"0\":", "\"keyslots\":{\"a\":", "metadata.keyslots.a is not named by a number");
    v.both_refuse(
        "\"tokens\":{}",
        "\"tokens\":{\"0\":{\"type\":\"x\",\"keyslots\":[\"1\"]}}",
        "tokens.0.keyslots is not a list",
    );
    v.both_refuse("\"tokens\":{}", "\"tokens\":{\"0\":{\"type\":\"x\"}}", "metadata.tokens.0.keyslots is missing");
    v.both_refuse("\"tokens\":{}", "\"tokens\":{\"0\":{\"keyslots\":[]}}", "metadata.tokens.0.type is missing");
    v.both_refuse(
        "\"tokens\":{}",
        "\"tokens\":{\"0\":{\"type\":\"x\",\"keyslots\":[0]}}",
        "keyslots.0 is not a string",
    );
    v.both_refuse(
        "\"segments\":[\"0\"]",
        "\"segments\":[\"1\"]",
        "digests.0.segments is not a list of segments that exist",
    );
    v.both_refuse(
        "\"keyslots\":[\"0\"]",
        "\"keyslots\":[\"1\"]",
        "digests.0.keyslots is not a list of keyslots that exist",
    );
    let segment = "\"offset\":\"1048576\",\"size\":\"dynamic\"";
    let with = |offset: &str, size: &str| format!("\"offset\":\"{offset}\",\"size\":\"{size}\"");
    v.both_refuse(segment, &with("1048577", "dynamic"), "metadata.segments.0.offset is not a multiple of 512");
    v.both_refuse(segment, &with("1048576", "0"), "metadata.segments.0.size is not more than nothing");
    v.both_refuse(segment, &with("1048576", "512"), "size is not a multiple of the sector size");
    v.both_refuse(segment, &with("1048576", "all"), "whole number written as a string");
    v.both_refuse(segment, &with("1044480", "dynamic"), "behind the beginning of the data at 1044480");
    v.both_refuse("\"sector_size\":4096", "\"sector_size\":0", "sector_size is not a multiple of 512");
    v.both_refuse("\"sector_size\":4096", "\"sector_size\":1000", "sector_size is not a multiple of 512");
    v.both_refuse("\"iv_tweak\":\"0\"", "\"iv_tweak\":0", "iv_tweak is not a whole number written as a string");
    v.both_refuse(
        "\"json_size\":\"12288\"",
        "\"json_size\":\"12287\"",
        "json_size is 12287, the binary header says 12288",
    );
    v.both_refuse(
        "\"json_size\":\"12288\"",
        "\"json_size\":12288",
        "json_size is not a whole number written as a string",
    );
    v.both_refuse(
        "\"keyslots_size\":\"1015808\"",
        "\"keyslots_size\":\"1015807\"",
        "keyslots_size is not a multiple of 4096",
    );
    v.both_refuse(
        "\"keyslots_size\":\"1015808\"",
        "\"keyslots_size\":\"1019904\"",
        "the keyslots area ends at 1052672",
    );
    v.both_refuse("\"keyslots_size\":\"1015808\"", "\"keyslots_size\":\"18446744073709547520\"", "at most 128 MiB");
    v.both_refuse("\"config\":{", "\"config\":{\"flags\":[1],", "metadata.config.flags.0 is not a string");
    v.both_refuse("\"config\":{", "\"config\":{\"requirements\":[],", "metadata.config.requirements is not an object");
    v.both_refuse("{\"keyslots\"", " {\"keyslots\"", "the JSON area does not begin with {");
}

#[test]
fn where_we_are_stricter_than_cryptsetup() {
    let v = Verdicts { bytes: volume(small_options()).disk.to_vec() };
    // json-c lets the last one win; who checks one and uses the other is fooled.
    v.stricter("\"tokens\":{}", "\"tokens\":{},\"tokens\":{}", "stands twice in one object");
    // They find out when the slot is opened.
    v.stricter("\"size\":\"258048\"", "\"size\":\"4096\"", "slot 0 has an area too small for its stripes");
    v.stricter("\"key_size\":64,\"af\"", "\"key_size\":64,\"priority\":7,\"af\"", "priority is not 0, 1 or 2");
    v.stricter("\"digest\":\"", "\"digest\":\"*", "metadata.digests.0.digest is not base64");
}

#[test]
fn areas_must_not_overlap() {
    let Volume { disk, key } = volume(small_options());
    let header = accepted(&disk);
    let mut edit = Edit::new(&header, &crypto::SystemRandom).unwrap();
    let two = passphrase("two");
    let new = NewKeyslot { key: &key, passphrase: &two, slot: None, kdf: pbkdf2(), af_hash: crypto::Hash::Sha256 };
    edit.add_keyslot(&new).unwrap();
    edit.apply(&disk).unwrap();
    let v = Verdicts { bytes: disk.to_vec() };
    for offset in [32768, 32769, 290_815] {
        let to = format!("\"offset\":\"{offset}\"");
        v.both_refuse("\"offset\":\"290816\"", &to, "the key material of slot 1 overlaps that of slot 0");
    }
    assert!(read(&with_json(&v.bytes, "\"offset\":\"290816\"", "\"offset\":\"290817\"")).is_ok());
}

#[test]
fn the_json_area_is_json_and_nothing_else() {
    let bytes = volume(small_options()).disk.to_vec();
    let json = json_of(&bytes, 0);
    let check = |area: &[u8], expected: &str| {
        let bad = with_json_area(&bytes, area);
        let said = read(&bad).expect_err(expected);
        assert!(said.contains(expected), "{said}");
        assert!(!Verdicts::theirs(&bad), "cryptsetup takes it: {expected}");
    };
    check(b"", "the JSON area does not begin with {");
    check(b"[]", "the JSON area does not begin with {");
    check(&json.as_bytes()[..json.len() - 1], "not JSON");
    check(format!("{json}\0x").as_bytes(), "something behind the NUL");
    check(format!("{json}x").as_bytes(), "not JSON");
    let full = format!("{}{}", &json[..json.len() - 1], " ".repeat(12288 - json.len()));
    check(format!("{full}}}").as_bytes(), "has no NUL at its end");
    let filled = format!("{}}}", &full[..full.len() - 1]);
    assert!(read(&with_json_area(&bytes, filled.as_bytes())).is_ok(), "one NUL is enough");
    check(format!("{{\"a\":{}", "[".repeat(12000)).as_bytes(), "not JSON");
    check(b"{\"keyslots\":\"\xff\"}", "not JSON");
    let many = format!("{{\"a\":[{}1]}}", "1,".repeat(6000));
    check(many.as_bytes(), "metadata.keyslots is missing");
}

#[test]
fn a_large_area_of_many_values_is_refused_and_not_read_into_memory() {
    let header_size = HeaderSize::LARGEST;
    let options = FormatOptions { header_size, data_offset: block::Bytes(16 << 20), ..small_options() };
    let bytes = volume(options).disk.to_vec();
    let many = format!("{{\"a\":[{}1]}}", "1,".repeat(2_000_000));
    let said = read(&with_json_area(&bytes, many.as_bytes())).unwrap_err();
    assert!(said.contains("too many values"), "{said}");
}

/// cryptsetup takes a slot that is listed many times. Whoever goes through the list meets each slot once, and the document
/// keeps what it says.
#[test]
fn a_slot_listed_many_thousand_times_is_one_slot() {
    let header_size = HeaderSize::LARGEST;
    let options = FormatOptions { header_size, data_offset: block::Bytes(16 << 20), ..small_options() };
    let bytes = volume(options).disk.to_vec();
    let list = format!("\"keyslots\":[{}\"0\"]", "\"0\",".repeat(30_000 - 1));
    let json = json_of(&bytes, 0)
        .replace("\"tokens\":{}", &format!("\"tokens\":{{\"0\":{{\"type\":\"clevis\",{list}}}}}"))
        .replace("\"keyslots\":[\"0\"],\"seg", &format!("{list},\"seg"));
    let bytes = with_json_area(&bytes, json.as_bytes());
    let disk = MemoryDisk::from(bytes.clone());
    let header = accepted(&disk);
    let metadata = header.header().as_luks2().unwrap().metadata();
    assert!(metadata.tokens.values().all(|token| token.keyslots == [slot(0)]));
    assert!(metadata.digests.values().all(|digest| digest.keyslots == [slot(0)]));
    assert_eq!(metadata.document().to_compact().as_str(), json);
    assert!(Verdicts::theirs(&bytes));

    let mut edit = Edit::new(&header, &crypto::SystemRandom).unwrap();
    edit.remove_keyslot(slot(0)).unwrap();
    let left = edit.metadata().unwrap();
    assert!(left.tokens.values().all(|token| token.keyslots.is_empty()));
    assert!(left.document().to_compact().len() < 2000, "none of the many is left");
}

#[test]
fn a_slot_number_over_31_is_refused() {
    let bytes = volume(small_options()).disk.to_vec();
    let json = json_of(&bytes, 0)
        .replace("\"keyslots\":{\"0\":", "\"keyslots\":{\"32\":")
        .replace("[\"0\"],\"seg", "[\"32\"],\"seg");
    let said = read(&with_json_area(&bytes, json.as_bytes())).unwrap_err();
    assert!(said.contains("metadata.keyslots.32 is not named by a number that is allowed here"), "{said}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    /// Whatever the JSON says, with a right checksum: no panic, and what is accepted opens or says why not.
    #[test]
    fn json_with_anything_in_it_is_read_or_refused(at in 0usize..800, len in 0usize..12, with in "[0-9\"{}\\[\\],:a-z\\-]{0,24}") {
        let bytes = fixture();
        let json = json_of(bytes, 0);
        let mut area = json.into_bytes();
        let end = (at + len).min(area.len());
        area.splice(at.min(end)..end, with.into_bytes());
        let disk = MemoryDisk::from(with_json_area(bytes, &area));
        if let Ok(header) = Header::read(&disk)
            && let Ok(header) = header.accept(&Allowed { pbkdf2_iterations: 100_000, ..Allowed::default() })
        {
            let _ = open_any(&disk, &header, &passphrase("one"));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..9000), magic in any::<bool>()) {
        let mut bytes = bytes;
        if magic && bytes.len() > 16 {
            bytes[..16].copy_from_slice(b"LUKS\xba\xbe\0\x02\0\0\0\0\0\0\x40\0");
        }
        let _ = read(&bytes);
    }
}

fn fixture() -> &'static [u8] {
    static BYTES: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    BYTES.get_or_init(|| volume(small_options()).disk.to_vec())
}
