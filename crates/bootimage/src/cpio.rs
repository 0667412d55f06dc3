//! Archives of the form `newc`: cpio(5) of BSD, and the kernel's buffer-format.rst.
//!
//! An entry is a header of 110 characters, the name with a zero at its end, and the content; the name and the content are each filled with
//! zeros up to a multiple of four bytes from the start of the header. All numbers are eight hexadecimal digits.

use crate::{ImageError, LONGEST_PATH};

/// The two magic numbers; the second one has a checksum, which the kernel does not look at.
const MAGIC: [&[u8]; 2] = [b"070701", b"070702"];
const HEADER_LENGTH: usize = 110;
/// The name of the last entry.
const TRAILER: &[u8] = b"TRAILER!!!";

/// One entry as it is stored.
pub(crate) struct Entry<'a> {
    /// The path as it is stored, without its zero.
    pub(crate) name: &'a [u8],
    /// Type and permissions, as stat(2) has them.
    pub(crate) mode: u32,
    /// What tells which entries are one file, under several names.
    pub(crate) file: [u32; 3],
    /// How many names it has.
    pub(crate) links: u32,
    pub(crate) content: &'a [u8],
}

/// Whether an archive begins here.
pub(crate) fn begins(bytes: &[u8]) -> bool {
    MAGIC.iter().any(|magic| bytes.starts_with(magic))
}

/// Reads one archive, entry by entry, to its trailer or its end.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], at: usize) -> Reader<'a> {
        Reader { bytes, at }
    }

    /// Where the next byte is.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The next entry; `None` behind the trailer, and where no entry begins.
    pub(crate) fn next(&mut self) -> Result<Option<Entry<'a>>, ImageError> {
        let start = self.at;
        if !self.bytes.get(start..).is_some_and(begins) {
            return Ok(None);
        }
        let short = ImageError::Short { at: start };
        let header = self.take(HEADER_LENGTH).ok_or(short.clone())?;
        let bad = ImageError::BadHeader { at: start };
        let numbers = numbers(header).ok_or(bad.clone())?;
        let [inode, mode, _, _, links, _, size, major, minor, _, _, name_size, _] = numbers;
        let name_size = usize::try_from(name_size).ok().filter(|size| (2..=LONGEST_PATH + 1).contains(size));
        let name = self.take(name_size.ok_or(bad.clone())?).ok_or(short.clone())?;
        let name = name.split(|byte| *byte == 0).next().filter(|name| !name.is_empty()).ok_or(bad)?;
        self.align(start);
        let size = usize::try_from(size).map_err(|_| short.clone())?;
        let content = self.take(size).ok_or(short)?;
        self.align(start);
        if name == TRAILER {
            return Ok(None);
        }
        Ok(Some(Entry { name, mode, file: [inode, major, minor], links, content }))
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    /// Passes the zeros that fill up to a multiple of four; at the end of an archive they may be missing.
    fn align(&mut self, start: usize) {
        let filled = start + (self.at - start).next_multiple_of(4);
        self.at = filled.min(self.bytes.len());
    }
}

/// The 13 numbers of a header.
fn numbers(header: &[u8]) -> Option<[u32; 13]> {
    let mut numbers = [0; 13];
    let digits = header.get(6..)?.as_chunks::<8>().0;
    for (number, digits) in numbers.iter_mut().zip(digits) {
        // `from_str_radix` would take a sign.
        let text = str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        *number = u32::from_str_radix(text, 16).ok()?;
    }
    Some(numbers)
}
