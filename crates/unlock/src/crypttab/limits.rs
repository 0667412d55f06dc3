//! How much is read, so that no file costs more than its worth.

/// The longest file that is read, in bytes.
pub const LONGEST_FILE: usize = 1 << 20;
/// The longest line, in bytes without its end.
pub const LONGEST_LINE: usize = 64 << 10;
/// How many lines may name a disk.
pub const MOST_LINES: usize = 4096;
/// The kernel's `DM_NAME_LEN` less the byte that ends it.
pub(super) const LONGEST_NAME: usize = 127;
