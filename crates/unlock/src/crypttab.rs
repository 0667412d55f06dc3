//! `/etc/crypttab`: which encrypted disks a machine has, and how each is to be opened.
//!
//! Two programs own this format: the scripts of Debian's cryptsetup and systemd's generator, each with a crypttab(5) of its own.
//! A line is `NAME DEVICE [KEY [OPTIONS]]`, separated by spaces and tabs; `#` begins a comment line. Where the two differ, seen
//! with cryptsetup 2:2.6.1-4 and systemd 252:
//!
//! | | Debian | systemd | here |
//! | --- | --- | --- | --- |
//! | octal `\040` in a field | decoded | kept as it stands | decoded |
//! | `\,` in the options | undefined | a comma | a comma; `\054` too |
//! | key missing | the line is refused | a person is asked | a person is asked |
//! | key `-` | standard input | a person is asked | a person is asked |
//! | key `/PATH:LABEL=stick` | a path with a colon | a file on another device | a file on another device |
//! | key that is no path | handed to the key script | ignored | kept as a word |
//! | fifth field | part of the options | ignored | a comment if it begins with `#`, else refused |
//! | option not known | ignored with a warning | ignored with a warning | kept by name |
//! | value not understood | the line is refused | mostly the option is ignored | the line is refused |
//! | two kinds, `luks,plain` | a fixed order | the last one | the line is refused |
//! | `luks,swap` | LUKS | plain | LUKS |
//! | a name twice | the first line counts | the file ends there | the first line counts, the second is refused |
//! | `\r\n` | part of the last field | ends the line | ends the line |
//!
//! A line that is refused takes no other line with it. Only decimal numbers are numbers (systemd also reads `0x10`). Nothing is
//! looked up here: whether a file or device exists, and what a machine without a key does, others decide.

mod device;
mod edit;
mod escape;
mod fault;
mod kind;
mod limits;
mod option;
mod time_span;

pub use device::{Device, Key, Place};
pub use edit::{Edit, edit};
pub use fault::{CrypttabError, Fault, LineError, OptionError};
pub use kind::Kind;
pub use limits::{LONGEST_FILE, LONGEST_LINE, MOST_LINES};
pub use option::{Echo, Flag, Setting, TokenDevice};
pub use time_span::Patience;

use std::collections::BTreeMap;
use std::fmt;

/// What a crypttab says, and which of its lines say nothing.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Crypttab {
    /// The disks in the order of their lines, each name once.
    pub entries: Vec<Entry>,
    /// The lines that could not be read, in their order.
    pub faults: Vec<Fault>,
}

/// One disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The line it stands on, from 1.
    pub line: usize,
    /// The name below `/dev/mapper`: 1 to 127 bytes, no slash, not `.` or `..`.
    pub name: String,
    /// Where the encrypted data are.
    pub device: Device,
    /// What opens it.
    pub key: Key,
    /// The options in their order. Of two that contradict each other the later one counts.
    pub settings: Vec<Setting>,
}

/// Reads a crypttab.
///
/// Only a file beyond [`LONGEST_FILE`] or [`MOST_LINES`] is an error as a whole; everything else is a fault of its line.
pub fn parse(bytes: &[u8]) -> Result<Crypttab, CrypttabError> {
    if bytes.len() > LONGEST_FILE {
        return Err(CrypttabError::TooLong { bytes: bytes.len() });
    }
    let mut crypttab = Crypttab::default();
    let mut names = BTreeMap::new();
    for (line, bytes) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let read = Entry::parse(line, bytes).and_then(|entry| entry.map(|entry| entry.first(&mut names)).transpose());
        match read {
            Ok(None) => continue,
            Ok(Some(entry)) => crypttab.entries.push(entry),
            Err(why) => crypttab.faults.push(Fault { line, why }),
        }
        if crypttab.entries.len() + crypttab.faults.len() > MOST_LINES {
            return Err(CrypttabError::TooMany { line });
        }
    }
    Ok(crypttab)
}

impl Entry {
    /// What sort of encryption the options name or imply. `header=` and `key-slot=` imply LUKS, `swap` and `tmp` plain; a kind
    /// that is named stands above them.
    pub fn kind(&self) -> Kind {
        let implied = || self.settings.iter().find_map(Setting::implies);
        self.settings.iter().find_map(Setting::names_kind).or_else(implied).unwrap_or(Kind::Unstated)
    }

    /// Whether the last word on `flag` switches it on.
    pub fn has(&self, flag: Flag) -> bool {
        let said = self.settings.iter().rev().find_map(|setting| match setting {
            Setting::Flag(of, on) if *of == flag => Some(*on),
            _ => None,
        });
        said.unwrap_or(false)
    }

    /// `None` for a blank line and a comment.
    fn parse(line: usize, bytes: &[u8]) -> Result<Option<Entry>, LineError> {
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        if bytes.len() > LONGEST_LINE {
            return Err(LineError::TooLong { bytes: bytes.len() });
        }
        let Some(fields) = fields(bytes)? else { return Ok(None) };
        let mut fields = fields.into_iter();
        let name = name(fields.next().unwrap_or_default())?;
        let device = Device::parse(fields.next().ok_or(LineError::NoDevice)?)?;
        let key = fields.next().map_or(Ok(Key::Ask), Key::parse)?;
        let settings = fields.next().map_or(Ok(Vec::new()), option::parse)?;
        let entry = Entry { line, name, device, key, settings };
        entry.refuse_two_kinds()?;
        Ok(Some(entry))
    }

    fn refuse_two_kinds(&self) -> Result<(), LineError> {
        let mut named = self.settings.iter().filter_map(Setting::names_kind);
        let Some(first) = named.next() else { return Ok(()) };
        named.find(|kind| *kind != first).map_or(Ok(()), |second| Err(LineError::TwoKinds { first, second }))
    }

    fn first(self, names: &mut BTreeMap<String, usize>) -> Result<Entry, LineError> {
        match names.get(&self.name) {
            Some(line) => Err(LineError::NameTaken { name: self.name, line: *line }),
            None => {
                names.insert(self.name.clone(), self.line);
                Ok(self)
            }
        }
    }
}

/// The fields as they are written, one to four of them; `None` if there is nothing to read.
fn fields(line: &[u8]) -> Result<Option<Vec<&str>>, LineError> {
    let blank = |byte: &u8| *byte == b' ' || *byte == b'\t';
    if line.iter().find(|byte| !blank(byte)).is_none_or(|first| *first == b'#') {
        return Ok(None);
    }
    let text = str::from_utf8(line).map_err(|_| LineError::NotText)?;
    if text.chars().any(|c| c.is_control() && c != '\t') {
        return Err(LineError::ControlCharacter);
    }
    let mut fields: Vec<&str> = text.split([' ', '\t']).filter(|field| !field.is_empty()).collect();
    match fields.get(4) {
        Some(fifth) if !fifth.starts_with('#') => return Err(LineError::TooManyFields { fifth: (*fifth).into() }),
        _ => fields.truncate(4),
    }
    Ok(Some(fields))
}

fn name(raw: &str) -> Result<String, LineError> {
    let name = escape::decode(raw)?;
    let wrong = name.len() > limits::LONGEST_NAME || name.contains('/') || name == "." || name == "..";
    if wrong { Err(LineError::BadName { name }) } else { Ok(name) }
}

/// The line that reads as this entry, without its end.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", escape::encode(&self.name, &['#']), self.device, self.key)?;
        for (index, setting) in self.settings.iter().enumerate() {
            write!(f, "{}{setting}", if index == 0 { ' ' } else { ',' })?;
        }
        Ok(())
    }
}
