//! What is served: one disk under one name.

use super::wire::LONGEST_STRING;
use crate::disk::{BlockError, BlockRead, BlockWrite};
use crate::unit::Bytes;
use std::fmt;
use std::sync::Arc;

/// The largest request that is carried out: what every client may expect to work.
const LARGEST_REQUEST: u32 = 1 << 25;
/// The preferred request is at least this long.
const PAGE: u32 = 4096;

/// A disk, its name, and what may be done with it. One export may be served on many connections at once.
pub struct Export {
    name: String,
    description: String,
    disk: Disk,
    sizes: BlockSizes,
    length: Bytes,
}

enum Disk {
    ReadOnly(Arc<dyn BlockRead>),
    ReadWrite(Arc<dyn BlockWrite>),
}

impl Export {
    /// Offers `disk` for reading. A client may ask for it by `name` or by no name at all.
    ///
    /// # Errors
    /// [`ExportError::Name`] if `name` is longer than the protocol allows or holds a NUL.
    pub fn read_only(name: &str, disk: Arc<dyn BlockRead>, sizes: BlockSizes) -> Result<Export, ExportError> {
        Export::new(name, Disk::ReadOnly(disk), sizes)
    }

    /// Offers `disk` for reading and writing.
    ///
    /// # Errors
    /// As [`Export::read_only`].
    pub fn read_write(name: &str, disk: Arc<dyn BlockWrite>, sizes: BlockSizes) -> Result<Export, ExportError> {
        Export::new(name, Disk::ReadWrite(disk), sizes)
    }

    fn new(name: &str, disk: Disk, sizes: BlockSizes) -> Result<Export, ExportError> {
        if !is_string(name) {
            return Err(ExportError::Name { length: name.len() });
        }
        let whole = disk.reader().len();
        // A client could not reach the end of an odd length with requests of whole blocks.
        let length = Bytes(whole.0 - whole.0 % u64::from(sizes.minimum));
        Ok(Export { name: name.to_owned(), description: String::new(), disk, sizes, length })
    }

    /// The same with a line about it that clients show to people.
    ///
    /// # Errors
    /// [`ExportError::Name`], for the same reasons as a name.
    pub fn described(self, description: &str) -> Result<Export, ExportError> {
        if !is_string(description) {
            return Err(ExportError::Name { length: description.len() });
        }
        Ok(Export { description: description.to_owned(), ..self })
    }

    /// What clients call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What clients may show to people.
    pub(super) fn description(&self) -> &str {
        &self.description
    }

    /// What clients are told about request sizes.
    pub(super) fn sizes(&self) -> BlockSizes {
        self.sizes
    }

    /// The length clients see: the disk's, in whole blocks.
    pub fn length(&self) -> Bytes {
        self.length
    }

    /// Whether `WRITE` is refused.
    pub fn is_read_only(&self) -> bool {
        matches!(self.disk, Disk::ReadOnly(_))
    }

    pub(super) fn reader(&self) -> &dyn BlockRead {
        self.disk.reader()
    }

    pub(super) fn writer(&self) -> Option<&dyn BlockWrite> {
        match &self.disk {
            Disk::ReadOnly(_) => None,
            Disk::ReadWrite(disk) => Some(disk.as_ref()),
        }
    }

    /// Makes everything that was written durable; nothing to do on a read-only export.
    pub fn flush(&self) -> Result<(), BlockError> {
        self.writer().map_or(Ok(()), BlockWrite::flush)
    }
}

impl fmt::Debug for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Export")
            .field("name", &self.name)
            .field("length", &self.length)
            .field("read_only", &self.is_read_only())
            .field("sizes", &self.sizes)
            .finish_non_exhaustive()
    }
}

impl Disk {
    fn reader(&self) -> &dyn BlockRead {
        match self {
            Disk::ReadOnly(disk) => disk.as_ref(),
            Disk::ReadWrite(disk) => disk.as_ref(),
        }
    }
}

fn is_string(text: &str) -> bool {
    text.len() <= LONGEST_STRING && !text.contains('\0')
}

/// The three sizes of the protocol's "Block size constraints".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockSizes {
    pub(super) minimum: u32,
    pub(super) preferred: u32,
    pub(super) maximum: u32,
}

impl BlockSizes {
    /// Requests in whole multiples of `minimum` bytes, best of 4096 and more, at most 32 MiB.
    ///
    /// # Errors
    /// [`ExportError::BlockSize`] unless `minimum` is a power of two of at most 65536.
    pub fn from_minimum(minimum: u32) -> Result<BlockSizes, ExportError> {
        if !minimum.is_power_of_two() || minimum > 1 << 16 {
            return Err(ExportError::BlockSize { minimum });
        }
        Ok(BlockSizes { minimum, preferred: minimum.max(PAGE), maximum: LARGEST_REQUEST })
    }
}

/// Why an export cannot be offered. Both are mistakes of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportError {
    /// The name or the description is longer than 4096 bytes or holds a NUL.
    Name {
        /// Its length in bytes.
        length: usize,
    },
    /// The smallest block is not a power of two of at most 65536.
    BlockSize {
        /// What was asked for.
        minimum: u32,
    },
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExportError::Name { length } => {
                write!(f, "an export's name of {length} bytes is longer than {LONGEST_STRING} or holds a NUL")
            }
            ExportError::BlockSize { minimum } => {
                write!(f, "a smallest block of {minimum} bytes is not a power of two up to 65536")
            }
        }
    }
}

impl std::error::Error for ExportError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryDisk;

    #[test]
    fn an_odd_length_is_cut_to_whole_blocks() {
        let disk = Arc::new(MemoryDisk::zeroed(10_000));
        let export = |minimum| Export::read_only("x", disk.clone(), BlockSizes::from_minimum(minimum).unwrap());
        assert_eq!(export(1).unwrap().length(), Bytes(10_000));
        assert_eq!(export(512).unwrap().length(), Bytes(9728));
        assert_eq!(export(4096).unwrap().length(), Bytes(8192));
    }

    #[test]
    fn what_the_protocol_forbids_is_refused() {
        for minimum in [0, 3, 1 << 17, u32::MAX] {
            assert_eq!(BlockSizes::from_minimum(minimum), Err(ExportError::BlockSize { minimum }));
        }
        let sizes = BlockSizes::from_minimum(512).unwrap();
        let disk = Arc::new(MemoryDisk::zeroed(0));
        let long = "x".repeat(4097);
        assert!(matches!(Export::read_only(&long, disk.clone(), sizes), Err(ExportError::Name { length: 4097 })));
        assert!(matches!(Export::read_only("a\0b", disk.clone(), sizes), Err(ExportError::Name { length: 3 })));
        assert!(Export::read_only("a", disk, sizes).unwrap().described(&long).is_err());
    }
}
