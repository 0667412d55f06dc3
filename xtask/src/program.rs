//! Programs that `xtask` starts: always in the workspace's root, never through a shell.

use crate::failure::Failure;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// The `cargo` that started us, or the one on the path, to be run in `directory`.
pub(crate) fn cargo(directory: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(directory);
    // Also set in `.cargo/config.toml`, which a `--config` or a start from outside the root may pass by: AWS-LC's own
    // jitter entropy costs 44 to 66 ms in every process before its first random byte.
    command.env("AWS_LC_SYS_NO_JITTER_ENTROPY", "1");
    command
}

/// Runs to the end with our own standard streams; not exiting with 0 is an error.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let status = command.status().map_err(|source| start_failed(command, source))?;
    if status.success() { Ok(()) } else { Err(Failure::Program { command: words(command), status }) }
}

/// Runs to the end and returns standard output; standard error stays ours.
pub(crate) fn bytes(command: &mut Command) -> Result<Vec<u8>, Failure> {
    let output = command.stderr(Stdio::inherit()).output().map_err(|source| start_failed(command, source))?;
    if !output.status.success() {
        return Err(Failure::Program { command: words(command), status: output.status });
    }
    Ok(output.stdout)
}

/// As [`bytes`], as text.
pub(crate) fn output(command: &mut Command) -> Result<String, Failure> {
    String::from_utf8(bytes(command)?)
        .map_err(|_| Failure::Answer { program: "a program", what: format!("`{}` wrote no UTF-8", words(command)) })
}

/// Runs to the end, passes each line of standard output on and shows it to `see`.
pub(crate) fn watch(command: &mut Command, mut see: impl FnMut(&str)) -> Result<(), Failure> {
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|source| start_failed(command, source))?;
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            println!("{line}");
            see(&line);
        }
    }
    let status = child.wait().map_err(|source| start_failed(command, source))?;
    if status.success() { Ok(()) } else { Err(Failure::Program { command: words(command), status }) }
}

fn start_failed(command: &Command, source: std::io::Error) -> Failure {
    Failure::Start { program: command.get_program().to_string_lossy().into_owned(), source }
}

/// The command as a person would type it; only for messages.
fn words(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let name = program.rsplit('/').next().unwrap_or(&program).to_owned();
    command.get_args().fold(name, |text, word| text + " " + &word.to_string_lossy())
}
