//! Encrypted mappings in a kernel of their own: what `linux::dm` makes, and what cryptsetup makes of it.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test stops where it stands")]

use boot::uml::Guest;
use compliance::Program;
use compliance::disk::PASSPHRASE;
use std::fs::File;
use std::path::{Path, PathBuf};

/// A header of 16 MiB and as much behind it.
const DISK_BYTES: u64 = 32 << 20;

/// An encrypted disk of cryptsetup's, cheap to open.
fn formatted(file: PathBuf, words: &[&str]) -> PathBuf {
    File::create(&file).unwrap().set_len(DISK_BYTES).unwrap();
    let cheap = ["luksFormat", "-q", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "--key-file", "-"];
    let cipher = ["--cipher", "aes-xts-plain64", "--key-size", "512"];
    Program::new("cryptsetup").args(cheap).args(cipher).args(words).arg(&file).input(PASSPHRASE).succeed();
    file
}

/// The data of a volume whose header is in the guest's file `header`.
fn formatted_apart(guest: &Guest) -> PathBuf {
    let (header, data) = (guest.directory().join("header"), guest.directory().join("detached"));
    File::create(&data).unwrap().set_len(DISK_BYTES).unwrap();
    let words =
        ["--type", "luks2", "--sector-size", "512", "--header", header.to_str().unwrap(), data.to_str().unwrap()];
    formatted(header.clone(), &words);
    data
}

/// Runs the checks of a scenario in the guest.
fn pass(guest: Guest, scenario: &str) {
    pass_with(guest, scenario, "");
}

fn pass_with(guest: Guest, scenario: &str, environment: &str) {
    let program = Path::new(env!("CARGO_BIN_EXE_mapping_guest"));
    let left = guest.run(&format!("{environment} '{}' {scenario}", program.display())).succeeded();
    assert!(left.output.contains("\nok: ") || left.output.starts_with("ok: "), "nothing was checked: {}", left.output);
    print!("{}", left.output);
}

#[test]
fn luks2() {
    let guest = Guest::new();
    let at = |name: &str| guest.directory().join(name);
    let small = formatted(at("small"), &["--type", "luks2", "--sector-size", "512"]);
    let large = formatted(at("large"), &["--type", "luks2", "--sector-size", "4096"]);
    let detached = at("detached");
    File::create(&detached).unwrap().set_len(DISK_BYTES).unwrap();
    let (header, data) = (at("header"), detached.to_str().unwrap().to_owned());
    File::create(&header).unwrap();
    formatted(
        header.clone(),
        &["--type", "luks2", "--sector-size", "512", "--header", header.to_str().unwrap(), &data],
    );
    pass(guest.disk(&small).disk(&large).disk(&detached), "luks2");
}

#[test]
fn luks1() {
    let guest = Guest::new();
    let disk = formatted(guest.directory().join("disk"), &["--type", "luks1"]);
    pass(guest.disk(&disk), "luks1");
}

#[test]
fn others_who_use_or_name_a_mapping() {
    let guest = Guest::new();
    let disk = formatted(guest.directory().join("disk"), &["--type", "luks2"]);
    pass(guest.disk(&disk), "others");
}

#[test]
fn commands() {
    let guest = Guest::new();
    let at = |name: &str| guest.directory().join(name);
    let bound = formatted(at("bound"), &["--type", "luks2"]);
    let bind = ["luks", "bind", "-k", "-", "-d", bound.to_str().unwrap(), "null", "{}"];
    Program::cotter().args(bind).input(PASSPHRASE).succeed();
    let old = formatted(at("old"), &["--type", "luks1"]);
    let detached = formatted_apart(&guest);
    formatted(at("image"), &["--type", "luks2"]);
    // The guest cannot build our program, so it is told where it is.
    let environment = format!("COTTER='{}'", compliance::program::cotter().display());
    pass_with(guest.disk(&bound).disk(&old).disk(&detached), "commands", &environment);
}
