//! Conversations with swtpm, the TPM that libtpms makes of software.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![forbid(unsafe_code)]

mod attacks;
mod capabilities;
mod line;
mod memory;
mod pin;
mod pin_commands;
mod pin_conditions;
mod pin_line;
mod pin_person;
mod pin_purpose;
mod policies;
mod sealing;
mod swtpm;
mod values;
