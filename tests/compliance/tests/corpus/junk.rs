//! `cotter luks dump` on files that are no disks of anybody: it ends with an error or an answer, within a second of work and
//! 64 MiB. So it does with every disk of the corpus.

use crate::base::Base;
use crate::image::{BOTH, Copy, Image};
use crate::verdict::{dump, reason};
use serde_json::json;
use std::fs::File;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// All legal places of a second copy.
const PLACES: [usize; 9] = [1 << 14, 1 << 15, 1 << 16, 1 << 17, 1 << 18, 1 << 19, 1 << 20, 1 << 21, 1 << 22];

/// Both forms of the answer, or why there is none.
fn look_at(file: &Path, what: &str) -> bool {
    let answers = [&[][..], &["--json"]].map(|words| {
        let ended = dump(file, words);
        assert!(ended.status.code().is_some(), "{what}: {}; it said: {}", ended.status, ended.said());
        let answered = ended.status.success();
        reason(ended);
        answered
    });
    assert_eq!(answers[0], answers[1], "{what}: one form answers, the other does not");
    answers[0]
}

struct Junk(TempDir);

impl Junk {
    fn new() -> Junk {
        Junk(tempfile::tempdir().unwrap())
    }

    fn put(&self, bytes: &[u8]) -> PathBuf {
        let file = self.0.path().join("file");
        std::fs::write(&file, bytes).unwrap();
        file
    }

    fn refuses(&self, what: &str, bytes: &[u8]) {
        assert!(!look_at(&self.put(bytes), what), "{what} is taken for a header");
    }
}

/// Bytes without a pattern, the same on every run (xorshift64).
struct Noise(u64);

impl Noise {
    fn byte(&mut self) -> u8 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.to_be_bytes()[3]
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.byte()).collect()
    }
}

#[test]
fn files_of_one_byte_or_one_character() {
    let junk = Junk::new();
    for len in [0, 1, 5, 6, 7, 8, 511, 512, 591, 592, 1023, 1024, 4095, 4096, 16384, 1 << 20] {
        for byte in [0, b'{', b'L', 0xff] {
            junk.refuses(&format!("{len} bytes {byte:#x}"), &vec![byte; len]);
        }
    }
    junk.refuses("4 MiB of {", &vec![b'{'; 4 << 20]);
    junk.refuses("the magic without end", &b"LUKS\xba\xbe\0\x02".repeat(1 << 19));
    junk.refuses("the other magic without end", &b"SKUL\xba\xbe\0\x02".repeat(1 << 19));
    junk.refuses("the magic of LUKS1 without end", &b"LUKS\xba\xbe\0\x01".repeat(1 << 19));
}

#[test]
fn files_that_are_something_else() {
    for file in ["/bin/sh".into(), std::env::current_exe().unwrap(), "/etc/passwd".into()] {
        assert!(!look_at(&file, "a file of the system"));
    }
    let junk = Junk::new();
    let file = junk.put(b"");
    File::options().write(true).open(&file).unwrap().set_len(1 << 40).unwrap();
    assert!(!look_at(&file, "a TiB of nothing"));
    for place in ["/dev/null", "/dev/zero", "/dev/urandom", "/proc/self/mem", "/etc"] {
        assert!(!look_at(Path::new(place), place));
    }
}

#[test]
fn noise_behind_a_magic() {
    let junk = Junk::new();
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    for round in 0..24 {
        let mut bytes = noise.bytes(3000 + 997 * round);
        junk.refuses("noise", &bytes);
        for version in [0, 1, 2, 3] {
            bytes[..8].copy_from_slice(&[b'L', b'U', b'K', b'S', 0xba, 0xbe, 0, version]);
            // A LUKS1 header has neither checksum nor much that could be wrong about it.
            look_at(&junk.put(&bytes), "noise behind a magic");
        }
    }
}

/// The most that is read and hashed: a good size in front, no right checksum, and a second copy wherever one may be.
#[test]
fn a_second_copy_at_every_place_and_none_is_right() {
    let junk = Junk::new();
    for name in ["sha256", "sha1", "whirlpool", "sha3-512", "blake2b-512"] {
        let mut bytes = vec![b'x'; 9 << 20];
        for (at, size, magic) in
            std::iter::once((0, 1 << 22, b"LUKS")).chain(PLACES.map(|place| (place, place, b"SKUL")))
        {
            let uuid = b"12345678-1234-1234-1234-123456789abc\0";
            let head = [&magic[..], b"\xba\xbe\0\x02", &u64::try_from(size).unwrap().to_be_bytes()].concat();
            bytes[at..at + 512].fill(0);
            bytes[at..at + head.len()].copy_from_slice(&head);
            bytes[at + 72..at + 72 + name.len()].copy_from_slice(name.as_bytes());
            bytes[at + 168..at + 168 + uuid.len()].copy_from_slice(uuid);
            bytes[at + 256..at + 264].copy_from_slice(&u64::try_from(at).unwrap().to_be_bytes());
        }
        junk.refuses(name, &bytes);
    }
}

/// JSON areas of 4 MiB with right checksums, full of one thing.
#[test]
fn four_mebibytes_of_json() {
    let junk = Junk::new();
    let full = |start: &str, piece: &str, end: &str| {
        let mut image = Base::Large.image().clone();
        let room = image.area_len() - 1 - start.len() - end.len();
        let area = [start, &piece.repeat(room / piece.len()), end].concat();
        image.set_area(&BOTH, area.as_bytes());
        image
    };
    for (start, piece, end) in [
        ("", "{", ""),
        ("{\"a\":", "[", ""),
        ("{", "\"a\":{", ""),
        ("{\"a\":[", "1,", "1]}"),
        ("{\"a\":[", "[],", "[]]}"),
        ("{\"a\":[", "{},", "{}]}"),
        ("{\"a\":[", "\"\",", "\"\"]}"),
        ("{\"a\":\"", "x", "\"}"),
        ("{\"a\":\"", "\\u0041", "\"}"),
        ("{\"a\":", "9", "}"),
        ("{\"a\":1e", "9", "}"),
        ("{\"", "x", "\":1}"),
        ("{", "\"a\":1,", "\"a\":1}"),
        ("{", " ", "}"),
    ] {
        let what = format!("{start}{piece}...{end}");
        junk.refuses(&what, full(start, piece, end).bytes());
    }
    let tokens = full_of_tokens("\"{n}\":{\"type\":\"x\",\"keyslots\":[]}");
    junk.refuses("100000 tokens", tokens.bytes());
    let slots = full_of_tokens("\"{n}\":{\"type\":\"x\",\"keyslots\":[\"0\",\"0\",\"0\",\"0\",\"0\",\"0\"]}");
    junk.refuses("100000 tokens with slots", slots.bytes());
}

fn full_of_tokens(token: &str) -> Image {
    let mut image = Base::Large.image().clone();
    let tokens: Vec<String> = (0..100_000).map(|n| token.replace("{n}", &n.to_string())).collect();
    let tokens = tokens.join(",");
    let room = image.area_len() - image.text(Copy::First).len() - 2;
    let tokens = if tokens.len() > room { &tokens[..tokens[..room].rfind("},").unwrap() + 1] } else { &tokens };
    image.replace("\"tokens\":{", &format!("\"tokens\":{{{tokens}"));
    image
}

/// Headers with nothing wrong about them, as large as they may be: these are shown.
#[test]
fn the_largest_headers_that_are_good() {
    let junk = Junk::new();
    let text = "x".repeat(120_000);
    let mut of_text = Base::Large.image().clone();
    of_text.edit(&BOTH, |json| {
        for number in 0..32 {
            json["tokens"][number.to_string()] = json!({"type": text, "keyslots": ["0"], "more": "\u{1}"});
        }
    });
    assert!(look_at(&junk.put(of_text.bytes()), "32 tokens of 120000 characters"));
    let mut of_values = Base::Large.image().clone();
    of_values.edit(&BOTH, |json| json["more"] = vec![json!({"a": {}}); 20_000].into());
    assert!(look_at(&junk.put(of_values.bytes()), "60000 values"));
    let mut of_lists = Base::Large.image().clone();
    of_lists.edit(&BOTH, |json| {
        let slots = vec!["0"; 30_000];
        json["tokens"]["0"] = json!({"type": "clevis", "keyslots": slots});
        json["digests"]["0"]["keyslots"] = json!(slots);
    });
    assert!(look_at(&junk.put(of_lists.bytes()), "a slot that is listed 60000 times"));
}
