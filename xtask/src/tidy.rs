//! `cargo xtask tidy`: the rules of the workspace that no compiler checks.
//!
//! Each rule is a function from values to faults, so that it has a test of its own; only this file reads the disk.

mod arrows;
mod cycles;
mod fault;
mod manifests;
mod packages;
mod rust_text;
mod sources;

use crate::failure::Failure;
use crate::program;
use crate::workspace::{Member, Workspace};
use fault::SourceFile;
use std::fs;
use std::path::{Path, PathBuf};

/// The crates that may not reach the world; each carries the same `clippy.toml` that keeps it so.
const CORE: &[&str] =
    &["crypto", "json", "jose", "tpm2", "tang", "clevis", "block", "luks", "earlynet", "bootimage", "unlock"];

/// Prints every broken rule and fails if there is one.
pub(crate) fn run(workspace: &Workspace) -> Result<(), Failure> {
    let files = read_files(&workspace.root)?;
    let mut faults = arrows::check(&workspace.members);
    faults.extend(arrows::check_document(text_of(&files, "ARCHITECTURE.md"), &workspace.members));
    faults.extend(sources::check(&files));
    faults.extend(sources::check_roots(&files, &roots(&workspace.members)));
    faults.extend(manifests::check_reasons(text_of(&files, "Cargo.toml")));
    faults.extend(manifests::check_inherited(&files));
    faults.extend(manifests::check_bans(&files, &core_directories(&workspace.members)));
    for member in &workspace.members {
        faults.extend(cycles::check(&member.name, &modules_of(&files, &member.directory)));
    }
    let mut cargo = program::cargo(&workspace.root);
    let tree = program::output(cargo.args(["tree", "--workspace", "--locked", "--prefix=none", "--format={p}"]))?;
    faults.extend(packages::check(&tree));

    sources::long_files(&files).iter().for_each(|note| println!("note: {note}"));
    faults.iter().for_each(|fault| println!("fault: {fault}"));
    println!("{} files, {} crates, {} faults", files.len(), workspace.members.len(), faults.len());
    if faults.is_empty() { Ok(()) } else { Err(Failure::Untidy { faults: faults.len() }) }
}

fn roots(members: &[Member]) -> Vec<String> {
    members.iter().flat_map(|member| &member.roots).map(|root| slashed(root)).collect()
}

fn core_directories(members: &[Member]) -> Vec<String> {
    let core = members.iter().filter(|member| CORE.contains(&member.name.as_str()));
    core.map(|member| slashed(&member.directory)).collect()
}

fn text_of<'a>(files: &'a [SourceFile], path: &str) -> &'a str {
    files.iter().find(|file| file.path == path).map_or("", |file| &file.text)
}

/// The Rust files below `src/` of one crate, as (path below `src/`, text).
fn modules_of<'a>(files: &'a [SourceFile], directory: &Path) -> Vec<(&'a str, &'a str)> {
    let source = slashed(directory) + "/src/";
    let rust = files.iter().filter(|file| file.is_rust());
    rust.filter_map(|file| Some((file.path.strip_prefix(&source)?, file.text.as_str()))).collect()
}

fn slashed(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "/")
}

/// All files below `root`, build results and Git's own aside, in the order of their names.
fn read_files(root: &Path) -> Result<Vec<SourceFile>, Failure> {
    let mut files = Vec::new();
    let mut waiting = vec![root.to_path_buf()];
    while let Some(directory) = waiting.pop() {
        let failed = |source| Failure::File { path: directory.clone(), source };
        for entry in fs::read_dir(&directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_dir() && !matches!(entry.file_name().to_str(), Some("target" | ".git")) {
                waiting.push(entry.path());
            } else if kind.is_file() {
                files.push(read_file(root, entry.path())?);
            }
        }
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

fn read_file(root: &Path, path: PathBuf) -> Result<SourceFile, Failure> {
    let read_as_text = path.extension().is_some_and(|ending| ["rs", "toml", "md"].iter().any(|text| ending == *text));
    let below = slashed(path.strip_prefix(root).unwrap_or(&path));
    let failed = |source| Failure::File { path: path.clone(), source };
    let bytes = fs::metadata(&path).map_err(failed)?.len();
    let text = if read_as_text { fs::read_to_string(&path).map_err(failed)? } else { String::new() };
    Ok(SourceFile { path: below, bytes, text })
}
