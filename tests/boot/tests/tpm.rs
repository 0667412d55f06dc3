//! The machine's own TPM, as its kernel gives it to programs: the device is found, the latch holds until the machine starts again, and what
//! the firmware says that it measured leads to what the TPM holds.
//!
//! One TPM and two starts of a machine (`tpm.sh`, `measured.sh`); each test looks at a part of what they told.

#![allow(missing_docs, clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use boot::qemu::{Firmware, Machine, Report, Tpm};
use compliance::disk::PASSPHRASE;
use compliance::{Disk, Maker, Program};
use crypto::Hash;
use std::sync::LazyLock;
use tpm2::event_log::{End, EventLog};

/// The first start, and the next one. They run once for all tests, also if one fails.
static REPORTS: LazyLock<[Report; 2]> = LazyLock::new(|| {
    let (tpm, disk) = (Tpm::new(), Disk::formatted(Maker::Theirs));
    let machine = Machine::new().tpm(&tpm).disk(&disk.path()).file("/key", 0o600, PASSPHRASE);
    let first = machine.run(include_str!("tpm.sh"));
    let latched = first.text("latched").to_owned();
    let next = Machine::new().tpm(&tpm).firmware(Firmware::Uefi).file("/latched", 0o600, latched);
    [first, next.run(include_str!("measured.sh"))]
});

fn first() -> &'static Report {
    &REPORTS[0]
}

fn next() -> &'static Report {
    &REPORTS[1]
}

#[test]
fn the_device_of_the_kernel_is_found() {
    assert_eq!(first().text("nodes"), "/dev/tpm0\n/dev/tpmrm0");
    first().text("encrypt");
    assert_eq!(first().text("decrypt"), "planted");
    first().text("unlock");
    // Two sessions and a counter at once, which the kernel's resource manager hands on.
    first().text("counted-encrypt");
    assert_eq!(first().text("counted-decrypt"), "planted");
}

#[test]
fn a_device_without_a_resource_manager_serves_and_one_that_is_taken_says_so() {
    assert_eq!(first().text("bare"), "planted");
    let busy = first().text("busy");
    assert!(busy.contains("/dev/tpm0") && busy.contains("busy"), "{busy}");
    let status = first().text("bare-status");
    assert!(status.contains("/dev/tpm0, which has no resource manager"), "{status}");
}

/// `cotter luks unlock` and `cotter decrypt` are shut by it; what is bound to other PCRs is not.
#[test]
fn a_latch_holds_until_the_machine_starts_again() {
    assert_eq!(first().text("latched-decrypt"), "planted");
    let zeros = |text: &str| text.lines().all(|line| line.chars().all(|digit| digit == '0'));
    assert!(zeros(first().text("before")));
    let said = first().text("latch");
    assert!(said.contains("PCR 15") && said.contains("sha256") && said.contains("sha1"), "{said}");
    assert!(first().text("after").lines().all(|bank| !zeros(bank)), "{}", first().text("after"));
    for step in ["latched-refused", "unlock-refused"] {
        assert!(first().text(step).contains("latch"), "{}", first().text(step));
    }
    first().text("again");
    assert_eq!(first().text("still-decrypt"), "planted");
    assert_eq!(next().text("latched-decrypt"), "planted");
}

/// PCR 10 is the kernel's own, which extends it later.
#[test]
fn what_the_firmware_says_leads_to_what_the_tpm_holds() {
    let log = Program::new("base64").arg("-d").input(next().text("log")).succeed().stdout;
    let log = EventLog::read(&log);
    assert_eq!(log.end, End::Complete);
    for (name, bank) in [("sha1", Hash::Sha1), ("sha256", Hash::Sha256)] {
        let replayed = log.replay(bank).pcrs;
        assert!(replayed.len() > 7, "{name}: {} PCRs", replayed.len());
        for (pcr, value) in replayed.into_iter().filter(|(pcr, _)| *pcr != 10) {
            let value: String = value.iter().map(|byte| format!("{byte:02X}")).collect();
            let line = format!("{name} {pcr} {value}");
            assert!(next().text("pcrs").lines().any(|held| held == line), "not held: {line}; {}", next().text("pcrs"));
        }
    }
}

/// The same by the program itself, for a person.
#[test]
fn the_status_explains_every_pcr_of_the_firmware() {
    let status = next().text("status");
    for word in ["/dev/tpmrm0, the first with a resource manager", "IBM", "the variable SecureBoot", "the initramfs"] {
        assert!(status.contains(word), "{word}: {status}");
    }
    let strange: Vec<&str> = status.lines().filter(|line| line.contains("does not explain")).collect();
    assert!(strange.iter().all(|line| line.starts_with("sha256:10 ")), "{status}");
    assert_eq!(status.lines().filter(|line| line.starts_with("sha256:")).count(), 24, "{status}");
}
