//! `cotter luks unbind`

use super::change;
use super::{chosen, kill};
use crate::args::{KeySource, UnbindArgs};
use crate::counters;
use crate::error::CommandError;
use crate::host::Host;
use crate::output;
use crate::volume::{self, Disks};
use ::luks::Accepted;
use crypto::SystemRandom;
use linux::Terminal;
use std::time::Duration;
use unlock::{Binding, CommitError, LastHumanSlot};

/// How long the TPM is waited for, which is asked for nothing but whether a counter is left in it.
const ANSWER: Duration = Duration::from_secs(5);

/// Removes a binding and its keyslot.
pub fn run(args: &UnbindArgs) -> Result<(), CommandError> {
    let disks = Disks::open_to_change(&args.device, args.dry_run)?;
    let header = disks.accepted(&args.ceilings)?;
    let binding = chosen::binding(header.header(), &args.which, disks.header().path())?;
    let host = Host::new(ANSWER);
    let last = what_remains(args, &disks, &header, &binding, &host)?;
    let failed = |source| {
        // What opens the volume now may be a binding alone, and then only that can add a passphrase.
        let hint = match source {
            CommitError::LastBinding { .. } => {
                "show a passphrase that opens another keyslot: -k FILE, or -k -; or say that you mean it: --last-binding"
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

/// What may be left behind. Where nothing is known to open the volume then, a person at a terminal is asked for a passphrase that does.
fn what_remains(
    args: &UnbindArgs,
    disks: &Disks,
    header: &Accepted,
    binding: &Binding,
    host: &Host,
) -> Result<LastHumanSlot, CommandError> {
    let slot = binding.slot;
    let is_last = || {
        let plan = unlock::unbind_edit(header, binding, LastHumanSlot::Keep, &SystemRandom);
        matches!(plan, Err(CommitError::LastBinding { .. }))
    };
    let source = match args.remaining.source() {
        Some(source) => source,
        None if args.last_binding => return Ok(LastHumanSlot::Remove),
        None if !args.force && !args.dry_run && Terminal::types_stdin() && is_last() => {
            host.cancel_on_signal()?;
            output::say(&format!(
                "nothing but keyslot {slot} is known to open the volume: show a passphrase that does, or say that you mean it: --last-binding"
            ));
            KeySource::default()
        }
        None => return Ok(LastHumanSlot::Keep),
    };
    match kill::another(disks, header, slot, &source, host)? {
        Some(opened) => Ok(LastHumanSlot::Shown(opened.slot)),
        None => {
            let error =
                CommandError::plain(format!("the passphrase opens no keyslot but {slot}, if any; nothing was changed"));
            Err(error.hint("give one that shall still open the volume, or say that you mean it: --last-binding"))
        }
    }
}
