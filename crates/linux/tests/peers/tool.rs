//! Starting other people's programs.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Output};

/// A command for `program`, which Debian has in `package`.
///
/// # Panics
/// If it is not installed, with the line that installs it.
pub(crate) fn tool(program: &str, package: &str) -> Command {
    let search = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let found = search.split(':').map(|folder| PathBuf::from(folder).join(program)).find(|path| path.is_file());
    match found {
        Some(path) => Command::new(path),
        None => panic!("this test needs {program}: apt-get install --no-install-recommends {package}"),
    }
}

/// Runs `command` with `arguments`, whatever it answers.
pub(crate) fn run<S: AsRef<OsStr>>(command: &mut Command, arguments: impl IntoIterator<Item = S>) -> Output {
    let output = command.args(arguments).output();
    output.unwrap_or_else(|error| panic!("{}: {error}", command.get_program().display()))
}

/// Runs it and returns its standard output.
///
/// # Panics
/// If it fails, with all it said.
pub(crate) fn succeed<S: AsRef<OsStr>>(command: &mut Command, arguments: impl IntoIterator<Item = S>) -> String {
    let output = run(command, arguments);
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, said(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// All that a program said.
pub(crate) fn said(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat()
}
