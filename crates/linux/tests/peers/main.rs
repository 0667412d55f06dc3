//! Disks, partition tables, locks and NBD, judged by the programs that everybody else uses for them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod alone;
mod fresh;
mod locks;
mod nbd;
mod partitions;
mod tool;
