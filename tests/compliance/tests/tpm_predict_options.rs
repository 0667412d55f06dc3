//! Each option of `cotter tpm predict` that names a part of a boot, against a replay by hand: the recorded log is read once more, and
//! what the new part is measured as is put in the places of the old one.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::Program;
use compliance::boot_log::{APPLICATION, EVENT_TAG, Event, IPL, NO_ACTION, VARIABLE, events, program, sha256, vector};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

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
    found["accept"][0].as_object().unwrap().clone().into_iter().collect()
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

/// The reader of the logs is right: what it replays is what a TPM held.
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
