//! A part of a disk that is a disk itself: a partition, a LUKS payload.

use crate::disk::{BlockError, BlockRead, BlockWrite};
use crate::unit::Bytes;

/// `length` bytes of another disk from `start` on.
#[derive(Debug)]
pub struct Window<D> {
    disk: D,
    start: Bytes,
    length: Bytes,
}

impl<D: BlockRead> Window<D> {
    /// A window that lies wholly inside `disk`.
    ///
    /// # Errors
    /// [`BlockError::BeyondEnd`] if it does not.
    pub fn new(disk: D, start: Bytes, length: Bytes) -> Result<Window<D>, BlockError> {
        match start.checked_add(length) {
            Some(end) if end <= disk.len() => Ok(Window { disk, start, length }),
            _ => Err(BlockError::BeyondEnd { offset: start, length, disk: disk.len() }),
        }
    }

    fn outer(&self, offset: Bytes, length: usize) -> Result<Bytes, BlockError> {
        BlockError::check_range(offset, length, self.length)?;
        // Inside the window, which is inside the disk: the sum cannot overflow.
        Ok(Bytes(self.start.0.saturating_add(offset.0)))
    }
}

impl<D: BlockRead> BlockRead for Window<D> {
    fn len(&self) -> Bytes {
        self.length
    }

    fn read_at(&self, offset: Bytes, into: &mut [u8]) -> Result<(), BlockError> {
        self.disk.read_at(self.outer(offset, into.len())?, into)
    }
}

impl<D: BlockWrite> BlockWrite for Window<D> {
    fn write_at(&self, offset: Bytes, from: &[u8]) -> Result<(), BlockError> {
        self.disk.write_at(self.outer(offset, from.len())?, from)
    }

    fn flush(&self) -> Result<(), BlockError> {
        self.disk.flush()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::MemoryDisk;

    #[test]
    fn a_window_never_reaches_outside_itself() {
        let disk = MemoryDisk::from((0..100u8).collect::<Vec<_>>());
        let window = Window::new(&disk, Bytes(10), Bytes(20)).unwrap();
        let mut two = [0; 2];
        window.read_at(Bytes(18), &mut two).unwrap();
        assert_eq!(two, [28, 29]);
        assert!(window.read_at(Bytes(19), &mut two).is_err());
        assert!(window.write_at(Bytes(u64::MAX), &two).is_err());
        assert!(Window::new(&disk, Bytes(90), Bytes(11)).is_err());
        assert!(Window::new(&disk, Bytes(u64::MAX), Bytes(2)).is_err());
    }
}
