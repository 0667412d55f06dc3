//! Recorded boots, read by hand, and programs as firmware measures them: a second opinion on what `tpm2` makes of the same bytes.

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// `EV_NO_ACTION`, `EV_IPL`, `EV_EVENT_TAG`, `EV_EFI_VARIABLE_DRIVER_CONFIG` and `EV_EFI_BOOT_SERVICES_APPLICATION` (TCG PC Client Platform
/// Firmware Profile, section 10.4.1).
pub const NO_ACTION: u32 = 3;
/// See [`NO_ACTION`].
pub const IPL: u32 = 0xd;
/// See [`NO_ACTION`].
pub const EVENT_TAG: u32 = 6;
/// See [`NO_ACTION`].
pub const VARIABLE: u32 = 0x8000_0001;
/// See [`NO_ACTION`].
pub const APPLICATION: u32 = 0x8000_0003;

/// One entry of the log.
pub struct Event {
    /// The PCR.
    pub pcr: u32,
    /// Its type.
    pub kind: u32,
    /// What extends the PCR in this bank.
    pub sha256: Vec<u8>,
    /// What is said of it.
    pub data: Vec<u8>,
}

impl Event {
    /// Whether this stands somewhere in its words.
    pub fn has(&self, part: &[u8]) -> bool {
        self.data.windows(part.len()).any(|at| at == part)
    }
}

/// What is left of a file.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken
    }

    fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.take(2).try_into().unwrap())
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take(4).try_into().unwrap())
    }

    fn sized(&mut self) -> &'a [u8] {
        let len = self.u32();
        self.take(usize::try_from(len).unwrap())
    }
}

/// A file of the recorded boots.
pub fn vector(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/tpm2/vectors/event_log").join(name)
}

/// The entries of a recorded log. The first event has the old form and says how long the digests of the others are.
pub fn events(log: &str) -> Vec<Event> {
    let bytes = fs::read(vector(&format!("{log}.log"))).unwrap();
    let mut rest = Rest(&bytes);
    rest.take(4 + 4 + 20);
    let mut head = Rest(rest.sized());
    assert_eq!(head.take(16), b"Spec ID Event03\0");
    head.take(8);
    let lengths: BTreeMap<u16, u16> = (0..head.u32()).map(|_| (head.u16(), head.u16())).collect();
    let mut events = Vec::new();
    while !rest.0.is_empty() {
        let (pcr, kind) = (rest.u32(), rest.u32());
        let digest = |rest: &mut Rest<'_>| {
            let algorithm = rest.u16();
            (algorithm, rest.take(lengths[&algorithm].into()).to_vec())
        };
        let mut digests: BTreeMap<u16, Vec<u8>> = (0..rest.u32()).map(|_| digest(&mut rest)).collect();
        let sha256 = digests.remove(&0xb).unwrap();
        events.push(Event { pcr, kind, sha256, data: rest.sized().to_vec() });
    }
    events
}

/// A log of these entries, with digests of SHA-256 alone.
pub fn written(events: &[Event]) -> Vec<u8> {
    let sized = |data: &[u8]| [&u32::try_from(data.len()).unwrap().to_le_bytes()[..], data].concat();
    let head = [&b"Spec ID Event03\0"[..], &[0, 0, 0, 0, 0, 2, 0, 2], &[1, 0, 0, 0, 0xb, 0, 32, 0], &[0]].concat();
    let begin = [&[0; 4][..], &NO_ACTION.to_le_bytes(), &[0; 20], &sized(&head)].concat();
    let entry = |event: &Event| {
        let head = [event.pcr, event.kind, 1].map(u32::to_le_bytes).concat();
        [&head[..], &[0xb, 0], &event.sha256, &sized(&event.data)].concat()
    };
    events.iter().fold(begin, |log, event| [log, entry(event)].concat())
}

/// SHA-256 over all parts.
pub fn sha256(parts: &[&[u8]]) -> Vec<u8> {
    parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part)).finalize().to_vec()
}

/// Where the checksum and the place of the signatures stand in a program that [`program`] makes, and how long its headers are.
const CHECKSUM: usize = 0x98;
const SIGNATURES: usize = 0xe8;
const HEADERS: usize = 0x400;

/// A program with these sections, as PE32+ has them, a checksum and a signature; and its Authenticode digest, which has neither.
pub fn program(sections: &[(&str, &[u8])]) -> (Vec<u8>, Vec<u8>) {
    let mut bytes = vec![0; HEADERS];
    let put = |bytes: &mut Vec<u8>, at: usize, part: &[u8]| bytes[at..at + part.len()].copy_from_slice(part);
    let number = |value: usize| u32::try_from(value).unwrap().to_le_bytes();
    put(&mut bytes, 0, b"MZ");
    put(&mut bytes, 0x3c, &number(0x40));
    put(&mut bytes, 0x40, b"PE\0\0\x64\x86");
    put(&mut bytes, 0x46, &u16::try_from(sections.len()).unwrap().to_le_bytes());
    put(&mut bytes, 0x54, &240u16.to_le_bytes());
    put(&mut bytes, 0x58, &0x20bu16.to_le_bytes());
    put(&mut bytes, 0x58 + 60, &number(HEADERS));
    put(&mut bytes, CHECKSUM, b"sums");
    put(&mut bytes, 0x58 + 108, &number(16));
    for (place, (name, content)) in sections.iter().enumerate() {
        let at = bytes.len();
        let in_file = content.len().next_multiple_of(0x200);
        let head = 0x148 + 40 * place;
        put(&mut bytes, head, name.as_bytes());
        let numbers = [content.len(), 0x1000 * (place + 1), in_file, at].map(number).concat();
        put(&mut bytes, head + 8, &numbers);
        bytes.extend(*content);
        bytes.resize(at + in_file, 0);
    }
    let signed = bytes.len();
    put(&mut bytes, SIGNATURES, &[number(signed), number(64)].concat());
    bytes.resize(signed + 64, 5);
    let digest = sha256(&[&bytes[..CHECKSUM], &bytes[CHECKSUM + 4..SIGNATURES], &bytes[SIGNATURES + 8..signed]]);
    (bytes, digest)
}
