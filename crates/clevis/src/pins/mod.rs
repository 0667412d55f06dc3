//! The pins, one file each.

mod null;
mod sss;
pub(crate) mod tang;

use crate::pin::Pin;

pub use null::Null;
pub use sss::Sss;
pub use tang::Tang;

/// Every pin of this crate: the table that a caller hands in as `Ports::pins`.
pub const ALL: &[&dyn Pin] = &[&Tang, &Sss, &Null];
