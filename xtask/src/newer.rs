//! `cargo xtask newer`: the pairing tests once more, against the newest originals that Debian packages.
//!
//! They are unpacked beside the build and started with their own C library, so nothing on the machine changes. Where packages
//! come from is this machine's own configuration. Not a part of `cargo xtask test`: what is newest changes from day to day.

use crate::failure::Failure;
use crate::program;
use crate::workspace::Workspace;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The distribution in which new versions arrive first.
const SUITE: &str = "sid";
/// Packages whose programs are paired, and those programs.
const PACKAGES: [&str; 2] = ["cryptsetup-bin", "luksmeta"];
const PROGRAMS: [&str; 2] = ["cryptsetup", "luksmeta"];
/// Where the libraries of a Debian package are, and the program that loads them.
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";
const LOADER: &str = "ld-linux-x86-64.so.2";

/// Fetches, unpacks, and runs `cargo test` over what the originals judge; `words` go to it.
pub(crate) fn run(workspace: &Workspace, words: &[&str]) -> Result<(), Failure> {
    let place = workspace.target.join("newer");
    let programs = unpack(&place)?;
    for name in PROGRAMS {
        program::run(Command::new(programs.join(name)).arg("--version")).or_else(|_| {
            // luksmeta has no such option, and says so with its usage.
            if name == "luksmeta" { Ok(()) } else { Err(missing(name)) }
        })?;
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let mut cargo = program::cargo(&workspace.root);
    cargo.env("PATH", format!("{}:{path}", programs.display()));
    cargo.args(["test", "--package", "luks", "--package", "compliance", "--locked", "--no-fail-fast"]).args(words);
    program::run(&mut cargo)
}

fn missing(name: &'static str) -> Failure {
    Failure::Answer { program: name, what: "the unpacked program does not start".to_owned() }
}

/// Unpacks the packages and all they need below `place`; returns the directory of the programs.
fn unpack(place: &Path) -> Result<PathBuf, Failure> {
    let tree = place.join("tree");
    let programs = place.join("bin");
    let archives = fetch(place)?;
    for directory in [&tree, &programs] {
        make(directory)?;
    }
    for archive in archives {
        program::run(Command::new("dpkg-deb").arg("-x").arg(archive).arg(&tree))?;
    }
    for name in PROGRAMS {
        let found = ["usr/sbin", "usr/bin", "sbin", "bin"].iter().map(|bin| tree.join(bin).join(name));
        let program = found.into_iter().find(|file| file.is_file()).ok_or_else(|| missing(name))?;
        let libraries = tree.join(LIBRARIES);
        let loader = libraries.join(LOADER);
        let text = format!(
            "#!/bin/sh\nexec '{}' --library-path '{}' '{}' \"$@\"\n",
            loader.display(),
            libraries.display(),
            program.display()
        );
        let script = programs.join(name);
        write(&script, &text)?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))
            .map_err(|source| Failure::File { path: script.clone(), source })?;
    }
    Ok(programs)
}

/// Downloads with a state of our own, as if nothing were installed; returns the files.
fn fetch(place: &Path) -> Result<Vec<PathBuf>, Failure> {
    for directory in ["state/lists/partial", "cache/archives/partial"] {
        make(&place.join(directory))?;
    }
    let repository = repository()?;
    write(&place.join("sources.list"), &format!("deb {repository} {SUITE} main\n"))?;
    write(&place.join("status"), "")?;
    program::run(apt_get(place).arg("update"))?;
    program::run(apt_get(place).args(["install", "-y", "-d", "--no-install-recommends"]).args(PACKAGES))?;
    let archives = place.join("cache/archives");
    let failed = |source| Failure::File { path: archives.clone(), source };
    let files = fs::read_dir(&archives).map_err(failed)?.map(|entry| Ok(entry.map_err(failed)?.path()));
    let files: Vec<PathBuf> = files.collect::<Result<_, Failure>>()?;
    Ok(files.into_iter().filter(|file| file.extension().is_some_and(|extension| extension == "deb")).collect())
}

/// Where this machine takes Debian's own packages from.
fn repository() -> Result<String, Failure> {
    let mut command = Command::new("apt-get");
    command.args(["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian"]);
    let answer = program::output(&mut command)?;
    let first = answer.lines().find(|line| line.trim_end_matches('/').ends_with("/debian"));
    let none = || Failure::Answer { program: "apt-get indextargets", what: "no repository of Debian".to_owned() };
    first.map(str::to_owned).ok_or_else(none)
}

fn apt_get(place: &Path) -> Command {
    let mut command = Command::new("apt-get");
    let set = |key: &str, value: &str| format!("{key}={}", place.join(value).display());
    command.arg("-q");
    for option in [
        set("Dir::Etc::sourcelist", "sources.list"),
        "Dir::Etc::sourceparts=/dev/null".to_owned(),
        set("Dir::State", "state"),
        set("Dir::State::status", "status"),
        set("Dir::Cache", "cache"),
        "Debug::NoLocking=1".to_owned(),
    ] {
        command.arg("-o").arg(option);
    }
    command
}

fn make(directory: &Path) -> Result<(), Failure> {
    fs::create_dir_all(directory).map_err(|source| Failure::File { path: directory.to_owned(), source })
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|source| Failure::File { path: path.to_owned(), source })
}
