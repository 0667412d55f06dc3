//! The programs of the guest: the host's own, each with the libraries it is linked to.

use super::archive::Archive;
use compliance::Program;
use compliance::program::{cotter, need};
use std::fs;
use std::path::Path;

/// udev's rules of a plain block device and of the device mapper; the last one ends the wait of whoever made the mapping.
const RULES: &[&str] = &[
    "50-udev-default.rules",
    "55-dm.rules",
    "60-block.rules",
    "60-persistent-storage.rules",
    "60-persistent-storage-dm.rules",
    "95-dm-notify.rules",
];
const RULES_DIRECTORY: &str = "/lib/udev/rules.d";
const UDEVD: &str = "/lib/systemd/systemd-udevd";

/// A shell with its tools, udev, `dmsetup`, `cryptsetup`, and our program.
pub(super) fn add(archive: &mut Archive) {
    program(archive, "bin/busybox", &need("busybox"));
    archive.link("bin/sh", "busybox");
    for directory in ["proc", "sys", "run", "tmp"] {
        archive.directory(directory);
    }
    for (name, at) in [("udevadm", "bin/udevadm"), ("dmsetup", "sbin/dmsetup"), ("cryptsetup", "sbin/cryptsetup")] {
        program(archive, at, &need(name));
    }
    let udevd = Path::new(UDEVD);
    assert!(udevd.is_file(), "`{UDEVD}` is not installed; this provides it: cargo xtask setup");
    program(archive, UDEVD, udevd);
    for rule in RULES {
        archive.file(&format!("{RULES_DIRECTORY}/{rule}"), 0o644, read(&Path::new(RULES_DIRECTORY).join(rule)));
    }
    ours(archive);
}

/// Without what only a debugger reads, which is most of it.
fn ours(archive: &mut Archive) {
    let here = tempfile::tempdir().expect("no temporary directory");
    let stripped = here.path().join("cotter");
    Program::new("strip").arg("-o").arg(&stripped).arg(cotter()).succeed();
    program(archive, "bin/cotter", &stripped);
}

fn program(archive: &mut Archive, at: &str, file: &Path) {
    archive.file(at.trim_start_matches('/'), 0o755, read(file));
    for library in libraries(file) {
        archive.file(library.trim_start_matches('/'), 0o755, read(Path::new(&library)));
    }
}

/// The files that `ldd` names: `NAME => /FILE (ADDRESS)`, or `/FILE (ADDRESS)` for the loader. None for a static program.
pub(crate) fn libraries(file: &Path) -> Vec<String> {
    let told = Program::new("ldd").arg(file).run().text();
    told.lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
        .map(str::to_owned)
        .collect()
}

fn read(file: &Path) -> Vec<u8> {
    fs::read(file).unwrap_or_else(|why| panic!("`{}`: {why}; is it installed? cargo xtask setup", file.display()))
}
