//! The agent of an initramfs: in the background until its end is asked for, by settings that are understood.

use crate::{SOON, agent, alone, answered, ask, end, question};
use compliance::{Disk, Maker, Version};
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

#[test]
fn in_the_background_it_serves_until_its_end_is_asked_for() {
    let _alone = alone();
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    disk.bind(Maker::Ours, "null", "{}");
    let pid = disk.beside("run").join("agent.pid");
    let start = Instant::now();
    // What it says goes where the words of the program go that has started it, and so that is waited for at the end.
    let started = agent(&disk, "").arg("--daemon").start();
    while !fs::read_to_string(&pid).is_ok_and(|text| text.ends_with('\n')) {
        assert!(start.elapsed() < SOON, "it does not serve");
        std::thread::yield_now();
    }
    let process = PathBuf::from(format!("/proc/{}", fs::read_to_string(&pid).unwrap().trim()));
    assert!(process.exists());
    assert!(agent(&disk, "").run().succeeded().said().contains("another agent serves already"));
    let asker = ask(&disk, "--timeout=30");
    assert!(disk.opens_with(&answered(asker)));
    assert_eq!(end(&disk).said(), "");
    assert!(!pid.exists());
    while process.exists() {
        assert!(start.elapsed() < SOON, "it is still there");
        std::thread::yield_now();
    }
    assert_eq!(end(&disk).said(), "", "there is none any more");
    assert!(started.wait().succeeded().said().contains("answered systemd"));
}

#[test]
fn settings_that_are_not_understood_leave_all_to_a_person() {
    let _alone = alone();
    let disk = Disk::of(Maker::Theirs, Version::Luks2);
    disk.bind(Maker::Ours, "null", "{}");
    fs::write(disk.beside("boot.json"), r#"{"netwrok":"never"}"#).unwrap();
    let asker = ask(&disk, "--timeout=1");
    question(&disk);
    let said = agent(&disk, "").limit(SOON).run().succeeded().said();
    assert!(said.contains("nothing is opened without a person") && said.contains("\"netwrok\" is not known"), "{said}");
    asker.wait().failed_with(1);
}
