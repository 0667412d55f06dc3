//! Runs inside a guest of `tests/mapping.rs` and checks there what `linux::dm` does to the kernel, against cryptsetup and
//! dmsetup. Each check stands in the output by name; the exit code is the number of those that failed.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "this program is a part of tests"
)]

mod commands;
mod life;
mod refusals;
mod udev;
mod users;
mod volume;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use volume::Volume;

fn main() -> ExitCode {
    let scenario = std::env::args().nth(1).unwrap_or_default();
    let checks: Vec<Check> = match scenario.as_str() {
        "luks2" => [life::CHECKS, life::LUKS2_CHECKS, refusals::CHECKS].concat(),
        "luks1" => [life::CHECKS, life::LUKS1_CHECKS].concat(),
        "others" => [users::CHECKS, udev::CHECKS].concat(),
        "commands" => commands::CHECKS.to_vec(),
        _ => panic!("there is no scenario {scenario:?}"),
    };
    let volume = Volume::read("/dev/ubda", None);
    let failed = checks.iter().filter(|check| !passes(check, &volume)).count();
    println!("{} of {} checks failed", failed, checks.len());
    ExitCode::from(u8::try_from(failed).unwrap_or(u8::MAX))
}

/// What is checked, in words, and how. Each begins and ends without any mapping.
type Check = (&'static str, fn(&Volume));

fn passes((name, check): &Check, volume: &Volume) -> bool {
    let passed = catch_unwind(AssertUnwindSafe(|| {
        check(volume);
        assert_eq!(volume::dmsetup(&["ls"]), "No devices found", "mappings are left behind");
        assert_eq!(volume::keys("cryptsetup:"), 0, "a key is left behind");
    }));
    println!("{}: {name}", if passed.is_ok() { "ok" } else { "FAILED" });
    if passed.is_err() {
        volume::shell("rm -rf /run/udev; umount -q /run/mnt || true; swapoff -a; losetup -D; dmsetup remove_all");
    }
    passed.is_ok()
}
