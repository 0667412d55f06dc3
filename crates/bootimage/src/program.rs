//! Whether two programs are the same to who runs them: builders of images strip them.
//!
//! dracut runs `strip` over what it packs. That takes away symbols and moves the table of sections, and leaves what is loaded (ELF, gABI
//! chapter 5, the segments `PT_LOAD`) but for the numbers of the header that say where that table is.

/// The class of ELF files of 64 bits.
const CLASS_64: u8 = 2;
/// The order of bytes: little-endian.
const LITTLE: u8 = 1;
const HEADER_LENGTH: usize = 64;
/// Where the header says where the table of sections is, and how long: `e_shoff`; `e_shentsize`, `e_shnum` and `e_shstrndx`.
const SECTIONS: [std::ops::Range<usize>; 2] = [40..48, 58..64];
const LOAD: u32 = 1;
/// Most segments that are looked at; a program has about ten.
const MOST_SEGMENTS: usize = 64;

/// Whether both are the same file, or ELF files of 64 bits, little-endian, whose loaded segments are the same.
pub fn is_same_program(one: &[u8], other: &[u8]) -> bool {
    one == other || loaded(one).is_some_and(|one| loaded(other).as_ref() == Some(&one))
}

/// A segment: its type, flags, addresses, size in memory, and its content.
#[derive(PartialEq, Eq)]
struct Segment {
    flags: u32,
    address: u64,
    in_memory: u64,
    content: Vec<u8>,
}

/// The start address and the segments that are loaded.
fn loaded(file: &[u8]) -> Option<(u64, Vec<Segment>)> {
    let header = file.get(..HEADER_LENGTH)?;
    if !header.starts_with(b"\x7fELF") || header.get(4..6)? != [CLASS_64, LITTLE] {
        return None;
    }
    let (entry, table) = (u64_at(header, 24)?, usize::try_from(u64_at(header, 32)?).ok()?);
    let (length, count) = (usize::from(u16_at(header, 54)?), usize::from(u16_at(header, 56)?));
    if length < 56 || count > MOST_SEGMENTS {
        return None;
    }
    let mut segments = Vec::new();
    for number in 0..count {
        let segment = file.get(table.checked_add(number * length)?..)?;
        if u32_at(segment, 0)? == LOAD {
            segments.push(Segment::read(file, segment)?);
        }
    }
    Some((entry, segments)).filter(|(_, segments)| !segments.is_empty())
}

impl Segment {
    fn read(file: &[u8], entry: &[u8]) -> Option<Segment> {
        let offset = usize::try_from(u64_at(entry, 8)?).ok()?;
        let size = usize::try_from(u64_at(entry, 32)?).ok()?;
        let mut content = file.get(offset..offset.checked_add(size)?)?.to_vec();
        for place in SECTIONS {
            // The header is part of the first segment.
            for byte in place.start.saturating_sub(offset)..place.end.saturating_sub(offset) {
                if let Some(byte) = content.get_mut(byte) {
                    *byte = 0;
                }
            }
        }
        Some(Segment { flags: u32_at(entry, 4)?, address: u64_at(entry, 16)?, in_memory: u64_at(entry, 40)?, content })
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}
