//! udev, as far as a guest without it can have it: its sign is there, and what its last rule does is done by dmsetup.

use crate::Check;
use crate::volume::{Volume, dmsetup, lock, shell};
use compliance::Program;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) const CHECKS: &[Check] = &[("what udev does with an event ends our waiting for it", answered)];

/// How long udev takes here.
const WORK: Duration = Duration::from_millis(400);

/// Tells every semaphore there is, for as long as it takes, that udev is done.
fn answer(until: &AtomicBool) {
    while !until.load(Ordering::Relaxed) {
        for line in Program::new("dmsetup").arg("udevcookies").run().text().lines().skip(1) {
            let cookie = line.split_whitespace().next().unwrap().to_owned();
            thread::sleep(WORK);
            Program::new("dmsetup").args(["udevcomplete", &cookie]).run();
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Ends the answers, however the check ends.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn answered(volume: &Volume) {
    shell("mkdir -p /run/udev");
    let _control = UnixListener::bind("/run/udev/control").unwrap();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| answer(&over));
        let _over = Over(&over);
        let start = Instant::now();
        let made = volume.map("ours");
        let waited = start.elapsed();
        assert!(made.is_ok_and(|made| !made.udev_is_late));
        assert!(waited >= WORK && waited < Duration::from_secs(20), "{waited:?}");
        // There is no udev to make the link, so it is missed and made like one of udev's.
        assert_eq!(std::fs::read_link("/dev/mapper/ours").unwrap(), Path::new("../dm-0"));
        lock("ours");
        assert!(!Path::new("/dev/mapper/ours").is_symlink());
    });
    shell("rm -r /run/udev");
    assert!(!dmsetup(&["udevcookies"]).contains("0xd4d"), "a semaphore is left behind");
}
