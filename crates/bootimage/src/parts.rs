//! The parts of an image file: archives as they are, and the one that is compressed.

use crate::cpio::{self, Reader};
use crate::{Compression, ImageError};

/// A part of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// An archive as it stands, such as the one with microcode, which the kernel reads before it decompresses anything.
    Archive(&'a [u8]),
    /// What is compressed: the rest of the file.
    Compressed(Compression, &'a [u8]),
}

/// The parts in their order. Zeros between them and behind the last one belong to none.
///
/// # Errors
/// [`ImageError`] for what the kernel could not begin with, either.
pub fn parts(image: &[u8]) -> Result<Vec<Part<'_>>, ImageError> {
    let mut parts = Vec::new();
    let mut at = 0;
    loop {
        at += image.get(at..).unwrap_or_default().iter().take_while(|byte| **byte == 0).count();
        let rest = image.get(at..).unwrap_or_default();
        if rest.is_empty() {
            return if parts.is_empty() { Err(ImageError::Empty) } else { Ok(parts) };
        }
        if let Some(how) = Compression::of(rest) {
            parts.push(Part::Compressed(how, rest));
            return Ok(parts);
        }
        if !cpio::begins(rest) {
            return Err(ImageError::Unknown { at });
        }
        let mut reader = Reader::new(image, at);
        while reader.next()?.is_some() {}
        parts.push(Part::Archive(image.get(at..reader.at()).unwrap_or_default()));
        at = reader.at();
    }
}
