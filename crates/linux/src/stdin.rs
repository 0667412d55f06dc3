//! Secrets from standard input and from key files, never in a buffer that is not wiped: one that becomes too small is wiped
//! when a larger one takes its place.

use crypto::Secret;
use rustix::stdio::stdin;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// Longest passphrase on a line of standard input, in bytes.
const LONGEST_LINE: usize = 4096;
/// Longest key file, in bytes: cryptsetup's own limit.
const LONGEST_KEY_FILE: usize = 8 << 20;
/// Room that is made at first; more is taken in steps, and the smaller buffer is wiped.
const FIRST_ROOM: usize = 16 << 10;

/// Why nothing was read.
#[derive(Debug)]
pub enum StdinError {
    /// There is more of it than is taken.
    TooLong {
        /// How many bytes are.
        most: usize,
    },
    /// There is less of it than was asked for.
    TooShort {
        /// How many bytes there are.
        found: usize,
    },
    /// The system says no.
    Failed(io::Error),
}

/// All of standard input.
///
/// # Errors
/// [`StdinError`].
pub fn read_stdin(most: usize) -> Result<Secret, StdinError> {
    read_all(&mut Unbuffered, most)
}

/// The first line of standard input without its newline; what follows stays unread.
///
/// # Errors
/// [`StdinError`].
pub fn read_stdin_line() -> Result<Secret, StdinError> {
    read_first_line(&mut Unbuffered)
}

/// All of a key file, newlines included. It may be a pipe.
///
/// # Errors
/// [`StdinError`].
pub fn read_key_file(path: &Path) -> Result<Secret, StdinError> {
    read_all(&mut File::open(path).map_err(StdinError::Failed)?, LONGEST_KEY_FILE)
}

/// A part of a key file: from `offset` on `size` bytes, or all there are. There must be so many. It may be a pipe, of which what comes
/// before is read and forgotten.
///
/// # Errors
/// [`StdinError`].
pub fn read_key_file_part(path: &Path, offset: u64, size: Option<u64>) -> Result<Secret, StdinError> {
    let mut file = File::open(path).map_err(StdinError::Failed)?;
    if offset > 0 {
        match file.seek(SeekFrom::Start(offset)) {
            Err(error) if error.kind() == io::ErrorKind::NotSeekable => skip(&mut file, offset)?,
            sought => drop(sought.map_err(StdinError::Failed)?),
        }
    }
    let Some(size) = size else { return read_all(&mut file, LONGEST_KEY_FILE) };
    if size > LONGEST_KEY_FILE as u64 {
        return Err(StdinError::TooLong { most: LONGEST_KEY_FILE });
    }
    let part = read_all(&mut file.take(size), LONGEST_KEY_FILE)?;
    if part.len() as u64 == size { Ok(part) } else { Err(StdinError::TooShort { found: part.len() }) }
}

/// Reads so many bytes that are not wanted, or all there are.
fn skip(from: &mut impl Read, mut bytes: u64) -> Result<(), StdinError> {
    let mut unwanted = Secret::filled_by(FIRST_ROOM, |_| ());
    while bytes > 0 {
        let mut got = Ok(0);
        unwanted = unwanted.rewritten(|room| {
            let most = usize::try_from(bytes).unwrap_or(usize::MAX).min(room.len());
            got = read_retried(from, room.get_mut(..most).unwrap_or_default());
        });
        match got {
            Ok(count) => bytes = bytes.saturating_sub(count as u64),
            Err(Ended::Whole) => break,
            Err(Ended::Failed(error)) => return Err(StdinError::Failed(error)),
        }
    }
    Ok(())
}

/// Standard input without the library's buffer, which would keep a copy of the secret.
struct Unbuffered;

impl Read for Unbuffered {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(stdin(), into)?)
    }
}

fn read_all(from: &mut impl Read, most: usize) -> Result<Secret, StdinError> {
    let mut filled = 0;
    let mut buffer = Secret::filled_by(FIRST_ROOM.min(most.saturating_add(1)), |_| ());
    loop {
        let mut failure = None;
        buffer = buffer.rewritten(|bytes| {
            let free = bytes.get_mut(filled..).unwrap_or_default();
            match read_retried(from, free) {
                Ok(count) => filled += count,
                Err(error) => failure = Some(error),
            }
        });
        match failure {
            Some(Ended::Failed(error)) => return Err(StdinError::Failed(error)),
            Some(Ended::Whole) => return Ok(buffer.shortened_to(filled)),
            None if filled > most => return Err(StdinError::TooLong { most }),
            None if filled == buffer.len() => {
                let room = buffer.len().saturating_mul(2).min(most.saturating_add(1));
                buffer = buffer.lengthened_to(room);
            }
            None => {}
        }
    }
}

enum Ended {
    Whole,
    Failed(io::Error),
}

fn read_retried(from: &mut impl Read, into: &mut [u8]) -> Result<usize, Ended> {
    loop {
        match from.read(into) {
            Ok(0) => return Err(Ended::Whole),
            Ok(count) => return Ok(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Ended::Failed(error)),
        }
    }
}

/// Byte by byte, so that nothing behind the newline is taken from whoever reads next.
fn read_first_line(from: &mut impl Read) -> Result<Secret, StdinError> {
    let mut length = 0;
    let mut result = Ok(());
    let line = Secret::filled_by(LONGEST_LINE, |line| {
        let mut byte = [0];
        loop {
            match read_retried(from, &mut byte) {
                Ok(_) if byte == *b"\n" => break,
                Ok(_) => {}
                Err(Ended::Whole) => break,
                Err(Ended::Failed(error)) => {
                    result = Err(StdinError::Failed(error));
                    break;
                }
            }
            let Some(place) = line.get_mut(length) else {
                result = Err(StdinError::TooLong { most: LONGEST_LINE });
                break;
            };
            *place = byte[0];
            length += 1;
        }
    });
    result.map(|()| line.shortened_to(length))
}

impl fmt::Display for StdinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StdinError::TooLong { most } => write!(f, "there are more than {most} bytes"),
            StdinError::TooShort { found } => write!(f, "there are only {found} bytes of it"),
            StdinError::Failed(_) => f.write_str("reading failed"),
        }
    }
}

impl std::error::Error for StdinError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StdinError::TooLong { .. } | StdinError::TooShort { .. } => None,
            StdinError::Failed(source) => Some(source),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn all_of_it_is_read_however_it_comes() {
        for len in [0, 1, FIRST_ROOM - 1, FIRST_ROOM, FIRST_ROOM + 1, 100_000] {
            let bytes: Vec<u8> = (0..len).map(|i| u8::try_from(i % 251).unwrap()).collect();
            assert!(read_all(&mut bytes.as_slice(), 100_000).unwrap().ct_eq(&bytes), "{len}");
        }
        let error = read_all(&mut [0u8; 101].as_slice(), 100).unwrap_err();
        assert!(matches!(error, StdinError::TooLong { most: 100 }));
    }

    #[test]
    fn a_part_of_a_key_file_has_the_length_that_was_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, b"0123456789").unwrap();
        for (offset, size, expected) in
            [(0, Some(10), "0123456789"), (3, Some(4), "3456"), (8, None, "89"), (0, Some(0), "")]
        {
            assert!(read_key_file_part(&path, offset, size).unwrap().ct_eq(expected.as_bytes()), "{offset} {size:?}");
        }
        for (offset, size, found) in [(0, 11, 10), (8, 3, 2), (20, 1, 0)] {
            let error = read_key_file_part(&path, offset, Some(size)).unwrap_err();
            assert!(matches!(error, StdinError::TooShort { found: there } if there == found), "{error:?}");
        }
        assert!(matches!(read_key_file_part(&path, 0, Some(u64::MAX)), Err(StdinError::TooLong { .. })));
    }

    #[test]
    fn a_part_can_be_taken_of_a_pipe() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let whole: Vec<u8> = (0..100_000_u32).map(|place| (place % 251) as u8).collect();
        for (offset, size) in [(3, Some(4)), (FIRST_ROOM as u64 + 7, None), (99_999, Some(1)), (200_000, None)] {
            let (writer, content) = (path.clone(), whole.clone());
            // Who reads may be gone before all is written.
            let writing = std::thread::spawn(move || drop(std::fs::write(writer, content)));
            let part = read_key_file_part(&path, offset, size).unwrap();
            let rest = whole.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
            let expected = rest.get(..size.map_or(rest.len(), |size| usize::try_from(size).unwrap())).unwrap();
            assert!(part.ct_eq(expected), "{offset} {size:?}");
            writing.join().unwrap();
        }
    }

    #[test]
    fn a_line_ends_at_its_newline_and_leaves_the_rest() {
        let mut input = &b"first line\nsecond"[..];
        assert!(read_first_line(&mut input).unwrap().ct_eq(b"first line"));
        assert_eq!(input, b"second");
        assert!(read_first_line(&mut input).unwrap().ct_eq(b"second"));
        assert!(read_first_line(&mut input).unwrap().is_empty());
        assert!(read_first_line(&mut [b'x'; 5000].as_slice()).is_err());
    }
}
