//! A disk that remembers what was written and flushed, and what becomes of it when the power fails.

use block::{BlockError, BlockRead, BlockWrite, Bytes, MemoryDisk};
use std::sync::Mutex;

pub const SECTOR: usize = 512;

/// Writes between two flushes.
pub type Epoch = Vec<(usize, Vec<u8>)>;

/// A disk that remembers what was written.
pub struct Recorder {
    pub disk: MemoryDisk,
    log: Mutex<Vec<Epoch>>,
}

impl Recorder {
    pub fn new(disk: MemoryDisk) -> Recorder {
        Recorder { disk, log: Mutex::new(vec![Vec::new()]) }
    }

    pub fn epochs(&self) -> Vec<Epoch> {
        std::mem::replace(&mut self.log.lock().unwrap(), vec![Vec::new()])
    }
}

impl BlockRead for Recorder {
    fn len(&self) -> Bytes {
        self.disk.len()
    }

    fn read_at(&self, offset: Bytes, into: &mut [u8]) -> Result<(), BlockError> {
        self.disk.read_at(offset, into)
    }
}

impl BlockWrite for Recorder {
    fn write_at(&self, offset: Bytes, from: &[u8]) -> Result<(), BlockError> {
        self.log.lock().unwrap().last_mut().unwrap().push((usize::try_from(offset.0).unwrap(), from.to_vec()));
        self.disk.write_at(offset, from)
    }

    fn flush(&self) -> Result<(), BlockError> {
        self.log.lock().unwrap().push(Vec::new());
        Ok(())
    }
}

/// Bytes that are a disk.
pub struct Image<'a>(pub &'a [u8]);

impl BlockRead for Image<'_> {
    fn len(&self) -> Bytes {
        self.0.len().into()
    }

    fn read_at(&self, offset: Bytes, into: &mut [u8]) -> Result<(), BlockError> {
        BlockError::check_range(offset, into.len(), self.len())?;
        into.copy_from_slice(&self.0[usize::try_from(offset.0).unwrap()..][..into.len()]);
        Ok(())
    }
}

/// A generator of masks.
pub fn masks(seed: usize) -> impl Iterator<Item = bool> {
    let mut state = seed as u64 | 1;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state & 1 == 1
    })
}

/// The pieces of a write, sector by sector.
pub fn sectors(write: &(usize, Vec<u8>)) -> Vec<(usize, &[u8])> {
    let (start, bytes) = write;
    let first = (SECTOR - start % SECTOR) % SECTOR;
    let (head, rest) = bytes.split_at(first.min(bytes.len()));
    let mut pieces = vec![(*start, head)];
    pieces.extend(rest.chunks(SECTOR).enumerate().map(|(n, piece)| (start + first + n * SECTOR, piece)));
    pieces.retain(|(_, piece)| !piece.is_empty());
    pieces
}

pub fn put(bytes: &mut [u8], at: usize, piece: &[u8]) {
    bytes[at..at + piece.len()].copy_from_slice(piece);
}
