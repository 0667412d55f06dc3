//! The person at the terminal: questions and passphrases, never on standard input or output, which carry data.

use clevis::PersonError;
use crypto::{Passphrase, Secret};
use rustix::fs::{Mode, OFlags, open};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, isatty, tcgetattr, tcsetattr};
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use zeroize::Zeroize;

/// The controlling terminal of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terminal;

/// Longest line that a person may type, in bytes; cryptsetup's own limit for a passphrase.
const LONGEST_LINE: usize = 512;

impl Terminal {
    /// Asks for a passphrase without showing it. The line ends with Enter; backspace and Ctrl-U correct it; Ctrl-C and
    /// Ctrl-D give up.
    ///
    /// # Errors
    /// [`PersonError::NoTerminal`], and an error of kind `Interrupted` if the person gives up.
    pub fn passphrase(&self, prompt: &str) -> Result<Passphrase, PersonError> {
        let mut tty = controlling_terminal()?;
        let failed = |source| PersonError::Terminal { source };
        tty.write_all(prompt.as_bytes()).map_err(failed)?;
        let line = {
            let quiet = Quiet::new(&tty).map_err(failed)?;
            read_line(&mut &tty, quiet.erase)
        };
        tty.write_all(b"\n").map_err(failed)?;
        line.map(Passphrase::new).map_err(failed)
    }

    /// Asks for a line that is shown while it is typed.
    ///
    /// # Errors
    /// [`PersonError`] if there is no terminal or it fails.
    pub fn line(&self, question: &str) -> Result<String, PersonError> {
        let mut tty = controlling_terminal()?;
        let failed = |source| PersonError::Terminal { source };
        tty.write_all(question.as_bytes()).map_err(failed)?;
        let line = cooked_line(&mut tty).map_err(failed)?;
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    /// Whether progress on standard error would be seen by a person.
    pub fn watches_stderr() -> bool {
        io::stderr().is_terminal()
    }

    /// Whether standard input is a terminal, so that nobody feeds it.
    pub fn types_stdin() -> bool {
        io::stdin().is_terminal()
    }
}

impl clevis::Person for Terminal {
    fn confirm(&self, question: &str) -> Result<bool, PersonError> {
        let answer = self.line(&format!("{question} [y/N] "))?;
        Ok(matches!(answer.as_str(), "y" | "Y"))
    }
}

fn controlling_terminal() -> Result<File, PersonError> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOCTTY;
    let tty = open("/dev/tty", flags, Mode::empty()).map_err(|_| PersonError::NoTerminal)?;
    if isatty(&tty) { Ok(File::from(tty)) } else { Err(PersonError::NoTerminal) }
}

/// A terminal that neither shows what is typed nor makes signals of it; it is put back when this is dropped.
struct Quiet<'a> {
    tty: &'a File,
    before: Termios,
    erase: u8,
}

impl<'a> Quiet<'a> {
    fn new(tty: &'a File) -> io::Result<Quiet<'a>> {
        let before = tcgetattr(tty)?;
        let erase = before.special_codes[SpecialCodeIndex::VERASE];
        let mut quiet = before.clone();
        quiet.local_modes -= LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG;
        quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
        quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
        // What was typed before the question belongs to something else.
        tcsetattr(tty, OptionalActions::Flush, &quiet)?;
        Ok(Quiet { tty, before, erase })
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that has gone away.
        let _ = tcsetattr(self.tty, OptionalActions::Flush, &self.before);
    }
}

const CTRL_C: u8 = 3;
const CTRL_D: u8 = 4;
const BACKSPACE: u8 = 8;
const CTRL_U: u8 = 21;

/// One line from a terminal in quiet mode, edited here because the kernel no longer does.
fn read_line(tty: &mut impl Read, erase: u8) -> io::Result<Secret> {
    let mut line = Vec::with_capacity(LONGEST_LINE);
    let result = edit_line(tty, erase, &mut line);
    if result.is_err() {
        line.zeroize();
    }
    result.map(|()| Secret::new(line))
}

fn edit_line(tty: &mut impl Read, erase: u8, line: &mut Vec<u8>) -> io::Result<()> {
    let given_up = || Err(io::Error::new(io::ErrorKind::Interrupted, "given up"));
    let mut byte = [0];
    loop {
        if tty.read(&mut byte)? == 0 {
            return given_up();
        }
        match byte {
            [b'\n' | b'\r'] => return Ok(()),
            [CTRL_C] => return given_up(),
            [CTRL_D] if line.is_empty() => return given_up(),
            [CTRL_U] => line.zeroize(),
            [b] if b == erase || b == BACKSPACE => remove_character(line),
            [b] if line.len() < LONGEST_LINE => line.push(b),
            _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "a passphrase has at most 512 bytes")),
        }
    }
}

/// Takes the last character off, which in UTF-8 may be several bytes.
fn remove_character(line: &mut Vec<u8>) {
    while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
}

fn cooked_line(tty: &mut File) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < LONGEST_LINE && tty.read(&mut byte)? == 1 && byte != *b"\n" {
        line.extend(byte);
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &[u8]) -> Result<Vec<u8>, io::ErrorKind> {
        read_line(&mut &*keys, 0x7f).map(|line| line.expose().to_vec()).map_err(|e| e.kind())
    }

    #[test]
    fn a_line_is_edited_as_a_person_expects() {
        assert_eq!(typed(b"secret\nmore"), Ok(b"secret".to_vec()));
        assert_eq!(typed(b"sex\x7fcret\r"), Ok(b"secret".to_vec()));
        assert_eq!(typed("stra\u{df}\x08\x08se\n".as_bytes()), Ok(b"strse".to_vec()));
        assert_eq!(typed(b"\x7f\x7fa\n"), Ok(b"a".to_vec()));
        assert_eq!(typed(b"wrong\x15right\n"), Ok(b"right".to_vec()));
        assert_eq!(typed(b"a b\x04c\n"), Ok(b"a b\x04c".to_vec()));
        assert_eq!(typed(b"\n"), Ok(Vec::new()));
    }

    #[test]
    fn giving_up_and_endless_lines_are_errors() {
        for keys in [&b"abc\x03"[..], b"\x04", b"abc", b""] {
            assert_eq!(typed(keys), Err(io::ErrorKind::Interrupted), "{keys:?}");
        }
        assert_eq!(typed(&[b'x'; 513]), Err(io::ErrorKind::InvalidInput));
    }
}
