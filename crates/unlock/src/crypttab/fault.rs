//! Why a crypttab, or a line of it, says nothing.

use super::kind::Kind;
use super::limits::{LONGEST_FILE, LONGEST_LINE, LONGEST_NAME, MOST_LINES};
use std::error::Error;
use std::fmt;

/// Why nothing of the file was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CrypttabError {
    /// Longer than [`LONGEST_FILE`].
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// More than [`MOST_LINES`] lines that are neither blank nor comments.
    TooMany {
        /// The line that was one too many.
        line: usize,
    },
}

/// A line that names no disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: LineError,
}

/// Why a line names no disk. Texts are as read, with octal digits decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineError {
    /// Longer than [`LONGEST_LINE`].
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Not UTF-8, before or after octal digits were decoded.
    NotText,
    /// A control character other than a tab stands in it.
    ControlCharacter,
    /// Octal digits stand for the byte zero, which no name or path can hold.
    Nul,
    /// There is a name and nothing else.
    NoDevice,
    /// A fifth field that is no comment.
    TooManyFields {
        /// The field.
        fifth: String,
    },
    /// No name that a mapping can have.
    BadName {
        /// The name.
        name: String,
    },
    /// An earlier line has this name.
    NameTaken {
        /// The name.
        name: String,
        /// The line of the entry that has it.
        line: usize,
    },
    /// Neither an absolute path nor `TAG=VALUE` with a tag that is known.
    BadDevice {
        /// The second field.
        device: String,
    },
    /// Two kinds of encryption are named.
    TwoKinds {
        /// The first of them.
        first: Kind,
        /// Another one.
        second: Kind,
    },
    /// An option that is known has a value that is not.
    BadOption {
        /// The name of the option.
        option: String,
        /// What is wrong with it.
        why: OptionError,
    },
}

/// What is wrong with an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionError {
    /// Something must follow `=`.
    NoValue,
    /// Nothing may follow `=`.
    AValue,
    /// Not a decimal number in the range of the option.
    NotANumber,
    /// Not the number of a keyslot, 0 to 31.
    NotASlot,
    /// Not a time span.
    NotATimeSpan,
    /// Neither `yes` nor `no`, nor one of their other spellings.
    NotABoolean,
    /// Not an absolute path.
    NotAPath,
    /// Not `KEYRING::DESCRIPTION`.
    NotAKeyName,
    /// An option that may stand once stands twice.
    Twice,
    /// `=` without a name before it.
    NoName,
}

impl fmt::Display for CrypttabError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CrypttabError::TooLong { bytes } => {
                write!(f, "the crypttab has {bytes} bytes, more than {}", LONGEST_FILE)
            }
            CrypttabError::TooMany { line } => {
                write!(f, "line {line} of the crypttab is one more than {} with a disk", MOST_LINES)
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LineError::TooLong { bytes } => write!(f, "{bytes} bytes, more than {}", LONGEST_LINE),
            LineError::NotText => f.write_str("not UTF-8"),
            LineError::ControlCharacter => f.write_str("a control character stands in it"),
            LineError::Nul => f.write_str("octal digits stand for the byte zero"),
            LineError::NoDevice => f.write_str("a name and no device"),
            LineError::TooManyFields { fifth } => {
                write!(f, "`{fifth}` is a fifth field; a blank within the options is written \\040")
            }
            LineError::BadName { name } => {
                write!(f, "`{name}` cannot name a mapping: 1 to {} bytes without a slash can", LONGEST_NAME)
            }
            LineError::NameTaken { name, line } => write!(f, "the name `{name}` stands in line {line} already"),
            LineError::BadDevice { device } => write!(
                f,
                "`{device}` is no device: an absolute path or UUID=, PARTUUID=, LABEL=, PARTLABEL=, ID= with a value is"
            ),
            LineError::TwoKinds { first, second } => write!(f, "both `{first}` and `{second}`"),
            LineError::BadOption { option, why } => write!(f, "the option `{option}` {why}"),
        }
    }
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            OptionError::NoValue => "lacks a value",
            OptionError::AValue => "takes no value",
            OptionError::NotANumber => "wants a decimal number in its range",
            OptionError::NotASlot => "wants a keyslot, 0 to 31",
            OptionError::NotATimeSpan => "wants a time span such as 30s or 1min30s",
            OptionError::NotABoolean => "wants yes or no",
            OptionError::NotAPath => "wants an absolute path",
            OptionError::NotAKeyName => "wants KEYRING::DESCRIPTION",
            OptionError::Twice => "stands twice",
            OptionError::NoName => "has no name",
        })
    }
}

impl Error for CrypttabError {}
impl Error for LineError {}
impl Error for OptionError {}
