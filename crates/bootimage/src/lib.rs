//! The image that a kernel unpacks to start from: archives one behind the other, some of them compressed.
//!
//! The format is the kernel's (Documentation/driver-api/early-userspace/buffer-format.rst): cpio archives of the form `newc`, with any number
//! of zeros between them; what follows in another form is compressed, and lasts to the end. [`parts`] tells them apart, [`Image`] is what the
//! kernel makes of them, and [`Wanted`] what has to be inside if a machine is to open its disks with it.
//!
//! What is compressed is handed in decompressed: the programs that pack an image are on the machine that has it.
//!
//! *Absent:* files, programs, decompression, which image belongs to which kernel.

#![forbid(unsafe_code)]

mod compression;
mod cpio;
mod fault;
mod framework;
mod image;
mod parts;
mod program;
mod wanted;

pub use compression::Compression;
pub use fault::ImageError;
pub use framework::{Framework, Init};
pub use image::{Image, Node};
pub use parts::{Part, parts};
pub use program::is_same_program;
pub use wanted::{Content, Lack, Wanted, WantedFile};

/// Longest path in an image, as the kernel has it (`PATH_MAX`).
pub const LONGEST_PATH: usize = 4096;
/// The most entries of an image: some 3000 are usual, with all modules and all firmware 15000.
pub const MOST_ENTRIES: usize = 1 << 18;
