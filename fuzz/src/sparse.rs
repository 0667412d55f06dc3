//! A large disk of which only what was written takes room, and which knows where it was written to.

use block::{BlockError, BlockRead, BlockWrite, Bytes};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard};

const PAGE: usize = 4096;
/// Room for a header of any size and for the areas of some slots.
const LENGTH: Bytes = Bytes(20 << 20);

/// A disk of 20 MiB.
#[derive(Default)]
pub(crate) struct SparseDisk(Mutex<State>);

#[derive(Default)]
struct State {
    pages: BTreeMap<u64, [u8; PAGE]>,
    written: Vec<Range<u64>>,
}

/// Everything that is on a disk; pages of zeros are left out.
#[derive(PartialEq, Eq)]
pub(crate) struct Content(BTreeMap<u64, [u8; PAGE]>);

impl SparseDisk {
    /// A disk that begins with these bytes; zeros follow.
    pub(crate) fn starting_with(bytes: &[u8]) -> SparseDisk {
        let disk = SparseDisk::default();
        disk.write_at(Bytes(0), bytes).unwrap();
        disk.state().written.clear();
        disk
    }

    /// All that is on it.
    pub(crate) fn content(&self) -> Content {
        let mut pages = self.state().pages.clone();
        pages.retain(|_, page| *page != [0; PAGE]);
        Content(pages)
    }

    /// Where it was written to since this was asked the last time.
    pub(crate) fn take_written(&self) -> Vec<Range<u64>> {
        std::mem::take(&mut self.state().written)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

/// The pieces of a request: which page, where in it, how much.
fn pieces(offset: Bytes, length: usize) -> impl Iterator<Item = (u64, Range<usize>)> {
    let (mut at, mut left) = (offset.0, length);
    std::iter::from_fn(move || {
        let start = usize::try_from(at % PAGE as u64).unwrap();
        let length = left.min(PAGE - start);
        let piece = (at / PAGE as u64, start..start + length);
        at += length as u64;
        left -= length;
        (length > 0).then_some(piece)
    })
}

impl BlockRead for SparseDisk {
    fn len(&self) -> Bytes {
        LENGTH
    }

    fn read_at(&self, offset: Bytes, mut into: &mut [u8]) -> Result<(), BlockError> {
        BlockError::check_range(offset, into.len(), LENGTH)?;
        let state = self.state();
        for (page, range) in pieces(offset, into.len()) {
            let (piece, rest) = into.split_at_mut(range.len());
            match state.pages.get(&page) {
                Some(page) => piece.copy_from_slice(&page[range]),
                None => piece.fill(0),
            }
            into = rest;
        }
        Ok(())
    }
}

impl BlockWrite for SparseDisk {
    fn write_at(&self, offset: Bytes, mut from: &[u8]) -> Result<(), BlockError> {
        BlockError::check_range(offset, from.len(), LENGTH)?;
        let mut state = self.state();
        state.written.push(offset.0..offset.0 + from.len() as u64);
        for (page, range) in pieces(offset, from.len()) {
            let (piece, rest) = from.split_at(range.len());
            state.pages.entry(page).or_insert([0; PAGE])[range].copy_from_slice(piece);
            from = rest;
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), BlockError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_known() {
        let disk = SparseDisk::starting_with(b"start");
        let before = disk.content();
        let piece: Vec<u8> = (0..=255).cycle().take(9000).collect();
        disk.write_at(Bytes(5000), &piece).unwrap();
        let mut found = vec![0xff; 9002];
        disk.read_at(Bytes(4999), &mut found).unwrap();
        assert_eq!((found[0], &found[1..9001], found[9001]), (0, piece.as_slice(), 0));
        assert_eq!(disk.take_written(), vec![Range { start: 5000, end: 14000 }]);
        assert!(disk.content() != before);
        disk.write_at(Bytes(5000), &[0; 9000]).unwrap();
        assert!(disk.content() == before, "zeros are nothing");
        assert!(disk.write_at(Bytes(LENGTH.0 - 1), b"ab").is_err());
    }
}
