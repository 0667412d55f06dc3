//! The person at the terminal, and the files that a configuration names.

use super::cancel::Cancel;
use crypto::Secret;
use std::fmt;
use std::io;

/// The person who runs the command, asked on the terminal and never on standard input, which carries data.
pub trait Person: Sync {
    /// Shows `question`, which may have several lines, says which answers there are, and returns whether it was yes.
    fn confirm(&self, question: &str) -> Result<bool, PersonError>;

    /// Shows `question`, a line without an end, and returns what is typed behind it, which is not shown; it may be empty. Stops waiting
    /// when `cancel` is raised: another attempt may open what the PIN was for.
    fn pin(&self, question: &str, cancel: &Cancel) -> Result<Secret, PersonError>;
}

/// Files named by a configuration, such as a stored advertisement.
pub trait Files: Sync {
    /// The whole content of the file at `path`. The implementation limits its size.
    fn read(&self, path: &str) -> Result<Secret, io::Error>;

    /// The content of a file that holds a key. Its name may come from a header that nobody has vouched for, so the implementation reads only
    /// what can be meant: a short regular file of this user's or root's, no link, that nobody else may read or write.
    fn read_key(&self, path: &str) -> Result<Secret, io::Error>;

    /// Makes such a file, readable for its owner alone and durable. Nothing that is there is touched.
    fn make_key(&self, path: &str, content: &Secret) -> Result<(), io::Error>;
}

/// Why nobody could be asked.
#[derive(Debug)]
pub enum PersonError {
    /// There is no terminal: a script, a boot script, a service.
    NoTerminal,
    /// The terminal failed, or the person gave up (`Interrupted`).
    Terminal {
        /// How.
        source: io::Error,
    },
}

impl fmt::Display for PersonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PersonError::NoTerminal => f.write_str("there is no terminal to ask on"),
            PersonError::Terminal { .. } => f.write_str("the terminal cannot be used"),
        }
    }
}

impl std::error::Error for PersonError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            PersonError::NoTerminal => None,
            PersonError::Terminal { source } => Some(source),
        }
    }
}
