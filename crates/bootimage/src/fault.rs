//! Why the bytes are no image.

use std::error::Error;
use std::fmt;

/// Why an image is not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageError {
    /// There is nothing in it.
    Empty,
    /// An archive ends before one of its entries does.
    Short {
        /// Where the entry begins, in bytes from the start of the part.
        at: usize,
    },
    /// Neither an archive nor anything that the kernel could decompress.
    Unknown {
        /// Where it begins, in bytes from the start of the part.
        at: usize,
    },
    /// A number of an entry's header is none, or its name is empty or too long.
    BadHeader {
        /// Where the entry begins, in bytes from the start of the part.
        at: usize,
    },
    /// A path that leads upwards. No builder makes one.
    Upwards {
        /// The path.
        path: String,
    },
    /// More entries than there are in any image.
    TooMany,
    /// Something compressed where decompressed archives were expected.
    Nested {
        /// Where it begins, in bytes from the start of the part.
        at: usize,
    },
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImageError::Empty => f.write_str("there is nothing in it"),
            ImageError::Short { at } => write!(f, "it ends within the entry at byte {at}"),
            ImageError::Unknown { at } => {
                write!(f, "what begins at byte {at} is neither an archive nor compressed in a way that is known")
            }
            ImageError::BadHeader { at } => write!(f, "the entry at byte {at} makes no sense"),
            ImageError::Upwards { path } => write!(f, "the path {path} leads upwards"),
            ImageError::TooMany => write!(f, "it has more than {} entries", crate::MOST_ENTRIES),
            ImageError::Nested { at } => write!(f, "what begins at byte {at} is compressed a second time"),
        }
    }
}

impl Error for ImageError {}
