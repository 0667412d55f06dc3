//! A disk as it would be without its LUKS header, to see what else is recognised on it.

use crate::luks2::binary_header::{HeaderCopy, HeaderSize};
use block::{BlockError, BlockRead, Bytes};

/// The same disk with zeros where the magic of a header copy may stand.
pub(crate) struct Unmarked<'a>(pub(crate) &'a dyn BlockRead);

impl BlockRead for Unmarked<'_> {
    fn len(&self) -> Bytes {
        self.0.len()
    }

    fn read_at(&self, offset: Bytes, into: &mut [u8]) -> Result<(), BlockError> {
        self.0.read_at(offset, into)?;
        hide(Bytes(0), HeaderCopy::Primary, offset, into);
        HeaderSize::all().for_each(|size| hide(size.bytes(), HeaderCopy::Secondary, offset, into));
        Ok(())
    }
}

/// Puts zeros in the place of a magic that lies wholly in what was read at `offset`.
fn hide(place: Bytes, copy: HeaderCopy, offset: Bytes, read: &mut [u8]) {
    let magic = copy.magic();
    let start = place.checked_sub(offset).and_then(|start| usize::try_from(start.0).ok());
    let found = start.and_then(|start| read.get_mut(start..start.checked_add(magic.len())?));
    if let Some(found) = found.filter(|found| **found == magic) {
        found.fill(0);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use block::{BlockWrite, MemoryDisk, signature};

    #[test]
    fn only_the_magic_of_luks_is_hidden() {
        let disk = MemoryDisk::from(vec![7; 64 << 10]);
        let mut expected = disk.to_vec();
        for (at, magic) in [(0, b"LUKS\xba\xbe"), (0x4000, b"SKUL\xba\xbe"), (0x8000, b"SKUL\xba\xbe")] {
            disk.write_at(Bytes(at), magic).unwrap();
            let at = usize::try_from(at).unwrap();
            expected[at..at + 6].fill(0);
        }
        disk.write_at(Bytes(0x5000), b"SKUL\xba\xbe").unwrap();
        expected[0x5000..0x5006].copy_from_slice(b"SKUL\xba\xbe");
        let mut read = vec![0; 64 << 10];
        Unmarked(&disk).read_at(Bytes(0), &mut read).unwrap();
        assert!(read == expected);
    }

    #[test]
    fn what_else_is_there_is_seen() {
        let disk = MemoryDisk::zeroed(64 << 10);
        disk.write_at(Bytes(0), b"LUKS\xba\xbe").unwrap();
        disk.write_at(Bytes(0x4000), b"SKUL\xba\xbe").unwrap();
        assert_eq!(signature::find(&Unmarked(&disk)).unwrap(), None);
        disk.write_at(Bytes(1080), b"\x53\xef").unwrap();
        assert_eq!(signature::find(&Unmarked(&disk)).unwrap(), Some("ext file system"));
    }
}
