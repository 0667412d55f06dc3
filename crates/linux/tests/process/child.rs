//! Running one test again in a process of its own.

use std::process::Command;
use std::{env, thread};

/// Set for a child: which part it plays.
const PART: &str = "COTTER_TEST_PART";
/// What a child writes before each line that is meant for the parent; the test harness writes lines of its own.
const MARK: &str = "child: ";

/// In a child: the part it plays.
pub fn part() -> Option<String> {
    env::var(PART).ok()
}

/// In a child: says something to the parent.
pub fn say(words: impl std::fmt::Display) {
    println!("\n{MARK}{words}");
}

/// What was said, from all that was written.
pub fn said(output: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(output).lines().filter_map(|line| line.strip_prefix(MARK)).map(str::to_owned).collect()
}

/// A command that runs the calling test again as `part`. A shell runs `before` first, in the same process: redirections,
/// variables (`$$` is the child's process number), limits.
pub fn again(part: &str, before: &str) -> Command {
    let mut command = Command::new("sh");
    let run = "exec \"$0\" --exact \"$1\" --nocapture --test-threads=1";
    command.args(["-c", &format!("{before}\n{run}")]).arg(env::current_exe().unwrap());
    command.arg(thread::current().name().unwrap()).env(PART, part);
    command
}
