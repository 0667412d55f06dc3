//! Little-endian fields of what firmware writes. The end comes as `None`: what is missing is an answer of its caller.

/// Reads from the front.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    left: &'a [u8],
    read: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { left: bytes, read: 0 }
    }

    /// Bytes that were read so far.
    pub(super) fn offset(&self) -> usize {
        self.read
    }

    /// Whether nothing is left.
    pub(super) fn is_at_end(&self) -> bool {
        self.left.is_empty()
    }

    /// All that is left.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.left
    }

    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.left.split_at_checked(len)?;
        self.left = tail;
        self.read = self.read.checked_add(len)?;
        Some(head)
    }

    /// So many bytes as a field before them says.
    pub(super) fn take_u64(&mut self, len: u64) -> Option<&'a [u8]> {
        self.take(usize::try_from(len).ok()?)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}

/// UTF-16, little endian, up to its zero or its end. What is no text shows as a replacement.
pub(super) fn utf16(bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(2).filter_map(|pair| pair.try_into().ok().map(u16::from_le_bytes));
    char::decode_utf16(units.take_while(|unit| *unit != 0)).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// Bytes as text up to the first zero; control characters show as a replacement, so that a log never writes to a terminal.
pub(super) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    visible(&String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()))
}

/// Without control characters.
pub(super) fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
