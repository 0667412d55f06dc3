//! The roots of Debian that whole machines boot in the tests: made by `tests/boot/roots/recipe.sh` and kept below Cargo's target directory.
//!
//! Each is made once, and again when a file beside the recipe has changed. Nothing here knows how; the recipe knows nothing of caching.

use crate::failure::Failure;
use crate::program;
use crate::workspace::Workspace;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where `tests/boot` looks for them, below the target directory.
const DIRECTORY: &str = "guest-roots";
/// In the workspace.
const RECIPE: &str = "tests/boot/roots";
/// A plain one before the one that is a layer above it.
const ROOTS: &[(&str, &str)] = &[
    ("initramfs-tools", ""),
    ("initramfs-tools-clevis", "initramfs-tools"),
    ("initramfs-tools-crowd", "initramfs-tools"),
    ("dracut", ""),
    ("dracut-clevis", "dracut"),
];
/// For one root; two minutes are usual.
const LIMIT: &str = "1200";
/// In a root that is whole: what it was made by. Written last.
const MADE_BY: &str = "recipe";
const UNFINISHED: &str = ".unfinished";

/// Makes those that are missing or were made by another recipe.
pub(super) fn provide(workspace: &Workspace) -> Result<(), Failure> {
    let place = workspace.target.join(DIRECTORY);
    fs::create_dir_all(&place).map_err(failed(&place))?;
    // Two setups at once would make everything twice; the second one finds it made.
    let lock = place.join("lock");
    let lock = File::create(&lock).and_then(|file| file.lock().map(|()| file)).map_err(failed(&lock))?;
    let recipe = recipe(&workspace.root.join(RECIPE))?;
    for (name, base) in ROOTS {
        if !is_there(&place.join(name), &recipe) {
            make(workspace, &place, name, base, &recipe)?;
        }
    }
    drop(lock);
    Ok(())
}

fn is_there(root: &Path, recipe: &str) -> bool {
    fs::read_to_string(root.join(MADE_BY)).is_ok_and(|made_by| made_by == recipe)
}

/// Everything that decides what a root is like: each file of the recipe under its name.
fn recipe(directory: &Path) -> Result<String, Failure> {
    let mut entries: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed(directory))? {
        entries.push(entry.map_err(failed(directory))?.path());
    }
    entries.sort();
    let mut text = String::new();
    for entry in entries {
        if entry.is_dir() {
            text += &recipe(&entry)?;
        } else {
            let name = entry.file_name().unwrap_or_default().to_string_lossy();
            text += &format!("=== {name}\n{}", fs::read_to_string(&entry).map_err(failed(&entry))?);
        }
    }
    Ok(text)
}

/// Makes one under another name, and gives it its own when it is whole.
fn make(workspace: &Workspace, place: &Path, name: &str, base: &str, recipe: &str) -> Result<(), Failure> {
    eprintln!("making the root `{name}`: two minutes or so; its messages are in {}", log(place, name).display());
    let (root, unfinished) = (place.join(name), place.join(format!("{name}{UNFINISHED}")));
    // What an interrupted run has left; its mounts went with it, because they were in a namespace of its own.
    remove(&unfinished)?;
    fs::create_dir(&unfinished).map_err(failed(&unfinished))?;
    let log_file = log(place, name);
    let log_file = File::create(&log_file).map_err(failed(&log_file))?;
    let errors = log_file.try_clone().map_err(failed(place))?;
    // `--foreground`, so that Ctrl-C reaches what runs; the end of `unshare` is the end of everything in it.
    let mut command = Command::new("timeout");
    command.args(["--foreground", "--kill-after=10", LIMIT, "unshare", "--mount", "--pid", "--fork", "--kill-child"]);
    command
        .arg("sh")
        .arg(workspace.root.join(RECIPE).join("recipe.sh"))
        .arg(name)
        .arg(&unfinished)
        .arg(place.join(base));
    program::run(command.stdout(log_file).stderr(errors))?;
    let made_by = unfinished.join(MADE_BY);
    fs::write(&made_by, recipe).map_err(failed(&made_by))?;
    remove(&root)?;
    fs::rename(&unfinished, &root).map_err(failed(&root))
}

fn remove(directory: &Path) -> Result<(), Failure> {
    if directory.exists() { fs::remove_dir_all(directory).map_err(failed(directory)) } else { Ok(()) }
}

fn log(place: &Path, name: &str) -> PathBuf {
    place.join(format!("{name}.log"))
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> Failure {
    let path = path.to_owned();
    move |source| Failure::File { path, source }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_recipe_is_every_file_with_its_name() {
        let text = recipe(&crate::workspace::root().join(RECIPE)).unwrap();
        for part in ["=== recipe.sh\n#!/bin/sh\n", "=== 90-mark.rules\n", "=== module-setup.sh\n", "mmdebstrap "] {
            assert!(text.contains(part), "{part}");
        }
    }

    #[test]
    fn a_root_without_its_recipe_or_with_another_is_made_again() {
        let root = std::env::temp_dir().join(format!("root-{}", std::process::id()));
        fs::create_dir(&root).unwrap();
        assert!(!is_there(&root, "new"));
        fs::write(root.join(MADE_BY), "old").unwrap();
        assert!(!is_there(&root, "new") && is_there(&root, "old"));
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn a_layer_comes_after_what_it_lies_on() {
        for (number, (name, base)) in ROOTS.iter().enumerate() {
            let before = ROOTS.iter().take(number).any(|(other, _)| other == base);
            assert!(base.is_empty() || before, "{name}");
        }
    }
}
