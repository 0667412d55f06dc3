//! `cotter luks kill`: a keyslot that is no longer wanted.

use crate::args::KillArgs;
use crate::command::luks::change;
use crate::error::CommandError;
use crate::host::Host;
use crate::opening;
use crate::passphrase;
use crate::volume::{self, Disks};
use ::luks::{Accepted, Edit, Slot};
use json::Object;
use linux::{Access, Terminal};
use std::time::Duration;

/// Removes a keyslot and overwrites its key material.
pub fn run(args: &KillArgs) -> Result<(), CommandError> {
    let slot = volume::slot(args.slot)?;
    let access = if args.dry_run { Access::Read } else { Access::Write };
    let disks = Disks::open(&args.device, access)?;
    let header = disks.accepted(&args.ceilings)?;
    let make = |header: &Accepted, edit: &mut Edit<'_>| {
        refuse_needed(header, slot, args)?;
        edit.remove_keyslot(slot).map_err(change::impossible)
    };
    // Said before anybody is asked, and checked again on the header that is changed.
    let (plan, ()) = change::plan(&header, make)?;
    if args.dry_run {
        return change::print_plan(args.format, &plan);
    }
    drop(plan);
    let host = Host::new(Duration::ZERO);
    show_what_remains(&disks, &header, slot, args, &host)?;
    host.cancel_on_signal()?;
    let asks = !args.quiet && Terminal::types_stdin();
    let question = format!("Remove keyslot {slot} of {} for ever?", args.device.path.display());
    if asks && !change::agreed(&host, &question, "-q asks nothing")? {
        return Err(CommandError::plain("nothing was changed"));
    }
    change::write(&disks, &args.ceilings, header, host.cancel(), make)?;
    let record = Object::new().with("slot", u64::from(slot.number())).with("removed", true);
    change::report(args.format, &format!("keyslot {slot} is removed"), record)
}

/// Refuses a keyslot that is missed when it is gone.
fn refuse_needed(header: &Accepted, slot: Slot, args: &KillArgs) -> Result<(), CommandError> {
    let device = args.device.path.display();
    if !volume::is_used(header.header(), slot) {
        let error = CommandError::plain(format!("keyslot {slot} is not in use"));
        return Err(error.hint(format!("cotter luks dump -d {device}")));
    }
    if unlock::bindings(header.header()).iter().any(|binding| binding.slot == slot) {
        let error = CommandError::plain(format!("keyslot {slot} is bound to a policy"));
        return Err(error.hint(format!("remove the binding with it: cotter luks unbind -d {device} -s {slot}")));
    }
    if header.slots().all(|other| other == slot) {
        let error = CommandError::plain(format!("keyslot {slot} is the last one: without it nothing opens the volume"));
        return Err(error.hint(format!("to destroy all keys: cotter luks erase -d {device}")));
    }
    if !args.last_passphrase && volume::slots_of_people(header).iter().all(|other| *other == slot) {
        let error = CommandError::plain(format!("keyslot {slot} is the last one that a person can open"));
        return Err(error.hint("add a passphrase first: `cotter luks add`; or say that you mean it: --last-passphrase"));
    }
    Ok(())
}

/// Shows that the passphrase that was named still opens the volume when this slot is gone.
fn show_what_remains(
    disks: &Disks,
    header: &Accepted,
    slot: Slot,
    args: &KillArgs,
    host: &Host,
) -> Result<(), CommandError> {
    let Some(source) = args.remaining() else { return Ok(()) };
    let mut passphrase = passphrase::existing(&source, host.person())?;
    for other in header.slots().filter(|other| *other != slot) {
        match opening::by_passphrase(disks, header, passphrase, Some(other)) {
            Ok(_) => return Ok(()),
            Err(failed) => passphrase = failed.passphrase,
        }
    }
    let error = CommandError::plain(format!("the passphrase opens no keyslot but {slot}, if any; nothing was changed"));
    Err(error.hint("give one that shall still open the volume, or leave out -k"))
}
