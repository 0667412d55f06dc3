//! `cotter tpm predict` and its like, given what is not what it should be.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test stops where it stands")]

use compliance::{Ended, Program};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

fn log(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/tpm2/vectors/event_log").join(format!("{name}.log"))
}

/// A log that is named needs no TPM.
fn predict(log: &Path, words: &[&str]) -> Ended {
    Program::cotter().args(["tpm", "predict", "--json", "--log"]).arg(log).args(words).run()
}

/// Which PCRs the exit code 3 stands for.
fn unpredictable(ended: &Ended) -> Vec<String> {
    assert_eq!(ended.status.code(), Some(3), "{}", ended.said());
    let found: Value = serde_json::from_slice(&ended.stdout).unwrap_or_else(|why| panic!("{why}: {}", ended.said()));
    found["unpredictable"].as_object().unwrap().keys().cloned().collect()
}

#[test]
fn what_is_not_what_it_should_be_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let text = file("text", b"a text that is longer than the head of a list of signatures\n");
    let empty = file("empty", b"");
    let grub = log("ovmf_grub");
    for (words, word) in [
        (["--db", text.as_str()], "is no list of signatures"),
        (["--dbx", &empty], "is no list of signatures"),
        (["--uki", &text], "is in the log"),
        (["--file", &format!("/no/such/place={text}")], "there is no place /no/such/place in the log of the boot"),
        (["--file", &format!("\\EFI\\BOOT\\BOOTX64.EFI={text}")], "it is no program of UEFI"),
    ] {
        let said = predict(&grub, &words).failed_with(1).said();
        assert!(said.contains(word), "{words:?}: {said}");
    }
    for command in [&["tpm", "predict"][..], &["tpm", "status"]] {
        let said = Program::cotter().args(command).args(["--log", &text]).run().failed_with(1).said();
        assert!(said.contains("is no log of a boot"), "{command:?}: {said}");
    }
}

/// One rule: 3 as soon as one cannot be predicted, and each of them is named.
#[test]
fn what_cannot_be_predicted_is_named_and_is_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("vmlinuz-2"), b"a text").unwrap();
    let bytes = fs::read(log("ovmf_grub")).unwrap();
    fs::write(path("half"), &bytes[..bytes.len() / 2]).unwrap();
    let same = predict(&log("ovmf_grub"), &[]).succeeded();
    assert!(same.text().contains(r#""unpredictable":{}"#), "{}", same.text());
    let half = predict(Path::new(&path("half")), &[]);
    assert_eq!(unpredictable(&half), ["11", "4", "7", "9"]);
    let kernel = path("vmlinuz-2");
    // GRUB's commands name the kernel.
    let renamed = predict(&log("ovmf_grub"), &["--kernel", &kernel]);
    assert_eq!(unpredictable(&renamed), ["8"]);
    predict(&log("ovmf_grub"), &["--kernel", &kernel, "--pcrs", "4,7,9"]).succeeded();
    // Shim would not start a text.
    let text = predict(&log("ovmf_shim"), &["--kernel", &kernel]);
    assert_eq!(unpredictable(&text), ["4", "8"]);
    assert!(text.text().contains("is no program of UEFI"), "{}", text.text());
}
