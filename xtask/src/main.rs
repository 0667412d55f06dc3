//! `cargo xtask COMMAND`: everything that is done to the workspace, on a developer's machine and in CI alike.
//!
//! The logic is here and not in shell scripts or CI files, so that there is one place to read and one command to type.

#![forbid(unsafe_code)]

mod bench;
mod elf;
mod failure;
mod fuzz;
mod newer;
mod pairings;
mod program;
mod release;
mod setup;
mod suite;
mod tidy;
mod workspace;

use failure::Failure;
use std::process::ExitCode;
use workspace::Workspace;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  setup      install the Debian packages that the tests need, or print the line that does; make the roots that they boot
  test       setup, fmt, clippy, tidy, the static release, and every test but the long boots
  test boot  every whole boot of a Debian, one after the other
  tidy       the rules of the workspace that no compiler checks
  release    the static binary; with --boot the smaller one for images that start machines
  pairings   run the pairing tests and write docs/pairings.md
  newer      the same pairing tests against the newest originals that can be had
  bench      measure ours and the originals side by side; markdown on standard output
  fuzz       [TARGET…] [--seconds N]: feed the parsers with anything; what is worth keeping goes to fuzz/corpus
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(words: &[&str]) -> Result<(), Failure> {
    match words {
        ["setup"] => setup::run(),
        ["test"] => suite::run(&Workspace::load()?),
        ["test", "boot"] => suite::run_boots(&Workspace::load()?),
        ["tidy"] => tidy::run(&Workspace::load()?),
        ["release"] => release::run(&Workspace::load()?, &release::FULL),
        ["release", "--boot"] => release::run(&Workspace::load()?, &release::BOOT),
        ["pairings"] => pairings::run(&Workspace::load()?),
        ["newer", rest @ ..] => newer::run(&Workspace::load()?, rest),
        ["bench", rest @ ..] => bench::run(&Workspace::load()?, rest),
        ["fuzz", rest @ ..] => fuzz::run(&Workspace::load()?, rest),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        _ => Err(Failure::Usage(USAGE)),
    }
}
