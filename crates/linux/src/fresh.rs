//! Reading what is on the medium, whatever older copies of it are in memory.
//!
//! Every block device has a page cache of its own: a loop device does not hear of what is written to its file, a partition not of
//! what is written to the whole disk, and no node of a shared disk of what another one writes. As long as somebody has the device
//! open its old pages stay. A header that is read there is changed from a state that is no more, and a write that is read back
//! there proves nothing. So headers are read with direct I/O (`O_DIRECT` in open(2)), which first writes what this cache has to
//! say and then asks the medium; cryptsetup does so too.

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Direct I/O wants places, lengths and memory that are multiples of the sector; this is one for every sector there is. It is also
/// the page that a cached write shorter than it is filled up to, from memory.
pub(crate) const UNIT: u64 = 4096;
/// Bytes of one read.
const CHUNK: u64 = 1 << 20;

/// A descriptor for direct reads.
#[derive(Debug)]
pub(crate) struct Fresh {
    file: File,
}

impl Fresh {
    /// Opens a device or file a second time; `is_same` tells whether it is the one that was opened before. `None` where there is no
    /// direct I/O: a file system in memory has no medium that could differ.
    ///
    /// # Errors
    /// What the system says; `StaleNetworkFileHandle` if the name leads elsewhere by now.
    pub(crate) fn open(path: &Path, is_same: impl Fn(&File) -> io::Result<bool>) -> io::Result<Option<Fresh>> {
        let flags = OFlags::RDONLY | OFlags::DIRECT | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = match open(path, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if is_same(&file)? { Ok(Some(Fresh { file })) } else { Err(Errno::STALE.into()) }
    }

    /// Reads all of `into`. False if the device wants it otherwise than in units of 4096 bytes; then nothing is said about `into`.
    ///
    /// # Errors
    /// What the system says; `UnexpectedEof` behind the end.
    pub(crate) fn read(&self, offset: u64, into: &mut [u8]) -> io::Result<bool> {
        let end = offset.saturating_add(into.len() as u64);
        let mut position = down(offset);
        let mut memory = vec![0; length(CHUNK.min(up(end) - position) + UNIT)];
        let misplaced = memory.as_ptr().align_offset(length(UNIT));
        while position < end {
            let wanted = misplaced..misplaced + length(CHUNK.min(up(end) - position));
            let aligned = memory.get_mut(wanted).unwrap_or_default();
            let got = match self.file.read_at(aligned, position) {
                Ok(got) => got,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if Errno::from_io_error(&error) == Some(Errno::INVAL) => return Ok(false),
                Err(error) => return Err(error),
            };
            let reached = position.saturating_add(got as u64);
            copy_common(aligned.get(..got).unwrap_or_default(), position, into, offset);
            // What was read short of a unit, at the end of a file, cannot be read on from.
            let next = if reached >= end { end } else { down(reached) };
            if next == position {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            position = next;
        }
        Ok(true)
    }
}

/// Copies what two stretches of one disk have in common.
fn copy_common(from: &[u8], from_at: u64, into: &mut [u8], into_at: u64) {
    let from = from.iter().skip(length(into_at.saturating_sub(from_at)));
    let into = into.iter_mut().skip(length(from_at.saturating_sub(into_at)));
    into.zip(from).for_each(|(to, byte)| *to = *byte);
}

pub(crate) fn down(place: u64) -> u64 {
    place - place % UNIT
}

/// Up to the next multiple of the unit; the highest one for what is above it.
pub(crate) fn up(place: u64) -> u64 {
    down(place.saturating_add(UNIT - 1))
}

fn length(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn any_stretch_is_read_as_it_stands_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk.img");
        let content: Vec<u8> = (0..(2 << 20) + 1234).map(|place: u32| (place % 251) as u8).collect();
        std::fs::write(&path, &content).unwrap();
        let Some(fresh) = Fresh::open(&path, |_| Ok(true)).unwrap() else { return };
        for (offset, len) in
            [(0, 1), (0, 4096), (4095, 2), (5000, 100), (100, 2 << 20), (0, content.len()), (content.len() - 5, 5)]
        {
            let mut found = vec![0; len];
            assert!(fresh.read(offset as u64, &mut found).unwrap());
            assert!(found == content[offset..offset + len], "{offset} {len}");
        }
        assert!(fresh.read(7, &mut []).unwrap());
        let behind = fresh.read(content.len() as u64 - 1, &mut [0; 2]).unwrap_err();
        assert_eq!(behind.kind(), ErrorKind::UnexpectedEof);
        let other = Fresh::open(&path, |_| Ok(false)).unwrap_err();
        assert_eq!(other.kind(), ErrorKind::StaleNetworkFileHandle);
    }
}
