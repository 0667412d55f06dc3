//! `cotter luks unbind`

use super::change;
use super::chosen;
use crate::args::UnbindArgs;
use crate::counters;
use crate::error::CommandError;
use crate::host::Host;
use crate::output;
use crate::volume::{self, Disks};
use crypto::SystemRandom;
use std::time::Duration;
use unlock::{CommitError, LastHumanSlot};

/// How long the TPM is waited for, which is asked for nothing but whether a counter is left in it.
const ANSWER: Duration = Duration::from_secs(5);

/// Removes a binding and its keyslot.
pub fn run(args: &UnbindArgs) -> Result<(), CommandError> {
    let disks = Disks::open_to_change(&args.device, args.dry_run)?;
    let header = disks.accepted(&args.ceilings)?;
    let binding = chosen::binding(header.header(), &args.which, disks.header().path())?;
    let last = if args.last_binding { LastHumanSlot::Remove } else { LastHumanSlot::Keep };
    let failed = |source| {
        // What opens the volume now may be a binding alone, and then only that can add a passphrase.
        let hint = match source {
            CommitError::LastBinding { .. } => {
                "add a passphrase first: `cotter luks add -b`; or say that you mean it: --last-binding"
            }
            CommitError::LastSlot { .. } => {
                "add a passphrase first: `cotter luks add -b`; to destroy all keys: `cotter luks erase`"
            }
            source => return change::not_written("cannot unbind", source),
        };
        CommandError::failed("cannot unbind", source).hint(hint)
    };
    // Said before anybody is asked, and checked again on the header that is changed.
    let plan = unlock::unbind_edit(&header, &binding, last, &SystemRandom).map_err(failed)?;
    if args.dry_run {
        return change::print_plan(args.format, &plan);
    }
    let host = Host::new(ANSWER);
    host.cancel_on_signal()?;
    let device = args.device.path.display();
    let question = format!("Remove keyslot {} of {device} and what opens it?", binding.slot);
    if !args.force && !change::agreed(&host, &question, "-f removes it without asking")? {
        output::say("nothing was changed");
        return Ok(());
    }
    // A signal is noticed before the first write and not after it: a change that has begun is finished, because key material
    // that is overwritten cannot be put together again.
    let exclusive = || volume::exclusive(disks.header());
    let left = unlock::unbind(&disks.volume(&args.ceilings, &exclusive, &host), &binding, last).map_err(failed)?;
    // What goes is always under the seal.
    change::tell_seal(header.header(), &left, unlock::is_sealed(&left));
    counters::tell_left(&binding.jwe, &left, &host);
    let record = chosen::record(&binding).with("removed", true);
    change::report(args.format, &format!("keyslot {} is removed", binding.slot), record)
}
