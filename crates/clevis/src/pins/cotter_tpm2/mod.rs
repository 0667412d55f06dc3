//! What goes beyond the pin `tpm2`.

mod latch;

pub use latch::{LATCH_EVENT, LATCH_PCR, shut_latch};
