//! Output without the library's buffer: what is printed may be a passphrase, and nobody wipes that buffer.

use rustix::fs::{FileType, OFlags, fcntl_getfl, fstat, major, minor};
use rustix::io::Errno;
use rustix::pipe::fcntl_setpipe_size;
use rustix::stdio::stdout;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;

/// Major and minor number of /dev/null, the same on every Linux (Documentation/admin-guide/devices.txt).
const NULL_DEVICE: (u32, u32) = (1, 3);

/// Writes all of it to standard output.
///
/// # Errors
/// Whatever the system says.
pub fn write_stdout(bytes: &[u8]) -> io::Result<()> {
    write_all(stdout(), bytes)
}

/// Whether nobody can read what is written to an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// As far as can be told, somebody can.
    Possible,
    /// It leads to the null device, which is what was asked for.
    NullDevice,
    /// It leads to the null device, open for reading too, as nobody redirects an output by hand: so the library opens it before
    /// `main` for a standard stream that the caller has closed.
    Closed,
}

/// Who may read what is written to standard output.
pub fn stdout_reader() -> Reader {
    reader(stdout())
}

/// Who may read what is written to this output.
pub fn reader(output: impl AsFd) -> Reader {
    let is_null = fstat(&output).is_ok_and(|found| {
        let device = FileType::from_raw_mode(found.st_mode) == FileType::CharacterDevice;
        device && (major(found.st_rdev), minor(found.st_rdev)) == NULL_DEVICE
    });
    match fcntl_getfl(&output) {
        _ if !is_null => Reader::Possible,
        Ok(flags) if flags & OFlags::ACCMODE == OFlags::RDWR => Reader::Closed,
        _ => Reader::NullDevice,
    }
}

/// Lets a pipe on standard output hold so much, if the system allows it: whoever writes a lot waits for the reader less often. What is no
/// pipe stays as it is.
pub fn widen_stdout(bytes: usize) {
    // It is an offer: with the pipe as it is all goes on.
    let _ = fcntl_setpipe_size(stdout(), bytes);
}

/// Writes all of it, by this descriptor itself: whoever traces the program sees that it went there and nowhere else.
///
/// # Errors
/// Whatever the system says.
pub fn write_all(output: impl AsFd, bytes: &[u8]) -> io::Result<()> {
    let mut left = bytes;
    while !left.is_empty() {
        match rustix::io::write(&output, left) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => left = left.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fs::File;

    #[test]
    fn a_null_device_is_told_from_one_that_stands_for_a_closed_stream() {
        let null = |read| File::options().read(read).write(true).open("/dev/null").unwrap();
        assert_eq!((reader(null(false)), reader(null(true))), (Reader::NullDevice, Reader::Closed));
        for other in ["/dev/zero", "/dev/full"] {
            assert_eq!(
                reader(File::options().read(true).write(true).open(other).unwrap()),
                Reader::Possible,
                "{other}"
            );
        }
        assert_eq!(reader(tempfile::tempfile().unwrap()), Reader::Possible);
    }
}
