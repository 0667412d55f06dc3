//! Why a command of `cargo xtask` stopped.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

/// Why a command stopped. Each variant names what a person has to look at.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The words on the command line make no command; carries the usage text.
    Usage(&'static str),
    /// A program could not be started at all.
    Start { program: String, source: io::Error },
    /// A program ran and said no; its own output stands above.
    Program { command: String, status: ExitStatus },
    /// A file of the workspace could not be read or written.
    File { path: PathBuf, source: io::Error },
    /// A program answered with something that is not what it documents.
    Answer { program: &'static str, what: String },
    /// Programs that the tests start are not here, and may not be installed by us.
    Missing { programs: Vec<&'static str>, remedy: String },
    /// The release binary is not what it has to be.
    Binary { path: PathBuf, what: String },
    /// Rules of the workspace are broken; each one was printed.
    Untidy { faults: usize },
}

impl Failure {
    /// 2 for a usage error, 1 for everything else.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            _ => 1,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) => write!(f, "no such command\n\n{text}"),
            Self::Start { program, source } => write!(f, "cannot start {program}: {source}"),
            Self::Program { command, status } => write!(f, "`{command}` failed: {status}"),
            Self::File { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Answer { program, what } => write!(f, "unexpected answer of {program}: {what}"),
            Self::Missing { programs, remedy } => {
                write!(f, "not installed: {}\nas root, this provides them:\n\n    {remedy}\n", programs.join(", "))
            }
            Self::Binary { path, what } => write!(f, "{}: {what}", path.display()),
            Self::Untidy { faults } => write!(f, "tidy: {faults} broken rules, listed above"),
        }
    }
}
