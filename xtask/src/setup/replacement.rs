//! clevis-pin-tpm2, the separate replacement of the original's pin `tpm2`: Debian has no package of it, so Cargo builds it below our target
//! directory.

use crate::failure::Failure;
use crate::program;
use std::fs;
use std::path::Path;

/// Where `tests/compliance` looks for it, below the target directory; `bin/` holds the program.
const DIRECTORY: &str = "clevis-pin-tpm2";
/// The newest that can be had.
const VERSION: &str = "0.5.1";

/// Whether it was built before.
pub(super) fn is_there(target: &Path) -> bool {
    target.join(DIRECTORY).join("bin").join(DIRECTORY).is_file()
}

/// Builds it, and forgets what it was built from. Its own lock file, because its dependencies of today no longer fit together.
pub(super) fn provide(target: &Path) -> Result<(), Failure> {
    let place = target.join(DIRECTORY);
    let build = place.join("build");
    let mut cargo = program::cargo(target);
    cargo.args(["install", DIRECTORY, "--version", VERSION, "--locked", "--quiet", "--root"]).arg(&place);
    program::run(cargo.env("CARGO_TARGET_DIR", &build))?;
    fs::remove_dir_all(&build).map_err(|source| Failure::File { path: build, source })
}
