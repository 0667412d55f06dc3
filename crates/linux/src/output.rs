//! Output without the library's buffer: what is printed may be a passphrase, and nobody wipes that buffer.

use rustix::io::Errno;
use rustix::stdio::stdout;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;

/// Writes all of it to standard output.
///
/// # Errors
/// Whatever the system says.
pub fn write_stdout(bytes: &[u8]) -> io::Result<()> {
    write_all(stdout(), bytes)
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
