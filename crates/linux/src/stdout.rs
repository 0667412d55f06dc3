//! Standard output without the library's buffer: what is printed may be a passphrase, and nobody wipes that buffer.

use rustix::io::Errno;
use rustix::stdio::stdout;
use std::io::{self, ErrorKind};

/// Writes all of it, by its own descriptor: whoever traces the program sees that it went to standard output and nowhere else.
///
/// # Errors
/// Whatever the system says.
pub fn write_stdout(bytes: &[u8]) -> io::Result<()> {
    let mut left = bytes;
    while !left.is_empty() {
        match rustix::io::write(stdout(), left) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => left = left.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
