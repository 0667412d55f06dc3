//! `cargo xtask test`: every check, in the order in which a mistake is cheapest to learn of.

use crate::failure::Failure;
use crate::workspace::Workspace;
use crate::{program, release, setup, tidy};
use std::time::Instant;

/// Tell the tests which files to put into an empty root, and into the images of guests: the program, and its boot build.
const STATIC_PROGRAM: &str = "COTTER_STATIC";
const BOOT_PROGRAM: &str = "COTTER_BOOT";

/// In the names of tests that take most of an hour together: whole boots, in every combination.
const LONG: &str = "matrix::";

/// Runs all steps; the first that fails ends the run.
pub(crate) fn run(workspace: &Workspace) -> Result<(), Failure> {
    let start = Instant::now();
    let mut count = Count::default();
    step("setup", setup::run)?;
    step("format", || program::run(program::cargo(&workspace.root).args(["fmt", "--all", "--check"])))?;
    step("tidy", || tidy::run(workspace))?;
    step("clippy", || {
        let words = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
        program::run(program::cargo(&workspace.root).args(words))?;
        let words = ["clippy", "--package", "program", "--no-default-features", "--locked", "--", "-D", "warnings"];
        program::run(program::cargo(&workspace.root).args(words))
    })?;
    // Before the tests, because some of them start these files in an empty root: they are built once.
    let full = step("static release", || release::build(workspace, &release::FULL))?;
    let boot = step("boot build", || release::build(workspace, &release::BOOT))?;
    println!("{full}\n{boot}");
    step("unit, vector and pairing tests", || {
        let mut cargo = program::cargo(&workspace.root);
        cargo.env(STATIC_PROGRAM, &full.path).env(BOOT_PROGRAM, &boot.path);
        cargo.args(["test", "--workspace", "--locked", "--no-fail-fast"]);
        cargo.args(["--", "--skip", LONG]);
        program::watch(&mut cargo, |line| count.see(line))
    })?;
    println!("\nall steps passed in {} s: {count}", start.elapsed().as_secs());
    Ok(())
}

/// Runs every whole boot, the long list included.
pub(crate) fn run_boots(workspace: &Workspace) -> Result<(), Failure> {
    step("setup", setup::run)?;
    let full = step("static release", || release::build(workspace, &release::FULL))?;
    let boot = step("boot build", || release::build(workspace, &release::BOOT))?;
    step("whole boots", || {
        let words = ["test", "--package", "boot", "--test", "whole", "--locked", "--no-fail-fast"];
        let mut cargo = program::cargo(&workspace.root);
        cargo.env(STATIC_PROGRAM, &full.path).env(BOOT_PROGRAM, &boot.path);
        program::run(cargo.args(words))
    })
}

fn step<T>(name: &str, run: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    println!("\n=== {name}");
    let start = Instant::now();
    let result = run();
    let word = if result.is_ok() { "passed" } else { "FAILED" };
    println!("=== {name}: {word} after {:.1} s", start.elapsed().as_secs_f64());
    result
}

/// The sum of the `test result:` lines that each test program ends with.
#[derive(Default, Debug, PartialEq)]
struct Count {
    passed: u64,
    failed: u64,
    ignored: u64,
    programs: u64,
}

impl Count {
    /// Adds one line, such as `test result: ok. 8 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; …`.
    fn see(&mut self, line: &str) {
        let Some((_, numbers)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". ")) else {
            return;
        };
        self.programs += 1;
        for part in numbers.split(';') {
            let mut words = part.split_whitespace();
            let Some(number) = words.next().and_then(|word| word.parse::<u64>().ok()) else { continue };
            match words.next() {
                Some("passed") => self.passed += number,
                Some("failed") => self.failed += number,
                Some("ignored") => self.ignored += number,
                _ => {}
            }
        }
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Count { passed, failed, ignored, programs } = self;
        write!(f, "{passed} tests passed, {failed} failed, {ignored} ignored, in {programs} test programs")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_results_add_up() {
        let mut count = Count::default();
        for line in [
            "running 3 tests",
            "test tests::a ... ok",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test result: FAILED. 40 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 1.20s",
        ] {
            count.see(line);
        }
        assert_eq!(count, Count { passed: 43, failed: 2, ignored: 1, programs: 2 });
    }
}
