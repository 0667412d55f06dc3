//! What `cargo xtask setup` has made, and where a boot's console is kept: below Cargo's target directory, whichever that is.

use std::path::PathBuf;

/// Where the roots of guests are.
pub(crate) const ROOTS: &str = "guest-roots";

/// A directory or file of this name beside one of the directories above this program. Ends the test with what provides it.
pub(crate) fn provided(name: &str) -> PathBuf {
    let found = above(name);
    found.unwrap_or_else(|| panic!("no `{name}` below the target directory; this provides it: cargo xtask setup"))
}

/// A directory beside those that were provided; made if it is not there.
pub(crate) fn beside(provided_name: &str, name: &str) -> PathBuf {
    let directory = provided(provided_name).with_file_name(name);
    std::fs::create_dir_all(&directory).expect("cannot make a directory below the target directory");
    directory
}

/// The program that is put into images: what `cargo xtask test` has built and names, or else what was built last.
pub(crate) fn boot_program() -> PathBuf {
    let named = std::env::var_os("COTTER_BOOT").map(PathBuf::from);
    let found = named.or_else(|| above(&format!("{}-unknown-linux-gnu/boot/cotter", std::env::consts::ARCH)));
    found.expect("no boot build below the target directory; this provides it: cargo xtask release --boot")
}

fn above(name: &str) -> Option<PathBuf> {
    let program = std::env::current_exe().expect("no path of this program");
    program.ancestors().map(|above| above.join(name)).find(|place| place.exists())
}
