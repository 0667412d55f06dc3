//! udev and our mappings, in a guest where udev runs: what is waited for, what is there afterwards, what is never left behind;
//! each beside cryptsetup, which does the same first.
//!
//! One guest does all of it (`udev.sh`); each test here looks at a part of what it told.

#![allow(missing_docs, clippy::panic)]

use boot::qemu::{Machine, Report};
use compliance::disk::{Cipher, PASSPHRASE};
use compliance::{Disk, Maker};
use std::sync::LazyLock;

const STORY: &str = include_str!("udev.sh");
/// The cheapest that can be: the guest's processor is slow.
const KDF: &[&str] = &["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"];
/// The kernel of the guest has no `essiv`.
const MISSING: Cipher = Cipher { name: "aes-cbc-essiv:sha256", key_bits: 256, sector_bytes: 512 };
/// udev takes its time over one mapping, and never tells that it is done with another.
const RULES: &str = r#"
ENV{DM_NAME}=="slow", PROGRAM="/bin/look"
ACTION=="change", ENV{DM_NAME}=="mute", ENV{DM_COOKIE}=""
"#;
/// Called by udev in the middle of its work: which semaphores there are then.
const LOOK: &str = "#!/bin/sh\ntail -n +2 /proc/sysvipc/sem >>/run/seen-$ACTION\nsleep 2\n";
/// Upper half of the key of every semaphore that udev is to count down (`DM_COOKIE_MAGIC` of libdevmapper).
const MAGIC: u32 = 0x0d4d;

/// What the guest told. It runs once for all tests, also if it fails.
static REPORT: LazyLock<Report> = LazyLock::new(|| {
    let disks = [Cipher::USUAL, Cipher::USUAL, MISSING];
    let disks = disks.map(|cipher| Disk::formatted_with(Maker::Theirs, cipher, KDF));
    let machine = disks.iter().fold(Machine::new(), |machine, disk| machine.disk(&disk.path()));
    let machine = machine.file("/key", 0o600, PASSPHRASE).file("/bin/look", 0o755, LOOK);
    // Before the rule that notifies, after the one that knows names.
    machine.file("/lib/udev/rules.d/56-test.rules", 0o644, RULES).run(STORY)
});

/// Who does it: the original, which shows that the story asks for what can be, and cotter.
const BOTH: [&str; 2] = ["theirs", "ours"];

/// The links that udev makes for a mapping, in the words of the story, without the number of its device.
#[track_caller]
fn assert_links(text: &str, name: &str) {
    let lines: Vec<&str> = text.lines().map(|line| line.trim_end_matches(|c: char| c.is_ascii_digit())).collect();
    let [node, by_name, by_uuid] = lines[..] else {
        panic!("not the three links of `{name}` and nothing else: {text}")
    };
    assert_eq!(node, format!("/dev/mapper/{name} -> ../dm-"));
    assert_eq!(by_name, format!("/dev/disk/by-id/dm-name-{name} -> ../../dm-"));
    let uuid = by_uuid.strip_prefix("/dev/disk/by-id/dm-uuid-CRYPT-LUKS2-");
    let uuid = uuid.and_then(|rest| rest.strip_suffix(&format!("-{name} -> ../../dm-")));
    assert_eq!(uuid.map(str::len), Some(32), "{by_uuid}");
}

#[test]
fn when_it_is_open_udev_has_made_every_name() {
    for by in BOTH {
        assert_links(REPORT.text(&format!("{by}-open")), "data");
        assert_eq!(REPORT.text(&format!("{by}-close")), "", "{by}");
    }
    assert_eq!(REPORT.text("ours-read"), REPORT.text("theirs-read"));
}

#[test]
fn udev_knows_the_same_about_it_as_about_cryptsetups() {
    let known = |by| {
        // The links stand in any order.
        let mut words: Vec<&str> = REPORT.text(by).split_whitespace().collect();
        words.iter_mut().for_each(|word| *word = word.trim_start_matches("DEVLINKS="));
        words.sort_unstable();
        words
    };
    let ours = known("ours-known");
    assert_eq!(ours, known("theirs-known"));
    for word in ["DM_UDEV_PRIMARY_SOURCE_FLAG=1", "DM_ACTIVATION=1", "DM_SUSPENDED=0", "DM_NAME=data"] {
        assert!(ours.contains(&word), "{word} is not in {ours:?}");
    }
}

#[test]
fn udev_that_takes_its_time_is_waited_for_by_a_semaphore() {
    for by in BOTH {
        assert_links(REPORT.text(&format!("{by}-slow-open")), "slow");
        assert_eq!(REPORT.text(&format!("{by}-slow-close")), "", "{by}");
        for step in ["slow-open-seen", "slow-close-seen"] {
            assert_one_cookie(REPORT.text(&format!("{by}-{step}")));
        }
    }
}

/// One semaphore in a set of its own, for its owner alone, under a key with the magic.
#[track_caller]
fn assert_one_cookie(text: &str) {
    let numbers: Vec<&str> = text.split_whitespace().collect();
    let [key, _, mode, count, owner, ..] = numbers[..] else { panic!("no semaphore: {text}") };
    assert_eq!((text.lines().count(), mode, count, owner), (1, "600", "1", "0"), "{text}");
    let key = key.parse::<u32>().unwrap_or_default();
    assert!(key >> 16 == MAGIC && key & 0xffff != 0, "{key:#x}");
}

#[test]
fn an_attempt_that_fails_leaves_nothing_behind() {
    for by in BOTH {
        // Only the mapping that had the name before is there, and nothing after its line.
        let taken = REPORT.text(&format!("{by}-taken"));
        let (said, rest) = taken.split_once("/dev/mapper/data -> ").unwrap_or_default();
        assert!(said.contains("data"), "{by}: {taken}");
        let lines: Vec<&str> = rest.lines().collect();
        assert!(lines.len() == 4 && lines[3].starts_with("data:CRYPT-LUKS2-"), "{by}: {taken}");
        for step in ["broken", "alone-broken"] {
            let broken = REPORT.text(&format!("{by}-{step}"));
            assert!(!broken.is_empty() && !broken.contains("/dev/disk/by-id"), "{by}: {broken}");
            assert_eq!(broken.lines().last(), Some("No devices found"), "{by}: {broken}");
        }
    }
    assert!(REPORT.text("ours-broken").contains("aes-cbc-essiv:sha256"), "{}", REPORT.text("ours-broken"));
}

#[test]
fn two_at_once_do_not_meet() {
    for by in BOTH {
        let lines: Vec<&str> = REPORT.text(&format!("{by}-both")).lines().collect();
        assert_eq!(lines.len(), 6, "{by}: {lines:?}");
        assert_links(&lines[..3].join("\n"), "one");
        assert_links(&lines[3..].join("\n"), "two");
    }
}

#[test]
fn each_closes_what_the_other_opened() {
    for (opened, closed) in [("theirs-mixed", "ours-closes-theirs"), ("ours-mixed", "theirs-closes-ours")] {
        assert_links(REPORT.text(opened), "mixed");
        assert_eq!(REPORT.text(closed), "", "{closed}");
    }
}

#[test]
fn without_a_semaphore_to_be_had_it_opens_all_the_same() {
    // cryptsetup does not, which shows that there is none.
    let theirs = REPORT.step("full-theirs");
    assert!(theirs.code != Some(0) && theirs.text.contains("semaphore"), "{theirs:?}");
    REPORT.text("full");
    assert_links(REPORT.text("full-names"), "data");
    REPORT.text("full-close");
    assert_eq!(REPORT.text("full-close-names"), "");
}

#[test]
fn udev_that_never_answers_holds_nothing_up_for_good() {
    for name in ["mute", "dead"] {
        let late = REPORT.text(&format!("{name}-open")).contains("udev has not answered");
        assert_eq!(late, name == "mute", "nobody waits for one that has died");
        assert_eq!(REPORT.text(&format!("{name}-close")), "");
    }
    assert_links(REPORT.text("mute-names"), "mute");
    assert_eq!(REPORT.text("dead-names"), "/dev/mapper/dead is a node");
    assert_eq!(REPORT.text("mute-semaphores"), "");
}

#[test]
fn without_udev_nobody_is_waited_for_and_the_node_is_there() {
    REPORT.text("stop");
    for by in BOTH {
        assert_eq!(REPORT.text(&format!("{by}-alone-open")), "/dev/mapper/data is a node", "{by}");
        assert_eq!(REPORT.text(&format!("{by}-alone-close")), "", "{by}");
        assert_eq!(REPORT.text(&format!("{by}-alone-left")), "control", "{by}");
    }
    assert_eq!(REPORT.text("ours-alone-read"), REPORT.text("theirs-read"));
}
