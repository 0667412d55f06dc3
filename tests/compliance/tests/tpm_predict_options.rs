//! Each option of `cotter tpm predict` that names a part of a boot, against a replay by hand: the recorded log is read here once more, and
//! what the new part is measured as is put in the places of the old one.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::Program;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// `EV_NO_ACTION`, `EV_IPL`, `EV_EVENT_TAG`, `EV_EFI_VARIABLE_DRIVER_CONFIG` and `EV_EFI_BOOT_SERVICES_APPLICATION` (TCG PC Client Platform
/// Firmware Profile, section 10.4.1).
const NO_ACTION: u32 = 3;
const IPL: u32 = 0xd;
const EVENT_TAG: u32 = 6;
const VARIABLE: u32 = 0x8000_0001;
const APPLICATION: u32 = 0x8000_0003;

/// One entry of the log.
struct Event {
    pcr: u32,
    kind: u32,
    sha256: Vec<u8>,
    data: Vec<u8>,
}

impl Event {
    fn has(&self, part: &[u8]) -> bool {
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

fn vector(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/tpm2/vectors/event_log").join(name)
}

/// The first event has the old form and says how long the digests of the others are.
fn events(log: &str) -> Vec<Event> {
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

fn sha256(parts: &[&[u8]]) -> Vec<u8> {
    parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part)).finalize().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn extended<'a>(digests: impl Iterator<Item = &'a Vec<u8>>) -> String {
    hex(&digests.fold(vec![0; 32], |value, digest| sha256(&[&value, digest])))
}

/// A PCR after the boot of this log, with other digests for so many of its events.
fn replayed(log: &str, pcr: u32, changes: usize, other: impl Fn(&Event) -> Option<Vec<u8>>) -> String {
    let mut measured = events(log);
    measured.retain(|event| event.pcr == pcr && event.kind != NO_ACTION);
    let mut changed = 0;
    for event in &mut measured {
        if let Some(digest) = other(event) {
            (event.sha256, changed) = (digest, changed + 1);
        }
    }
    assert_eq!(changed, changes, "the part stands in the log elsewhere");
    extended(measured.iter().map(|event| &event.sha256))
}

fn as_it_was(log: &str, pcr: u32) -> String {
    replayed(log, pcr, 0, |_| None)
}

/// The values that are predicted, all that the log has; exit code 0 is that nothing else moves.
fn predicted(log: &str, words: &[(&str, &Path)]) -> BTreeMap<String, Value> {
    let predict = Program::cotter().args(["tpm", "predict", "--json", "--log"]).arg(vector(&format!("{log}.log")));
    let predict = words.iter().fold(predict, |predict, (option, path)| predict.arg(option).arg(path));
    let found: Value = serde_json::from_slice(&predict.succeed().stdout).unwrap();
    assert_eq!(found["unpredictable"].to_string(), "{}");
    found["accept"].as_object().unwrap().clone().into_iter().collect()
}

/// These PCRs and no others are predicted, with these values; and those that are to move have moved.
fn check(log: &str, words: &[(&str, &Path)], expected: &[(u32, String)], moving: &[u32]) {
    let expected: BTreeMap<String, Value> =
        expected.iter().map(|(pcr, value)| (pcr.to_string(), value.as_str().into())).collect();
    assert_eq!(predicted(log, words), expected, "{words:?}");
    for (pcr, value) in &expected {
        let number: u32 = pcr.parse().unwrap();
        assert_eq!(*value != as_it_was(log, number), moving.contains(&number), "PCR {pcr}");
    }
}

/// Files of an update.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Files {
        Files(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }
}

/// Where the checksum and the place of the signatures stand in a program that [`program`] makes, and how long its headers are.
const CHECKSUM: usize = 0x98;
const SIGNATURES: usize = 0xe8;
const HEADERS: usize = 0x400;

/// A program with these sections, as PE32+ has them, a checksum and a signature; and its Authenticode digest, which has neither.
fn program(sections: &[(&str, &[u8])]) -> (Vec<u8>, Vec<u8>) {
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

/// The reader of this file is right: what it replays is what a TPM held.
#[test]
fn the_replay_gives_what_was_recorded() {
    for (log, pcrs) in [("ovmf_grub", &[4, 7, 9][..]), ("ovmf_shim", &[4, 7, 9, 14]), ("ovmf_unified", &[4, 7, 9, 11])]
    {
        let held = fs::read_to_string(vector(&format!("{log}.pcrs"))).unwrap();
        for pcr in pcrs {
            let line = format!("sha256 {pcr} {}", as_it_was(log, *pcr));
            assert!(held.lines().any(|held| held == line), "{log}: {line}");
        }
    }
}

/// GRUB measures it as a file, and shim, asked by GRUB twice, as a program without a name. A signature is no part of that.
#[test]
fn a_kernel_is_predicted() {
    let (kernel, authenticode) = program(&[(".text", b"another kernel")]);
    let nameless = |event: &Event| event.kind == APPLICATION && event.data.len() == 32;
    let pcr_4 = replayed("ovmf_shim", 4, 2, |event| nameless(event).then(|| authenticode.clone()));
    let pcr_9 = |log: &str| replayed(log, 9, 1, |event| event.has(b"/vmlinuz").then(|| sha256(&[&kernel])));
    let files = Files::new();
    let path = files.file("vmlinuz", &kernel);
    let as_shim = [(4, pcr_4), (7, as_it_was("ovmf_shim", 7)), (9, pcr_9("ovmf_shim"))];
    check("ovmf_shim", &[("--kernel", &path)], &as_shim, &[4, 9]);
    // Without shim nobody is asked.
    let as_grub = [(4, as_it_was("ovmf_grub", 4)), (7, as_it_was("ovmf_grub", 7)), (9, pcr_9("ovmf_grub"))];
    check("ovmf_grub", &[("--kernel", &path)], &as_grub, &[9]);
}

/// GRUB measures it as a file; where an image brings it, the kernel measures it, as it takes it.
#[test]
fn an_initramfs_is_predicted() {
    let content = b"another initramfs";
    let files = Files::new();
    let path = files.file("initrd.img", content);
    let is_it = |event: &Event| match event.kind {
        IPL => event.has(b"/initrd.img"),
        kind => kind == EVENT_TAG && event.has(b"Linux initrd"),
    };
    let other = |event: &Event| is_it(event).then(|| sha256(&[content]));
    for (log, pcrs) in [("ovmf_grub", &[4, 7][..]), ("ovmf_shim", &[4, 7]), ("ovmf_unified", &[4, 7, 11])] {
        let mut expected: Vec<(u32, String)> = pcrs.iter().map(|pcr| (*pcr, as_it_was(log, *pcr))).collect();
        expected.push((9, replayed(log, 9, 1, other)));
        check(log, &[("--initramfs", &path)], &expected, &[9]);
    }
}

/// The image is a program, systemd's stub measures its sections in an order of its own, and the kernel measures the initramfs once more.
/// systemd-measure says the same of PCR 11.
#[test]
fn a_unified_image_is_predicted() {
    let line = b"console=ttyS0 quiet root=none";
    let parts: [(&str, &[u8]); 4] =
        [(".linux", b"a kernel"), (".osrel", b"ID=cotter\n"), (".cmdline", line), (".initrd", b"an initramfs")];
    // In the file they stand in another order.
    let (image, authenticode) = program(&[parts[3], (".text", b"the stub"), parts[2], parts[0], parts[1]]);
    let wide: Vec<u8> = "BOOTX64.EFI".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let pcr_4 = replayed("ovmf_unified", 4, 1, |event| event.has(&wide).then(|| authenticode.clone()));
    let initrd = |event: &Event| event.has(b"Linux initrd").then(|| sha256(&[b"an initramfs"]));
    let measured: Vec<Vec<u8>> =
        parts.iter().flat_map(|(name, content)| [sha256(&[name.as_bytes(), b"\0"]), sha256(&[content])]).collect();
    let pcr_11 = extended(measured.iter());
    let files = Files::new();
    let measure = Program::at(Path::new("/lib/systemd/systemd-measure"));
    let measure = measure.args(["calculate", "--bank=sha256", "--phase=", "--json=short"]);
    let option = |(name, content): &(&str, &[u8])| {
        let name = name.trim_start_matches('.');
        format!("--{name}={}", files.file(name, content).display())
    };
    let theirs: Value = serde_json::from_slice(&measure.args(parts.iter().map(option)).succeed().stdout).unwrap();
    assert_eq!(theirs["sha256"][0]["hash"], pcr_11.as_str());
    let expected =
        [(4, pcr_4), (7, as_it_was("ovmf_unified", 7)), (9, replayed("ovmf_unified", 9, 1, initrd)), (11, pcr_11)];
    check("ovmf_unified", &[("--uki", &files.file("next.efi", &image))], &expected, &[4, 9, 11]);
}

/// The GUID of the two databases, as it stands in a variable and as efivarfs writes it.
const DATABASE: (&[u8], &str) =
    (b"\xcb\xb2\x19\xd7:=\x96E\xa3\xbc\xda\xd0\x0egeo", "d719b2cb-3d3a-4596-a3bc-dad00e67656f");

/// Each is measured as a whole: a GUID, how long the name and the content are, and both (`UEFI_VARIABLE_DATA`).
#[test]
fn the_databases_of_secure_boot_are_predicted() {
    // EFI_SIGNATURE_LIST: a type, three lengths, and one signature of 16 bytes of owner and a digest.
    let list = [&[7; 16][..], &76u32.to_le_bytes(), &[0; 4], &48u32.to_le_bytes(), &[1; 48]].concat();
    for name in ["db", "dbx"] {
        let wide: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let letters = u64::try_from(name.len()).unwrap().to_le_bytes();
        let head = [DATABASE.0, &letters].concat();
        let is_it = |event: &&Event| event.kind == VARIABLE && event.data.starts_with(&head);
        let log = events("ovmf_unified");
        let old = log.iter().find(is_it).unwrap();
        let content = [&old.data[16 + 8 + 8 + wide.len()..], &list].concat();
        let len = u64::try_from(content.len()).unwrap().to_le_bytes();
        let digest = sha256(&[&head, &len, &wide, &content]);
        let expected = [
            (4, as_it_was("ovmf_unified", 4)),
            (7, replayed("ovmf_unified", 7, 1, |event| is_it(&event).then(|| digest.clone()))),
            (9, as_it_was("ovmf_unified", 9)),
            (11, as_it_was("ovmf_unified", 11)),
        ];
        let files = Files::new();
        let option = format!("--{name}");
        check("ovmf_unified", &[(&option, &files.file("new.esl", &content))], &expected, &[7]);
        // A file of efivarfs has four bytes of attributes before it.
        let variable = files.file(&format!("{name}-{}", DATABASE.1), &[&[0x27, 0, 0, 0], content.as_slice()].concat());
        check("ovmf_unified", &[(&option, &variable)], &expected, &[7]);
    }
}
