//! The time by which certificates are judged.
//!
//! Many machines do not know the time when they start. What they do know is when their image was built: it is later than that. So the
//! time is the system's clock or the build of the image, whichever is later. A certificate that ran out between the two is taken for good
//! by a machine whose clock is behind; one that is not good yet by both is refused.

use super::pem_file::bad_file;
use crate::files::read_regular_file;
use clevis::NetError;
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// What says the time.
pub(super) type Now = fn() -> SystemTime;

/// Longest file with the time of a build: twenty digits and the end of the line.
const LONGEST: u64 = 21;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    now: Now,
    floor: Duration,
}

impl Clock {
    /// The system's clock as it is.
    pub(super) fn system() -> Clock {
        Clock { now: SystemTime::now, floor: Duration::ZERO }
    }

    /// `now`, and never before the time in the file `built`: Unix seconds in decimal, if there is such a file.
    ///
    /// # Errors
    /// [`NetError::TlsFile`] if it says something else.
    pub(super) fn not_before_build(now: Now, built: &Path) -> Result<Clock, NetError> {
        let path = built.display().to_string();
        let text = match read_regular_file(built, LONGEST) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Clock { now, floor: Duration::ZERO }),
            Err(source) => return Err(NetError::TlsFile { path, source }),
        };
        let digits = text.strip_suffix(b"\n").unwrap_or(&text);
        let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        let seconds = std::str::from_utf8(digits).ok().filter(|_| is_number).and_then(|digits| digits.parse().ok());
        let seconds = seconds.ok_or_else(|| bad_file(&path, io::Error::other("it is not a number of seconds")))?;
        Ok(Clock { now, floor: Duration::from_secs(seconds) })
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        // A clock before 1970 knows less than one that stands there.
        let now = (self.now)().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Some(UnixTime::since_unix_epoch(now.max(self.floor)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_1970() -> SystemTime {
        SystemTime::UNIX_EPOCH
    }

    fn before_1970() -> SystemTime {
        SystemTime::UNIX_EPOCH - Duration::from_secs(1)
    }

    fn later() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000)
    }

    #[test]
    fn it_is_never_earlier_than_the_build() {
        let dir = tempfile::tempdir().unwrap();
        let built = dir.path().join("built");
        let seconds = |now| Clock::not_before_build(now, &built).unwrap().current_time().unwrap().as_secs();
        assert_eq!([seconds(before_1970), seconds(at_1970), seconds(later)], [0, 0, 2_000_000_000], "no such file");
        for text in ["1795387201\n", "1795387201"] {
            std::fs::write(&built, text).unwrap();
            let found = [seconds(before_1970), seconds(at_1970), seconds(later)];
            assert_eq!(found, [1_795_387_201, 1_795_387_201, 2_000_000_000]);
        }
    }

    #[test]
    fn a_file_that_says_something_else_is_an_error_and_not_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let built = dir.path().join("built");
        for bad in ["", "\n", "now", "-1", "+1", "1.5", " 1", "1\n\n", "99999999999999999999", "0000000000000000000001"]
        {
            std::fs::write(&built, bad).unwrap();
            let error = Clock::not_before_build(at_1970, &built).unwrap_err();
            assert!(matches!(&error, NetError::TlsFile { path, .. } if *path == built.display().to_string()), "{bad}");
        }
        let directory = Clock::not_before_build(at_1970, dir.path());
        assert!(matches!(directory, Err(NetError::TlsFile { .. })));
    }
}
