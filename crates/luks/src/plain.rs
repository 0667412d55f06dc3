//! The decrypted view of a volume, which is a disk too.
//!
//! A read of whole sectors is decrypted where it lands, in the caller's buffer, in pieces that stay in the processor's cache.
//! A write of whole sectors is encrypted in a buffer of at most one piece. What begins or ends inside a sector is read,
//! changed and written back; a lock over the sectors concerned keeps two such writes from losing each other's bytes.

use crate::accept::Accepted;
use crate::allowed::Data;
use block::{BlockError, BlockRead, BlockWrite, Bytes, SECTOR};
use crypto::VolumeKey;
use crypto::sector::{SectorCipher, SectorError};
use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use zeroize::Zeroizing;

/// How much is read and decrypted at once: a multiple of every sector size, and half of a small second-level cache.
const PIECE: usize = 128 << 10;

/// The data of a volume in clear.
pub struct Plain<D> {
    disk: D,
    data: Data,
    length: Bytes,
    sector: u64,
    cipher: SectorCipher,
    changing: Ranges,
}

/// Why there is no decrypted view.
#[derive(Debug)]
pub enum PlainError {
    /// The disk ends before the data does.
    DiskTooShort {
        /// Where the data begins.
        offset: Bytes,
        /// How long it is, if the header says so.
        size: Option<Bytes>,
        /// How long the disk is.
        disk: Bytes,
    },
    /// The key is not the key of this volume.
    WrongKey,
    /// The cipher refused the key.
    Cipher {
        /// What went wrong.
        source: SectorError,
    },
}

impl<D: BlockRead> Plain<D> {
    /// The data of the volume on `disk`, which is the disk that `header` was read from.
    ///
    /// # Errors
    /// [`PlainError`].
    pub fn new(disk: D, header: &Accepted, key: &VolumeKey) -> Result<Plain<D>, PlainError> {
        if !header.digest().fits(key) {
            return Err(PlainError::WrongKey);
        }
        let data = *header.data();
        let sector = u64::from(data.sector_size.bytes());
        let too_short = PlainError::DiskTooShort { offset: data.offset, size: data.size, disk: disk.len() };
        let Some(room) = disk.len().checked_sub(data.offset) else { return Err(too_short) };
        let length = match data.size {
            Some(size) if size > room => return Err(too_short),
            Some(size) => size,
            // What is left behind the last whole sector cannot be encrypted.
            None => Bytes(room.0 - room.0 % sector),
        };
        let cipher =
            data.cipher.keyed(key.expose(), data.sector_size).map_err(|source| PlainError::Cipher { source })?;
        Ok(Plain { disk, data, length, sector, cipher, changing: Ranges::default() })
    }

    /// How much is encrypted as one; requests of whole sectors are the fast ones.
    pub fn sector_size(&self) -> u32 {
        self.data.sector_size.bytes()
    }

    /// The disk below.
    pub fn into_disk(self) -> D {
        self.disk
    }

    /// Where `offset` of the data is on the disk. `offset` is inside the data, and that inside the disk: no overflow.
    fn on_disk(&self, offset: u64) -> Bytes {
        Bytes(self.data.offset.0.saturating_add(offset))
    }

    /// The IV of the sector at `offset`. It counts in 512 bytes whatever the sector size, and wraps as dm-crypt lets it.
    fn iv(&self, offset: u64) -> u64 {
        (offset / SECTOR).wrapping_add(self.data.iv_tweak)
    }

    /// Reads whole sectors.
    fn read_sectors(&self, mut offset: u64, into: &mut [u8]) -> Result<(), BlockError> {
        for piece in into.chunks_mut(PIECE) {
            self.disk.read_at(self.on_disk(offset), piece)?;
            self.cipher.decrypt(self.iv(offset), piece).map_err(|e| failed("decrypt", offset, e))?;
            offset += Bytes::from(piece.len()).0;
        }
        Ok(())
    }

    /// Reads the sector that holds `offset`, and returns where it begins too.
    fn sector_at(&self, offset: u64) -> Result<(u64, Zeroizing<Vec<u8>>), BlockError> {
        let start = offset - offset % self.sector;
        let mut sector = Zeroizing::new(vec![0; size(self.sector)]);
        self.read_sectors(start, &mut sector)?;
        Ok((start, sector))
    }

    /// Cuts `len` bytes from `offset` on into what lies in a first partial sector, whole sectors, and the rest.
    fn cut(&self, offset: u64, len: usize) -> (usize, usize) {
        let into_sector = offset % self.sector;
        let head = if into_sector == 0 { 0 } else { size(self.sector - into_sector).min(len) };
        let rest = len - head;
        (head, rest - rest % size(self.sector))
    }
}

impl<D: BlockRead> BlockRead for Plain<D> {
    fn len(&self) -> Bytes {
        self.length
    }

    fn read_at(&self, offset: Bytes, into: &mut [u8]) -> Result<(), BlockError> {
        BlockError::check_range(offset, into.len(), self.length)?;
        let (head, whole) = self.cut(offset.0, into.len());
        let (head, rest) = into.split_at_mut(head);
        let (whole, tail) = rest.split_at_mut(whole);
        let mut at = offset.0;
        self.read_part(at, head)?;
        at += Bytes::from(head.len()).0;
        self.read_sectors(at, whole)?;
        at += Bytes::from(whole.len()).0;
        self.read_part(at, tail)
    }
}

impl<D: BlockRead> Plain<D> {
    /// Reads less than a sector, out of one sector. While its neighbours in there are being changed it waits: in CBC all
    /// that follows a change is another ciphertext, and half of it would decrypt to rubbish.
    fn read_part(&self, offset: u64, into: &mut [u8]) -> Result<(), BlockError> {
        if into.is_empty() {
            return Ok(());
        }
        let start = offset - offset % self.sector;
        let _locked = self.changing.lock(start..start.saturating_add(self.sector));
        let (start, sector) = self.sector_at(offset)?;
        let found = sector.iter().skip(size(offset - start));
        into.iter_mut().zip(found).for_each(|(to, from)| *to = *from);
        Ok(())
    }
}

impl<D: BlockWrite> Plain<D> {
    /// Writes whole sectors. Their range is locked.
    fn write_sectors(&self, mut offset: u64, from: &[u8]) -> Result<(), BlockError> {
        let mut buffer = Zeroizing::new(Vec::with_capacity(PIECE.min(from.len())));
        for piece in from.chunks(PIECE) {
            buffer.clear();
            buffer.extend_from_slice(piece);
            self.cipher.encrypt(self.iv(offset), &mut buffer).map_err(|e| failed("encrypt", offset, e))?;
            self.disk.write_at(self.on_disk(offset), &buffer)?;
            offset += Bytes::from(piece.len()).0;
        }
        Ok(())
    }

    /// Writes less than a sector, into one sector. Its range is locked.
    fn write_part(&self, offset: u64, from: &[u8]) -> Result<(), BlockError> {
        if from.is_empty() {
            return Ok(());
        }
        let (start, mut sector) = self.sector_at(offset)?;
        let place = sector.iter_mut().skip(size(offset - start));
        place.zip(from).for_each(|(to, from)| *to = *from);
        self.write_sectors(start, &sector)
    }
}

impl<D: BlockWrite> BlockWrite for Plain<D> {
    fn write_at(&self, offset: Bytes, from: &[u8]) -> Result<(), BlockError> {
        BlockError::check_range(offset, from.len(), self.length)?;
        let end = offset.0 + Bytes::from(from.len()).0;
        let _locked = self.changing.lock(offset.0 - offset.0 % self.sector..end.next_multiple_of(self.sector));
        let (head, whole) = self.cut(offset.0, from.len());
        let (head, rest) = from.split_at(head);
        let (whole, tail) = rest.split_at(whole);
        let mut at = offset.0;
        self.write_part(at, head)?;
        at += Bytes::from(head.len()).0;
        self.write_sectors(at, whole)?;
        at += Bytes::from(whole.len()).0;
        self.write_part(at, tail)
    }

    fn flush(&self) -> Result<(), BlockError> {
        self.disk.flush()
    }
}

/// A length of at most a sector.
fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn failed(doing: &'static str, offset: u64, error: SectorError) -> BlockError {
    BlockError::Failed { doing, offset: Bytes(offset), source: io::Error::other(error) }
}

/// The ranges that are being changed. Whoever asks for one that overlaps another waits.
#[derive(Default)]
struct Ranges {
    taken: Mutex<Vec<Range<u64>>>,
    released: Condvar,
}

struct Locked<'a> {
    ranges: &'a Ranges,
    range: Range<u64>,
}

impl Ranges {
    fn lock(&self, range: Range<u64>) -> Locked<'_> {
        let overlaps = |taken: &mut Vec<Range<u64>>| taken.iter().any(|t| t.start < range.end && range.start < t.end);
        let taken = self.released.wait_while(self.taken(), overlaps);
        taken.unwrap_or_else(PoisonError::into_inner).push(range.clone());
        Locked { ranges: self, range }
    }

    fn taken(&self) -> MutexGuard<'_, Vec<Range<u64>>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let mut taken = self.ranges.taken();
        if let Some(i) = taken.iter().position(|t| *t == self.range) {
            taken.swap_remove(i);
        }
        drop(taken);
        self.ranges.released.notify_all();
    }
}

impl<D> fmt::Debug for Plain<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plain").field("data", &self.data).field("length", &self.length).finish_non_exhaustive()
    }
}

impl fmt::Display for PlainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PlainError::DiskTooShort { offset, size: Some(size), disk } => {
                write!(f, "the disk has {} bytes, but the data is {} bytes from {} on", disk.0, size.0, offset.0)
            }
            PlainError::DiskTooShort { offset, size: None, disk } => {
                write!(f, "the disk has {} bytes, but the data begins at {}", disk.0, offset.0)
            }
            PlainError::WrongKey => f.write_str("the key is not the key of this volume"),
            PlainError::Cipher { .. } => f.write_str("the volume's cipher refused its key"),
        }
    }
}

impl std::error::Error for PlainError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if let PlainError::Cipher { source } = self { Some(source) } else { None }
    }
}
