//! `cargo xtask fuzz [TARGET…] [--seconds N]`: the parsers under libFuzzer, which finds inputs by itself.
//!
//! A target is a file in `fuzz/targets`. Its inputs come from `fuzz/seeds` and `fuzz/corpus`; all that a run finds stays below
//! Cargo's target directory, and the few inputs that together reach as far go back to `fuzz/corpus`, which `cargo test` replays.
//! An input that breaks a promise is left in `fuzz/artifacts`: once it is understood, it belongs into `fuzz/crashes/TARGET`
//! under a name that says what it was.
//!
//! Instrumenting needs no cargo-fuzz and no other toolchain: the coverage is a pass of LLVM, and the address sanitizer comes
//! with the compiler, behind a flag that only `RUSTC_BOOTSTRAP` opens. It is there for its view of every allocation; our own
//! code has no `unsafe` on these ways.

use crate::failure::Failure;
use crate::workspace::Workspace;
use crate::{program, release, setup};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const USAGE: &str = "usage: cargo xtask fuzz [TARGET…] [--seconds N]\n\nthe targets are the files of fuzz/targets\n";

/// What is promised for every target after a change to what it reads.
const SECONDS: u32 = 600;

const RUSTFLAGS: &str = "-C passes=sancov-module -C llvm-args=-sanitizer-coverage-level=4 \
     -C llvm-args=-sanitizer-coverage-inline-8bit-counters -C llvm-args=-sanitizer-coverage-pc-table \
     -C llvm-args=-sanitizer-coverage-trace-compares -Z sanitizer=address";

/// More than any input here needs, on a machine that does other things too; libFuzzer's own limits are 20 minutes and 2 GB.
const LIMITS: &[&str] = &["-timeout=10", "-rss_limit_mb=512", "-malloc_limit_mb=64", "-max_len=16384"];

/// Builds the targets, runs each for a time, and keeps what it found. Ends at the first input that breaks a promise.
pub(crate) fn run(workspace: &Workspace, words: &[&str]) -> Result<(), Failure> {
    let (targets, seconds) = read_words(words, &targets(&workspace.root)?)?;
    check_compiler()?;
    let programs = build(workspace)?;
    for target in targets {
        let run = Run::new(workspace, &programs, &target)?;
        println!("\n=== {target}: {seconds} s");
        let fuzzed = run.fuzz(seconds);
        run.keep()?;
        fuzzed?;
    }
    Ok(())
}

/// The targets, all of them unless some are named, and the time for each.
fn read_words(words: &[&str], known: &[String]) -> Result<(Vec<String>, u32), Failure> {
    let (mut targets, mut seconds) = (Vec::new(), SECONDS);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if *word == "--seconds" {
            seconds = words.next().and_then(|n| n.parse().ok()).ok_or(Failure::Usage(USAGE))?;
        } else if known.iter().any(|name| name == word) {
            targets.push((*word).to_owned());
        } else {
            return Err(Failure::Usage(USAGE));
        }
    }
    Ok((if targets.is_empty() { known.to_vec() } else { targets }, seconds))
}

/// The names of the files in `fuzz/targets`.
fn targets(root: &Path) -> Result<Vec<String>, Failure> {
    let files = files(&root.join("fuzz/targets"))?;
    let mut names: Vec<String> = files.iter().filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    Ok(names)
}

fn check_compiler() -> Result<(), Failure> {
    if setup::find("c++").is_some() {
        return Ok(());
    }
    let remedy = "apt-get install --no-install-recommends g++".to_owned();
    Err(Failure::Missing { programs: vec!["c++"], remedy })
}

/// The directory of the programs. They have a target directory of their own: their flags reach every crate.
fn build(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let host = release::host()?;
    let target = workspace.target.join("fuzz");
    let mut cargo = program::cargo(&workspace.root);
    cargo.env("RUSTFLAGS", RUSTFLAGS).env("RUSTC_BOOTSTRAP", "1").arg("build").arg("--target-dir").arg(&target);
    cargo.args(["--package", "fuzz", "--bins", "--features", "libfuzzer", "--profile", "fuzz", "--locked"]);
    program::run(cargo.args(["--target", &host]))?;
    Ok(target.join(host).join("fuzz"))
}

/// One target and its directories.
struct Run {
    program: PathBuf,
    /// Everything that was ever found on this machine.
    found: PathBuf,
    /// Where the inputs that are worth keeping are gathered.
    gathered: PathBuf,
    seeds: PathBuf,
    corpus: PathBuf,
    artifacts: PathBuf,
    /// Words to put into inputs; not every target has some.
    dictionary: PathBuf,
}

impl Run {
    fn new(workspace: &Workspace, programs: &Path, target: &str) -> Result<Run, Failure> {
        let [fuzz, scratch] = [workspace.root.join("fuzz"), workspace.target.join("fuzz")];
        let run = Run {
            program: programs.join(target),
            found: scratch.join("found").join(target),
            gathered: scratch.join("gathered").join(target),
            seeds: fuzz.join("seeds").join(target),
            corpus: fuzz.join("corpus").join(target),
            artifacts: fuzz.join("artifacts").join(target),
            dictionary: fuzz.join("dictionaries").join(target),
        };
        for directory in [&run.found, &run.corpus, &run.artifacts] {
            fs::create_dir_all(directory).map_err(|source| failed(directory, source))?;
        }
        Ok(run)
    }

    /// New inputs go to the first directory.
    fn fuzz(&self, seconds: u32) -> Result<(), Failure> {
        let mut command = self.command();
        command.arg(format!("-max_total_time={seconds}")).arg("-print_final_stats=1");
        if self.dictionary.exists() {
            let mut words = OsString::from("-dict=");
            words.push(&self.dictionary);
            command.arg(words);
        }
        program::run(command.args([&self.found, &self.corpus, &self.seeds]))
    }

    /// Puts the smallest inputs that together reach everything in place of the corpus. Counting how often a place was passed
    /// would keep ten times as many.
    fn keep(&self) -> Result<(), Failure> {
        if self.gathered.exists() {
            fs::remove_dir_all(&self.gathered).map_err(|source| failed(&self.gathered, source))?;
        }
        copy(&self.seeds, &self.gathered)?;
        let mut command = self.command();
        command.args(["-set_cover_merge=1", "-use_counters=0", "-verbosity=0"]);
        program::run(command.args([&self.gathered, &self.corpus, &self.found]))?;
        for file in files(&self.corpus)? {
            fs::remove_file(&file).map_err(|source| failed(&file, source))?;
        }
        copy(&self.gathered, &self.corpus)?;
        let seeds: BTreeSet<OsString> = names(&self.seeds)?.into_iter().collect();
        for name in names(&self.corpus)?.into_iter().filter(|name| seeds.contains(name)) {
            let file = self.corpus.join(name);
            fs::remove_file(&file).map_err(|source| failed(&file, source))?;
        }
        println!("=== {} inputs in {}", files(&self.corpus)?.len(), self.corpus.display());
        Ok(())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env("ASAN_OPTIONS", "detect_odr_violation=0:quarantine_size_mb=8").args(LIMITS);
        let mut prefix = OsString::from("-artifact_prefix=");
        prefix.push(self.artifacts.join(""));
        command.arg(prefix);
        command
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::create_dir_all(to).map_err(|source| failed(to, source))?;
    for name in names(from)? {
        fs::copy(from.join(&name), to.join(&name)).map_err(|source| failed(&from.join(&name), source))?;
    }
    Ok(())
}

fn files(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    Ok(names(directory)?.into_iter().map(|name| directory.join(name)).collect())
}

fn names(directory: &Path) -> Result<Vec<OsString>, Failure> {
    let entries = fs::read_dir(directory).map_err(|source| failed(directory, source))?;
    entries.map(|entry| Ok(entry.map_err(|source| failed(directory, source))?.file_name())).collect()
}

fn failed(path: &Path, source: std::io::Error) -> Failure {
    Failure::File { path: path.into(), source }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn words_choose_targets_and_a_time() {
        let known = ["json".to_owned(), "table".to_owned()];
        let read = |words: &[&str]| read_words(words, &known).map(|(targets, seconds)| (targets.join(" "), seconds));
        assert_eq!(read(&[]).unwrap(), ("json table".to_owned(), SECONDS));
        assert_eq!(read(&["table", "--seconds", "5"]).unwrap(), ("table".to_owned(), 5));
        for wrong in [&["tables"][..], &["--seconds"], &["--seconds", "x"], &["--seconds", "-1"]] {
            assert!(matches!(read(wrong), Err(Failure::Usage(_))), "{wrong:?}");
        }
    }
}
