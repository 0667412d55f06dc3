//! `cargo xtask bench`: builds ours for release and measures it beside the originals.

use crate::failure::Failure;
use crate::workspace::Workspace;
use crate::{program, release, setup};
use std::process::Command;

/// Builds the static program, what images carry, and the benches, then runs them; `words` choose benches by name.
pub(crate) fn run(workspace: &Workspace, words: &[&str]) -> Result<(), Failure> {
    setup::run()?;
    eprintln!("building for release");
    let binary = release::build(workspace, &release::FULL)?;
    let boot = release::build(workspace, &release::BOOT)?;
    program::run(program::cargo(&workspace.root).args(["build", "--package", "benches", "--release", "--locked"]))?;
    let benches = workspace.target.join("release/benches");
    let mut benches = Command::new(benches);
    benches.current_dir(&workspace.root).env("COTTER", binary.path).env("COTTER_BOOT", boot.path);
    program::run(benches.args(words))
}
