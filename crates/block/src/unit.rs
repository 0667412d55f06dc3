//! Lengths and positions on a disk.

use std::fmt;

/// A length or a position in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

/// A length or a position in sectors of 512 bytes, whatever the device's own sector size is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sectors(pub u64);

/// Bytes in one of [`Sectors`].
pub const SECTOR: u64 = 512;

impl Bytes {
    /// The sum, unless it is beyond 2^64.
    pub fn checked_add(self, other: Bytes) -> Option<Bytes> {
        self.0.checked_add(other.0).map(Bytes)
    }

    /// The difference, unless it is negative.
    pub fn checked_sub(self, other: Bytes) -> Option<Bytes> {
        self.0.checked_sub(other.0).map(Bytes)
    }

    /// Whether this is a whole multiple of `unit` bytes; `unit` is not zero.
    pub fn is_multiple_of(self, unit: u64) -> bool {
        self.0.is_multiple_of(unit)
    }
}

impl Sectors {
    /// The same in bytes, unless it is beyond 2^64.
    pub fn checked_bytes(self) -> Option<Bytes> {
        self.0.checked_mul(SECTOR).map(Bytes)
    }
}

impl From<usize> for Bytes {
    fn from(count: usize) -> Bytes {
        // A `usize` has at most 64 bits on every target Rust knows.
        Bytes(count as u64)
    }
}

/// For people: `16 MiB`, `1.5 GiB`, `513 bytes`.
impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u32, &str); 5] = [(50, "PiB"), (40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
        for (shift, name) in UNITS {
            let unit = 1u64 << shift;
            if self.0 >= unit {
                let tenths = self.0 % unit * 10 / unit;
                return if tenths == 0 {
                    write!(f, "{} {name}", self.0 >> shift)
                } else {
                    write!(f, "{}.{tenths} {name}", self.0 >> shift)
                };
            }
        }
        write!(f, "{} bytes", self.0)
    }
}
