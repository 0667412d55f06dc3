//! The log of what was measured before the kernel ran: reading it, replaying it, naming what stands behind each event, and saying what the
//! PCRs will be after a part of the boot was exchanged (TCG PC Client Platform Firmware Profile 1.06, sections 9 and 10).
//!
//! A log is what somebody wrote into memory. A replay that meets the PCRs proves that its digests are right, for these PCRs; the words
//! beside them are never proved. A log that is missing, cut short or odd is an answer and no error: every function says what there is.

mod cause;
mod component;
mod device_path;
mod image;
mod kind;
mod predict;
mod read;
mod reader;
mod replay;
mod trace;
mod update;

pub use cause::Cause;
pub use component::{Component, GLOBAL_VARIABLE, SECURITY_DATABASE, Variable, is_signature_lists};
pub use image::{Image, ImageError};
pub use kind::EventKind;
pub use predict::{Booted, Exchange, Prediction, Unpredictable, predict};
pub use read::{End, Event, EventLog, LONGEST_LOG, MOST_EVENTS};
pub use replay::{Explained, Replayed};
pub use trace::{Moved, Trace};
pub use update::{Located, NewFile, NotLocated, Part};
