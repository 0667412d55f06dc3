//! A keyslot bound to a pin: list, plan, run, bind, unbind.
//!
//! This room joins `clevis` (how a secret is tied to a policy) and `luks` (what a secret opens). What changes a disk is a plan
//! first; what opens one tries its bindings side by side and keeps every reason when none of them does. Initramfs, units and
//! terminals are absent on purpose: whoever asks, here is the same answer.

#![forbid(unsafe_code)]

mod bind;
mod binding;
mod commit;
pub mod crypttab;
mod plan;
mod recheck;
mod run;

pub use bind::{BindError, BindRequest, Prepared, Proof, prepare};
pub use binding::{Binding, CLEVIS, TokenError, Unreadable, bindings, unreadable};
pub use commit::{Bound, CommitError, Exclusive, RevertFailure, bind, bind_edit, unbind, unbind_edit};
pub use plan::{Attempt, MOST_ATTEMPTS, plan};
pub use recheck::{RecheckError, recheck};
pub use run::{AttemptError, Event, Failed, Unlocked, run};
