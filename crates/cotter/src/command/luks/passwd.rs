//! `cotter luks passwd`: another passphrase for the same keyslot.

use crate::args::PasswdArgs;
use crate::command::luks::add::{kdf_hash, opens};
use crate::command::luks::{change, kdf};
use crate::error::CommandError;
use crate::host::Host;
use crate::opening::{self, Opened};
use crate::passphrase;
use crate::progress::Progress;
use crate::volume::{self, Disks, Seal};
use ::luks::{Accepted, Edit, EditError, NewKeyslot};
use crypto::{Random, SystemRandom};
use json::Object;
use linux::Terminal;
use std::time::Duration;
use unlock::{CommitError, NewPassphrase, Purpose};

/// Changes the passphrase of a keyslot.
pub fn run(args: &PasswdArgs) -> Result<(), CommandError> {
    if !args.dry_run {
        passphrase::check_shown(&args.new)?;
    }
    let disks = Disks::open_to_change(&args.device, args.dry_run)?;
    let header = disks.accepted(&args.ceilings)?;
    kdf::check(&args.kdf, header.header().version())?;
    let hash = kdf_hash(&header, args.hash.as_deref())?;
    let host = Host::new(Duration::ZERO);
    if Terminal::types_stdin() {
        host.cancel_on_signal()?;
    }
    let old = passphrase::existing(&args.key, host.person())?;
    let early = if Terminal::types_stdin() { None } else { Some(passphrase::chosen(&args.new, &host)?) };
    host.cancel_on_signal()?;
    let only = args.slot.map(volume::slot).transpose()?;
    let opened = opening::by_passphrase(&host.closed(disks.header(), &header)?, &old, only, Seal::Counts);
    let opened = opened.map_err(|failed| opening::told(&disks, &args.key, &old, failed))?;
    let passphrase = early.map_or_else(|| passphrase::chosen(&args.new, &host), Ok)?;
    let kdf = kdf::cost(&args.kdf, header.header().version(), hash, opened.key.secret().len())?;
    let purpose = if args.new.generate { Purpose::Recovery } else { Purpose::Memory };
    let new = NewPassphrase { passphrase: &passphrase, kdf, purpose };
    let failed = |source| not_changed(source, args);
    // Before a recovery key is shown, so that none is that cannot be.
    let plan = edit(args, &header, &opened, &new, &SystemRandom).map_err(failed)?;
    if args.dry_run {
        return change::print_plan(args.format, &plan);
    }
    drop(plan);
    passphrase::show_generated(&args.new, args.format, &passphrase)?;
    let exclusive = || volume::exclusive(disks.header());
    let volume = disks.volume(&args.ceilings, &exclusive, &host);
    let written = volume.write_proved(
        |header, random| Ok((edit(args, header, &opened, &new, random)?, ())),
        |header, ()| opens(&disks, header, opened.slot, &new),
    );
    written.map_err(failed)?;
    change::tell_seal_in_bindings(header.header());
    let record = Object::new().with("slot", u64::from(opened.slot.number())).with("changed", true);
    change::report(args.format, &format!("keyslot {} has the new passphrase", opened.slot), record)
}

fn not_changed(source: CommitError, args: &PasswdArgs) -> CommandError {
    let no_room = matches!(source, CommitError::Edit(EditError::NoSlotToSpare { .. } | EditError::NoRoom { .. }));
    let error = change::not_written("cannot change the passphrase", source);
    if !no_room || args.in_place {
        return error;
    }
    error.hint(change::IN_PLACE)
}

fn edit<'h>(
    args: &PasswdArgs,
    header: &'h Accepted,
    opened: &Opened,
    new: &NewPassphrase<'_>,
    random: &'h dyn Random,
) -> Result<Edit<'h>, CommitError> {
    let _progress = Progress::spinner("stretching the passphrase");
    match unlock::change_edit(header, &opened.key, new, opened.slot, random) {
        Err(CommitError::Edit(EditError::NoSlotToSpare { .. } | EditError::NoRoom { .. })) if args.in_place => {
            let mut edit = in_place(header, opened, new, random).map_err(CommitError::Edit)?;
            unlock::say_purpose(&mut edit, header, opened.slot, new.purpose)?;
            Ok(edit)
        }
        done => done,
    }
}

/// Writes over the only copy: LUKS1 has a place for each keyslot, and here all are taken.
fn in_place<'h>(
    header: &'h Accepted,
    opened: &Opened,
    new: &NewPassphrase<'_>,
    random: &'h dyn Random,
) -> Result<Edit<'h>, EditError> {
    let mut edit = Edit::new(header, random)?;
    let (key, passphrase, kdf, af_hash) = (&opened.key, new.passphrase, new.kdf, header.slot_hash());
    edit.replace_keyslot_in_place(opened.slot, &NewKeyslot { key, passphrase, slot: None, kdf, af_hash })?;
    Ok(edit)
}
