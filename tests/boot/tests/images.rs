//! Images that the frameworks themselves build with the files of `integration` in their roots: what is in them, and in which order it is called.

#![forbid(unsafe_code)]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests")]

use boot::root::{Framework, Root};
use compliance::Program;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Older images are not made again while nothing changes.
const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// The scripts of a stage as the initramfs calls them.
fn order(image: &Path, stage: &str) -> Vec<String> {
    let text = fs::read_to_string(image.join(format!("scripts/{stage}/ORDER"))).unwrap();
    let calls = text.lines().filter_map(|line| line.strip_prefix(&format!("/scripts/{stage}/")));
    calls.map(|call| call.split(' ').next().unwrap().to_owned()).collect()
}

/// Each after the one before it, whatever stands between them.
#[track_caller]
fn assert_in_order(image: &Path, stage: &str, names: &[&str]) {
    let order = order(image, stage);
    let place = |name: &&str| {
        let place = order.iter().position(|other| other == name);
        place.unwrap_or_else(|| panic!("{name} is not called in {stage}: {order:?}"))
    };
    let places: Vec<usize> = names.iter().map(place).collect();
    assert!(places.is_sorted(), "{stage}: {order:?}, not {names:?}");
}

/// The agent is there before anybody waits for anything, volumes are mapped when every disk is there and before cryptroot asks,
/// and all ends before the devices are moved.
#[test]
fn beside_others_every_script_has_its_place() {
    let image = Root::with_cotter_in_a_crowd(Framework::InitramfsTools).unpacked(&["scripts/*/ORDER"]);
    let image = image.path();
    assert_in_order(image, "init-top", &["cotter", "udev"]);
    for other in ["iscsi", "cryptopensc", "clevis"] {
        assert_in_order(image, "local-top", &[other, "cotter", "cryptroot"]);
    }
    assert_in_order(image, "local-block", &["cotter", "cryptroot"]);
    for other in ["udev", "dropbear", "plymouth"] {
        assert_in_order(image, "init-bottom", &["cotter", other]);
    }
    assert_in_order(image, "panic", &["cotter"]);
}

/// Alone, too: what comes from `/etc` has no place of its own beside cryptroot's script, only the one that its name gives it.
#[test]
fn alone_volumes_are_mapped_before_cryptroot_asks() {
    let image = Root::with_cotter(Framework::InitramfsTools).unpacked(&["scripts/*/ORDER"]);
    assert_in_order(image.path(), "local-top", &["cryptopensc", "cotter", "cryptroot"]);
}

/// What the scripts and units of an image call is in the build for boot.
#[test]
fn the_program_in_an_image_has_the_commands_that_are_called_there() {
    let image = Root::with_cotter(Framework::InitramfsTools).unpacked(&["usr/bin/cotter"]);
    for command in ["boot agent", "boot end --keep-network", "tpm latch"] {
        let program = Program::at(&image.path().join("usr/bin/cotter"));
        program.args(command.split(' ')).arg("--help").succeed();
    }
}

#[test]
fn an_image_has_the_program_and_the_time_it_was_made() {
    let image = Root::with_cotter(Framework::InitramfsTools).unpacked(&["usr/bin/cotter", "etc/cotter/*"]);
    let program = image.path().join("usr/bin/cotter");
    assert_eq!(program.metadata().unwrap().permissions().mode() & 0o777, 0o755);
    let built = fs::read_to_string(image.path().join("etc/cotter/built")).unwrap();
    let built = SystemTime::UNIX_EPOCH + Duration::from_secs(built.trim_end().parse().unwrap());
    let now = SystemTime::now();
    assert!(built <= now && built > now - YEAR, "{built:?}");
}

/// systemd has units; without it a hook maps volumes before the one that asks, which is named after what it is called for.
#[test]
fn images_of_dracut_have_what_starts_the_program() {
    let root = Root::with_cotter(Framework::Dracut);
    let wanted = |image: &Path, place: &str| image.join(place).symlink_metadata().is_ok();
    let image = root.unpacked(&["usr/bin/cotter", "etc/cotter/built", "usr/lib/systemd/system/*cotter*", "*/hooks/*"]);
    let units = "usr/lib/systemd/system";
    let wants = ["sysinit.target.wants/cotter-boot-initrd", "emergency.target.wants/cotter-latch"];
    for place in wants.map(|unit| format!("{units}/{unit}.service")) {
        assert!(wanted(image.path(), &place), "{place}");
        assert!(image.path().join(&place).exists(), "{place} leads nowhere");
    }
    let hooks = "usr/lib/dracut/hooks";
    assert!(wanted(image.path(), &format!("{hooks}/emergency/00-cotter-emergency.sh")));
    assert!(!wanted(image.path(), &format!("{hooks}/initqueue/settled/00-cotter-map.sh")));

    let image = root.without_systemd().unpacked(&["usr/bin/cotter", "etc/cotter/built", "*cotter*", "*/hooks/*"]);
    for hook in ["emergency/00-cotter-emergency", "initqueue/settled/00-cotter-map", "cleanup/00-cotter-end"] {
        let file = image.path().join(format!("{hooks}/{hook}.sh"));
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o755, "{hook}");
    }
    assert!(!wanted(image.path(), units));
}
