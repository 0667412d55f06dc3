//! A disk in memory: scratch images, and every test of the rooms above.

use crate::disk::{BlockError, BlockRead, BlockWrite};
use crate::unit::Bytes;
use std::sync::{PoisonError, RwLock};

/// A disk whose bytes live in memory.
#[derive(Debug, Default)]
pub struct MemoryDisk {
    bytes: RwLock<Vec<u8>>,
}

impl MemoryDisk {
    /// A disk of `length` zero bytes.
    pub fn zeroed(length: usize) -> MemoryDisk {
        MemoryDisk::from(vec![0; length])
    }

    /// A copy of all bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        self.bytes.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl From<Vec<u8>> for MemoryDisk {
    fn from(bytes: Vec<u8>) -> MemoryDisk {
        MemoryDisk { bytes: RwLock::new(bytes) }
    }
}

impl BlockRead for MemoryDisk {
    fn len(&self) -> Bytes {
        self.bytes.read().unwrap_or_else(PoisonError::into_inner).len().into()
    }

    fn read_at(&self, offset: Bytes, into: &mut [u8]) -> Result<(), BlockError> {
        let bytes = self.bytes.read().unwrap_or_else(PoisonError::into_inner);
        BlockError::check_range(offset, into.len(), bytes.len().into())?;
        // After the check the whole range lies inside a slice, so it fits a `usize`.
        let start = usize::try_from(offset.0).unwrap_or(usize::MAX);
        if let Some(found) = bytes.get(start..start.saturating_add(into.len())) {
            into.copy_from_slice(found);
        }
        Ok(())
    }
}

impl BlockWrite for MemoryDisk {
    fn write_at(&self, offset: Bytes, from: &[u8]) -> Result<(), BlockError> {
        let mut bytes = self.bytes.write().unwrap_or_else(PoisonError::into_inner);
        BlockError::check_range(offset, from.len(), bytes.len().into())?;
        let start = usize::try_from(offset.0).unwrap_or(usize::MAX);
        if let Some(place) = bytes.get_mut(start..start.saturating_add(from.len())) {
            place.copy_from_slice(from);
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), BlockError> {
        Ok(())
    }
}
