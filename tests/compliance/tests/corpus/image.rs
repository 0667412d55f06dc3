//! The bytes of a disk, and the tools to put one fault into them.

use serde_json::Value;
use sha2::{Digest, Sha256};
use std::path::Path;

/// Where the JSON begins in a copy of a LUKS2 header (LUKS2 on-disk format, section 2.1).
const BINARY_LEN: usize = 4096;
/// The checksum's field, and how long it is.
const CHECKSUM: (usize, usize) = (448, 64);

/// A copy of a LUKS2 header.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Copy {
    First,
    Second,
}

/// Both, in the order of the disk.
pub const BOTH: [Copy; 2] = [Copy::First, Copy::Second];

/// A disk in memory.
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    bytes: Vec<u8>,
    /// The length of a LUKS2 header copy, as the disk was made; a fault in the field does not change where we look.
    copy_len: usize,
}

impl Image {
    /// A LUKS2 disk that a program has made.
    pub fn of_luks2(file: &Path) -> Image {
        let bytes = std::fs::read(file).unwrap();
        let copy_len = u64::from_be_bytes(bytes[8..16].try_into().unwrap());
        Image { bytes, copy_len: usize::try_from(copy_len).unwrap() }
    }

    /// A LUKS1 disk that a program has made.
    pub fn of_luks1(file: &Path) -> Image {
        Image { bytes: std::fs::read(file).unwrap(), copy_len: 0 }
    }

    /// Every byte.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Overwrites what is at `offset`; nothing is sealed.
    pub fn put(&mut self, offset: usize, bytes: &[u8]) {
        self.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    /// Overwrites with zeros.
    pub fn zero(&mut self, offset: usize, len: usize) {
        self.bytes[offset..offset + len].fill(0);
    }

    /// Lets the disk end here.
    pub fn cut(&mut self, len: usize) {
        assert!(len < self.bytes.len(), "nothing is cut off");
        self.bytes.truncate(len);
    }

    /// Where a copy of the LUKS2 header begins.
    pub fn start(&self, copy: Copy) -> usize {
        match copy {
            Copy::First => 0,
            Copy::Second => self.copy_len,
        }
    }

    /// The length of a copy.
    pub fn copy_len(&self) -> usize {
        self.copy_len
    }

    /// Overwrites a field of the binary header in these copies and makes their checksums right again.
    pub fn field(&mut self, copies: &[Copy], offset: usize, bytes: &[u8]) {
        for &copy in copies {
            self.put(self.start(copy) + offset, bytes);
            self.seal(copy);
        }
    }

    /// Makes the checksum of a copy right again (SHA-256).
    pub fn seal(&mut self, copy: Copy) {
        let digest = self.unsealed(copy, |bytes| Sha256::digest(bytes).to_vec());
        self.put(self.start(copy) + CHECKSUM.0, &digest);
    }

    /// Clears the field of the checksum and gives what `digest` makes of the whole copy.
    pub fn unsealed(&mut self, copy: Copy, digest: impl FnOnce(&[u8]) -> Vec<u8>) -> Vec<u8> {
        let start = self.start(copy);
        self.zero(start + CHECKSUM.0, CHECKSUM.1);
        digest(&self.bytes[start..start + self.copy_len])
    }

    /// The JSON of a copy, as text.
    pub fn text(&self, copy: Copy) -> String {
        let start = self.start(copy);
        let area = &self.bytes[start + BINARY_LEN..start + self.copy_len];
        let text = area.split(|byte| *byte == 0).next().unwrap();
        String::from_utf8(text.to_vec()).unwrap()
    }

    /// Puts these bytes into the JSON area of these copies, zeros behind them, and makes the checksums right.
    pub fn set_area(&mut self, copies: &[Copy], area: &[u8]) {
        for &copy in copies {
            let start = self.start(copy) + BINARY_LEN;
            self.zero(start, self.copy_len - BINARY_LEN);
            self.put(start, area);
            self.seal(copy);
        }
    }

    /// The length of a JSON area.
    pub fn area_len(&self) -> usize {
        self.copy_len - BINARY_LEN
    }

    /// Changes the JSON of these copies, and makes the checksums right.
    pub fn edit(&mut self, copies: &[Copy], change: impl Fn(&mut Value)) {
        for &copy in copies {
            let mut json = serde_json::from_str(&self.text(copy)).unwrap();
            change(&mut json);
            self.set_area(&[copy], json.to_string().as_bytes());
        }
    }

    /// Replaces a piece of the JSON's text in both copies, for what a JSON library would not write.
    pub fn replace(&mut self, from: &str, to: &str) {
        let text = self.text(Copy::First);
        assert!(text.contains(from), "{from} is not in {text}");
        self.set_area(&BOTH, text.replacen(from, to, 1).as_bytes());
    }
}
