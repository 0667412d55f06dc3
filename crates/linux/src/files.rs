//! Files that a policy names, read with care: the name may come from a header that nobody has authenticated yet.

use crypto::Secret;
use rustix::fs::{Mode, OFlags, open};
use std::fs::File;
use std::io::{self, Read};

/// Longest file that is read: an advertisement or a bundle of certificates is far shorter.
const LONGEST_FILE: u64 = 1 << 20;

/// The file system as pins see it.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostFiles;

impl clevis::Files for HostFiles {
    fn read(&self, path: &str) -> Result<Secret, io::Error> {
        read_file(path).map(Secret::new)
    }
}

/// The content of the regular file at `path`, at most 1 MiB. A pipe or a device is refused rather than waited for.
pub(crate) fn read_file(path: &str) -> Result<Vec<u8>, io::Error> {
    let file =
        File::from(open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY, Mode::empty())?);
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    // One byte more than the file has, so that a secret in it is not left behind by a buffer that had to grow.
    let size = usize::try_from(about.len().min(LONGEST_FILE)).unwrap_or(0);
    let mut content = Vec::with_capacity(size.saturating_add(1));
    if file.take(LONGEST_FILE + 1).read_to_end(&mut content)? as u64 > LONGEST_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "longer than 1 MiB"));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_regular_files_of_reasonable_size_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(path("adv"), b"{}").unwrap();
        std::fs::write(path("limit"), vec![b'x'; 1 << 20]).unwrap();
        std::fs::write(path("long"), vec![b'x'; (1 << 20) + 1]).unwrap();
        assert_eq!(read_file(&path("adv")).unwrap(), b"{}");
        assert_eq!(read_file(&path("limit")).unwrap().len(), 1 << 20);
        assert_eq!(read_file(&path("long")).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(read_file(&path("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
        for odd in [dir.path().to_str().unwrap(), "/dev/zero"] {
            assert_eq!(read_file(odd).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{odd}");
        }
    }
}
