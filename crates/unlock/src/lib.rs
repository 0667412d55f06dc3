//! A keyslot bound to a pin: list, plan, run, bind, unbind.
//!
//! This room joins `clevis` (how a secret is tied to a policy) and `luks` (what a secret opens). What changes a disk is a plan
//! first; what opens one tries its bindings side by side and keeps every reason when none of them does. Initramfs, units and
//! terminals are absent on purpose: whoever asks, here is the same answer.

#![forbid(unsafe_code)]

mod approvals;
mod bind;
mod binding;
mod by_passphrase;
mod change;
mod commit;
mod commit_error;
mod counters;
pub mod crypttab;
mod enrolled;
mod estimate;
mod human;
pub mod identity;
mod parts;
mod plan;
pub mod prompt;
mod rebind;
mod recheck;
mod recovery_key;
mod reseal;
mod run;
mod seal;
mod seal_fault;
mod sealing;
mod state;
mod store;
mod volume;

pub use approvals::{APPROVALS, MOST_APPROVALS, approvals, approvals_edit, approve};
pub use bind::{BindError, BindRequest, Keys, NewMeta, Parents, Prepared, Proof, Room, names, prepare};
pub use binding::{Binding, CLEVIS, TokenError, Unreadable, bindings, unreadable};
pub use by_passphrase::{ByPassphrase, NotOpened, open_by_passphrase, open_by_passphrase_unsealed};
pub use change::{
    BindPlan, NewPassphrase, Purpose, ReplacePlan, add_edit, bind_edit, change_edit, kill_edit, replace_edit,
    say_purpose, spare_orphans, unbind_edit,
};
pub use commit::{Bound, add, bind, bind_instead, change, kill, unbind};
pub use commit_error::{CommitError, RevertFailure};
pub use counters::{Ended, ended_by};
pub use enrolled::{Enrolled, How, enrolled};
pub use estimate::TimeLeft;
pub use human::{Holder, LastHumanSlot, Orphans, holder, human_slots, orphans_of_meta, orphans_of_tokens};
pub use luks::CLEVIS_UUID;
pub use plan::{Attempt, MOST_ATTEMPTS, Way, plan, plan_all};
pub use rebind::{edit, regen};
pub use recheck::{RecheckError, recheck};
pub use recovery_key::{Reading, read_recovery_key, recovery_key};
pub use reseal::{Approved, Count, MOST_SETS, NotResealed, Old, approve_values, is_approved, reseal, sets, with_sets};
pub use run::{AttemptError, Event, Failed, Proved, Unlocked, run, run_unsealed};
pub use seal::{check_seal, is_sealed};
pub use seal_fault::SealFault;
pub use sealing::{PreparedSeal, SealPlan, Sealed, prepare_seal, seal, seal_edit};
pub use state::{Report, SlotState, Verdict, WhyUnreadable, report, state};
pub use volume::{Exclusive, Volume};
