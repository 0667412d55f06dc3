//! The person at the terminal: questions and passphrases, never on standard input or output, which carry data.

use clevis::{Cancel, PersonError};
use crypto::{Passphrase, Secret};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, isatty, tcgetattr, tcsetattr};
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::thread;
use std::time::Duration;
use zeroize::Zeroize;

/// The controlling terminal of this process. The default one waits for its person as long as it takes.
#[derive(Clone, Debug, Default)]
pub struct Terminal {
    cancel: Cancel,
}

/// Longest line that a person may type, in bytes; cryptsetup's own limit for a passphrase.
const LONGEST_LINE: usize = 512;
/// How often the flag is looked at while nobody types: a port must notice a cancel within 50 ms.
const LOOK_EVERY: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// How often one looks whether the person is free.
const TURN: Duration = Duration::from_millis(20);

impl Terminal {
    /// A terminal that stops waiting for its person once `cancel` is raised.
    pub fn until(cancel: Cancel) -> Terminal {
        Terminal { cancel }
    }

    /// Asks for a passphrase without showing it. The line ends with Enter; backspace and Ctrl-U correct it; Ctrl-C and
    /// Ctrl-D give up.
    ///
    /// # Errors
    /// [`PersonError::NoTerminal`], and an error of kind `Interrupted` if the person gives up or the flag is raised.
    pub fn passphrase(&self, prompt: &str) -> Result<Passphrase, PersonError> {
        hidden(prompt, &self.cancel).map(Passphrase::new)
    }

    /// Asks for a line that is shown while it is typed. What stands behind its first 512 bytes is passed over.
    ///
    /// # Errors
    /// [`PersonError`] if there is no terminal or it fails; an error of kind `Interrupted` if the flag is raised.
    pub fn line(&self, question: &str) -> Result<String, PersonError> {
        let tty = controlling_terminal()?;
        let failed = |source| PersonError::Terminal { source };
        (&tty).write_all(question.as_bytes()).map_err(failed)?;
        let line = cooked_line(&mut Keys { tty: &tty, cancel: &self.cancel }).map_err(failed)?;
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
    /// Enter alone and the end of input are a no, and what is neither yes nor no is asked again.
    fn confirm(&self, question: &str) -> Result<bool, PersonError> {
        let _turn = turn(&self.cancel)?;
        let mut answer = self.line(&format!("{question} [y/N] "))?;
        loop {
            if let Some(agreed) = agreement(&answer) {
                return Ok(agreed);
            }
            answer = self.line("answer y or n: ")?;
        }
    }

    /// Who gives up does so for all questions of this terminal: the next keyslot would ask for its PIN otherwise. That is raised before the turn
    /// ends.
    fn pin(&self, question: &str, cancel: &Cancel) -> Result<Secret, PersonError> {
        let _turn = turn(cancel)?;
        if cancel.is_cancelled() {
            return Err(PersonError::Terminal { source: given_up() });
        }
        let typed = hidden(question, cancel);
        let is_given_up = |source: &io::Error| source.kind() == io::ErrorKind::Interrupted && !cancel.is_cancelled();
        if matches!(&typed, Err(PersonError::Terminal { source }) if is_given_up(source)) {
            self.cancel.cancel();
        }
        typed
    }
}

/// One question at a time: attempts ask side by side, and there is one person.
static ASKING: Mutex<()> = Mutex::new(());

/// Waits until nobody else asks, or the flag is raised.
fn turn(cancel: &Cancel) -> Result<MutexGuard<'static, ()>, PersonError> {
    loop {
        match ASKING.try_lock() {
            Ok(turn) => return Ok(turn),
            Err(TryLockError::Poisoned(broken)) => return Ok(broken.into_inner()),
            Err(TryLockError::WouldBlock) if cancel.is_cancelled() => {
                return Err(PersonError::Terminal { source: given_up() });
            }
            Err(TryLockError::WouldBlock) => thread::sleep(TURN),
        }
    }
}

/// A line that is not shown while it is typed.
fn hidden(prompt: &str, cancel: &Cancel) -> Result<Secret, PersonError> {
    let tty = controlling_terminal()?;
    let failed = |source| PersonError::Terminal { source };
    let line = hidden_line(&tty, prompt, cancel);
    (&tty).write_all(b"\n").map_err(failed)?;
    line.map_err(failed)
}

/// Quiet before the prompt: a program may answer as soon as it sees that, and what it sends must be neither shown nor thrown away as typed
/// before the question.
fn hidden_line(tty: &File, prompt: &str, cancel: &Cancel) -> io::Result<Secret> {
    let quiet = Quiet::new(tty)?;
    (&mut &*tty).write_all(prompt.as_bytes())?;
    read_line(&mut Keys { tty, cancel }, quiet.erase)
}

/// Whether an answer is a yes; `None` if it is neither yes nor no.
fn agreement(answer: &str) -> Option<bool> {
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Some(true),
        "" | "n" | "no" => Some(false),
        _ => None,
    }
}

fn controlling_terminal() -> Result<File, PersonError> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOCTTY;
    let tty = open("/dev/tty", flags, Mode::empty()).map_err(|_| PersonError::NoTerminal)?;
    if isatty(&tty) { Ok(File::from(tty)) } else { Err(PersonError::NoTerminal) }
}

/// What is typed, waited for until a flag is raised.
struct Keys<'a> {
    tty: &'a File,
    cancel: &'a Cancel,
}

impl Read for Keys<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.cancel.is_cancelled() {
                return Err(given_up());
            }
            match poll(&mut [PollFd::new(self.tty, PollFlags::IN)], Some(&LOOK_EVERY)) {
                Ok(0) | Err(Errno::INTR) => continue,
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
            match rustix::io::read(self.tty, &mut *into) {
                Err(Errno::INTR) => {}
                read => return Ok(read?),
            }
        }
    }
}

fn given_up() -> io::Error {
    io::Error::new(io::ErrorKind::Interrupted, "given up")
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
        // Half a passphrase that was given up is not for the shell: it is flushed too. Nothing can be done about a terminal that has gone away.
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
    let mut byte = [0];
    loop {
        if tty.read(&mut byte)? == 0 {
            return Err(given_up());
        }
        match byte {
            [b'\n' | b'\r'] => return Ok(()),
            [CTRL_C] => return Err(given_up()),
            [CTRL_D] if line.is_empty() => return Err(given_up()),
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

/// The rest of a longer line is read too: it is no answer to the next question.
fn cooked_line(tty: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut byte = [0];
    while tty.read(&mut byte)? == 1 && byte != *b"\n" {
        if line.len() < LONGEST_LINE {
            line.extend(byte);
        }
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
    fn one_asks_at_a_time_and_the_others_stop_when_told() {
        let cancel = Cancel::new();
        let first = turn(&cancel).unwrap();
        cancel.cancel();
        assert!(
            matches!(turn(&cancel), Err(PersonError::Terminal { source }) if source.kind() == io::ErrorKind::Interrupted)
        );
        drop(first);
        assert!(turn(&cancel).is_ok());
    }

    #[test]
    fn giving_up_and_endless_lines_are_errors() {
        for keys in [&b"abc\x03"[..], b"\x04", b"abc", b""] {
            assert_eq!(typed(keys), Err(io::ErrorKind::Interrupted), "{keys:?}");
        }
        assert_eq!(typed(&[b'x'; 513]), Err(io::ErrorKind::InvalidInput));
    }

    #[test]
    fn a_line_ends_at_its_newline_however_long_it_is() {
        let keys = [&[b'x'; 600][..], b"\ny\n"].concat();
        let mut keys = keys.as_slice();
        assert_eq!(cooked_line(&mut keys).unwrap(), [b'x'; 512]);
        assert_eq!(cooked_line(&mut keys).unwrap(), b"y");
        assert!(cooked_line(&mut keys).unwrap().is_empty());
    }

    #[test]
    fn only_a_clear_answer_counts() {
        for (answer, expected) in [
            ("y", Some(true)),
            ("Y", Some(true)),
            ("yEs", Some(true)),
            (" yes ", Some(true)),
            ("", Some(false)),
            ("n", Some(false)),
            ("NO", Some(false)),
            ("ye", None),
            ("yes please", None),
            ("\u{fffd}", None),
        ] {
            assert_eq!(agreement(answer), expected, "{answer:?}");
        }
    }
}
