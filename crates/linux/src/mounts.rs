//! What is mounted where, in the eyes of this process (`/proc/self/mountinfo`, proc(5)).

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The type of the file system that is mounted at this directory, such as `vfat`; nothing if none is.
///
/// # Errors
/// Those of the system: there is no such directory, or the table cannot be read.
pub fn mounted_at(directory: &Path) -> Result<Option<String>, io::Error> {
    let directory = fs::canonicalize(directory)?;
    let table = fs::read("/proc/self/mountinfo")?;
    // Names of mounts are any bytes; what is no text is none that is asked for.
    Ok(kind(&String::from_utf8_lossy(&table), &directory))
}

/// Of several at one place the last counts: it lies on top.
fn kind(table: &str, directory: &Path) -> Option<String> {
    table.lines().rev().find_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let point = mount.split(' ').nth(4)?;
        let kind = file_system.split(' ').next()?;
        (unescaped(point) == directory).then(|| kind.to_owned())
    })
}

/// Without the octal numbers that stand for white space and backslashes in these tables, and in fstab(5).
pub fn unescaped(text: &str) -> PathBuf {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = match rest {
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..] => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                after
            }
            _ => {
                bytes.push(*first);
                after
            }
        };
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TABLE: &str = r"22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/mapper/root rw
23 22 8:2 / /boot rw,relatime shared:2 master:1 - ext4 /dev/sda2 rw
24 23 8:1 / /boot/efi rw,relatime - vfat /dev/sda1 rw,fmask=0077
25 22 0:30 / /efi rw,relatime - autofs systemd-1 rw
26 25 8:1 / /efi rw,relatime - vfat /dev/sda1 rw
27 22 8:3 / /mnt/a\040b rw - vfat /dev/sda3 rw
28 22 8:4 / /over rw - vfat /dev/sda4 rw
29 28 8:5 / /over rw - ext4 /dev/sda5 rw
broken
30 22 8:6 / /short";

    #[test]
    fn a_file_system_is_found_by_its_place() {
        let check =
            |place: &str, expected: Option<&str>| assert_eq!(kind(TABLE, Path::new(place)).as_deref(), expected);
        check("/boot/efi", Some("vfat"));
        check("/efi", Some("vfat"));
        check("/boot", Some("ext4"));
        check("/mnt/a b", Some("vfat"));
        check("/over", Some("ext4"));
        for none in ["/boot/efi/EFI", "/boot/ef", "/short", "/mnt/a\\040b", "/dev/sda1"] {
            check(none, None);
        }
    }

    #[test]
    fn this_machine_has_a_table() {
        assert_eq!(mounted_at(Path::new("/proc")).unwrap().as_deref(), Some("proc"));
        assert_eq!(mounted_at(Path::new("/proc/self")).unwrap(), None);
        assert_eq!(mounted_at(Path::new("/no-such")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
