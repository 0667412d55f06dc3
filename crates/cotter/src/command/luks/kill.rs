//! `cotter luks kill`: a keyslot that is no longer wanted.

use crate::args::{KeySource, KillArgs};
use crate::command::luks::change;
use crate::error::CommandError;
use crate::host::Host;
use crate::opening::{self, Opened};
use crate::passphrase;
use crate::volume::{self, Disks, Seal};
use ::luks::{Accepted, Slot};
use crypto::SystemRandom;
use json::Object;
use linux::Terminal;
use std::time::Duration;
use unlock::{CommitError, LastHumanSlot, NotOpened};

/// Removes a keyslot and overwrites its key material.
pub fn run(args: &KillArgs) -> Result<(), CommandError> {
    let slot = volume::slot(args.slot)?;
    let disks = Disks::open_to_change(&args.device, args.dry_run)?;
    let header = disks.accepted(&args.ceilings)?;
    refuse_wrong(&header, slot, args)?;
    let host = Host::new(Duration::ZERO);
    let shown = what_remains(&disks, &header, slot, args, &host)?;
    let last = match &shown {
        _ if args.last_passphrase => LastHumanSlot::Remove,
        Some(other) => LastHumanSlot::Shown(other.slot),
        None => LastHumanSlot::Keep,
    };
    // Said before anybody is asked, and checked again on the header that is changed.
    let plan = unlock::kill_edit(&header, slot, last, &SystemRandom).map_err(|source| needed(source, args))?;
    if args.dry_run {
        return change::print_plan(args.format, &plan);
    }
    host.cancel_on_signal()?;
    let question = format!("Remove keyslot {slot} of {} for ever?", args.device.path.display());
    if !args.quiet && Terminal::types_stdin() && !change::agreed(&host, &question, "-q asks nothing")? {
        return Err(CommandError::plain("nothing was changed"));
    }
    let exclusive = || volume::exclusive(disks.header());
    let killed = disks.volume(&args.ceilings, &exclusive, &host).write(|header, random| {
        let mut edit = unlock::kill_edit(header, slot, last, random)?;
        // Who holds the key makes the seal anew.
        let held = shown.as_ref().map_or(Ok(()), |shown| edit.hold_key(&shown.key));
        let needs_seal = edit.needs_seal();
        held.map(|()| (edit, needs_seal)).map_err(CommitError::Edit)
    });
    let (applied, needs_seal) = killed.map_err(|source| needed(source, args))?;
    change::tell_seal(header.header(), &applied.header, needs_seal);
    let record = Object::new().with("slot", u64::from(slot.number())).with("removed", true);
    change::report(args.format, &format!("keyslot {slot} is removed"), record)
}

/// A slot that is in use, and not by a binding: that goes as a whole.
fn refuse_wrong(header: &Accepted, slot: Slot, args: &KillArgs) -> Result<(), CommandError> {
    let device = &args.device;
    if !volume::is_used(header.header(), slot) {
        let error = CommandError::plain(format!("keyslot {slot} is not in use"));
        return Err(error.hint(format!("cotter luks dump {device}")));
    }
    if unlock::bindings(header.header()).iter().any(|binding| binding.slot == slot) {
        let error = CommandError::plain(format!("keyslot {slot} is bound to a policy"));
        return Err(error.hint(format!("remove the binding with it: cotter luks unbind -s {slot} {device}")));
    }
    Ok(())
}

/// A keyslot that would be missed.
fn needed(source: CommitError, args: &KillArgs) -> CommandError {
    let hint = match source {
        CommitError::LastSlot { .. } => {
            format!("to destroy all keys: cotter luks erase {}", args.device)
        }
        CommitError::LastHumanSlot { .. } => {
            "add a passphrase first: `cotter luks add`; or show one that opens another keyslot: -k FILE; or say that you mean it: \
             --last-passphrase"
                .to_owned()
        }
        source => return change::not_written("cannot remove the keyslot", source),
    };
    CommandError::failed("cannot remove the keyslot", source).hint(hint)
}

/// Shows that the passphrase that was named still opens the volume when this slot is gone, and returns what it opens.
fn what_remains(
    disks: &Disks,
    header: &Accepted,
    slot: Slot,
    args: &KillArgs,
    host: &Host,
) -> Result<Option<Opened>, CommandError> {
    let Some(source) = args.remaining.source() else { return Ok(None) };
    if let Some(opened) = another(disks, header, slot, &source, host)? {
        return Ok(Some(opened));
    }
    let error = CommandError::plain(format!("the passphrase opens no keyslot but {slot}, if any; nothing was changed"));
    // Without -k there may be nothing else to show: then that is no way out.
    let hint = match unlock::kill_edit(header, slot, LastHumanSlot::Keep, &SystemRandom) {
        Ok(_) => "give one that shall still open the volume, or leave out -k",
        Err(CommitError::LastSlot { .. }) => {
            "it is the only keyslot: add a passphrase first: `cotter luks add`; to destroy all keys: `cotter luks erase`"
        }
        Err(_) => {
            "give one that shall still open the volume; if there is none, add it first: `cotter luks add`; or leave out -k and \
             say that you mean it: --last-passphrase"
        }
    };
    Err(error.hint(hint))
}

/// What the passphrase that was named opens when this slot is gone, if anything.
pub(super) fn another(
    disks: &Disks,
    header: &Accepted,
    slot: Slot,
    source: &KeySource,
    host: &Host,
) -> Result<Option<Opened>, CommandError> {
    let passphrase = passphrase::existing(source, host.person())?;
    for other in header.slots().filter(|other| *other != slot) {
        match opening::by_passphrase(&host.closed(disks.header(), header)?, &passphrase, Some(other), Seal::Counts) {
            Ok(opened) => return Ok(Some(opened)),
            Err(failed @ (NotOpened::Seal(_) | NotOpened::Identity(_))) => {
                return Err(opening::told(disks, source, &passphrase, failed));
            }
            Err(NotOpened::Closed(_)) => {}
        }
    }
    Ok(None)
}
