//! Anything that is, holds or serves a disk.
//!
//! Everything here sees a disk through [`BlockRead`] and [`BlockWrite`] and is one itself where it can be: a window of a disk,
//! a partition, an image. Files, sockets and encryption are absent on purpose: they belong to `linux` and `luks`.

#![forbid(unsafe_code)]

mod disk;
mod memory;
pub mod nbd;
pub mod partition;
mod reader;
pub mod signature;
mod unit;
mod window;

pub use disk::{BlockError, BlockRead, BlockWrite};
pub use memory::MemoryDisk;
pub use unit::{Bytes, SECTOR, Sectors};
pub use window::Window;
