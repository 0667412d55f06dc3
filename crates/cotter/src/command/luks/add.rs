//! `cotter luks add`: another passphrase.

use crate::args::AddArgs;
use crate::command::luks::{change, format, kdf};
use crate::error::CommandError;
use crate::host::Host;
use crate::opening;
use crate::passphrase;
use crate::progress::Progress;
use crate::volume::{self, Disks, Seal};
use ::luks::{Accepted, Edit, Header, Slot, open_keyslot};
use crypto::{Hash, Random, SystemRandom, VolumeKey};
use json::Object;
use linux::Terminal;
use unlock::{CommitError, NewPassphrase, Purpose};

/// Adds a passphrase, or makes a recovery key and prints it.
pub fn run(args: &AddArgs) -> Result<(), CommandError> {
    if !args.dry_run {
        passphrase::check_shown(&args.new)?;
    }
    let disks = Disks::open_to_change(&args.device, args.dry_run)?;
    let header = disks.accepted(&args.ceilings)?;
    kdf::check(&args.kdf, header.header().version())?;
    let slot = args.slot.map(|slot| free(&header, slot)).transpose()?;
    let hash = kdf_hash(&header, args.hash.as_deref())?;
    let host = Host::new(args.patience.limit());
    let given = opening::read(&args.opener, &host)?;
    // A pipe holds both passphrases; a person is asked for the second when the first is known to be right.
    let early = if Terminal::types_stdin() { None } else { Some(passphrase::chosen(&args.new, &host)?) };
    host.cancel_on_signal()?;
    let opened = opening::open(&disks, &header, &args.opener, given, Seal::Counts, &host)?;
    let passphrase = early.map_or_else(|| passphrase::chosen(&args.new, &host), Ok)?;
    let kdf = kdf::cost(&args.kdf, header.header().version(), hash, opened.key.secret().len())?;
    let purpose = if args.new.generate { Purpose::Recovery } else { Purpose::Memory };
    let new = NewPassphrase { passphrase: &passphrase, kdf, purpose };
    let failed = |source| change::not_written("cannot add a passphrase", source);
    if args.dry_run {
        let plan = edit(args, &header, (&opened.key, &new, slot), &SystemRandom).map_err(failed)?.0;
        return change::print_plan(args.format, &plan);
    }
    passphrase::show_generated(&args.new, args.format, &passphrase)?;
    let exclusive = || volume::exclusive(disks.header());
    let volume = disks.volume(&args.ceilings, &exclusive, &host);
    let written = volume.write_proved(
        |header, random| edit(args, header, (&opened.key, &new, slot), random),
        |header, slot| opens(&disks, header, *slot, &new),
    );
    let slot = written.map_err(failed)?;
    change::tell_seal_in_bindings(header.header());
    let record = Object::new().with("slot", u64::from(slot.number()));
    change::report(args.format, &format!("keyslot {slot} is added"), record)
}

fn edit<'h>(
    args: &AddArgs,
    header: &'h Accepted,
    (key, new, slot): (&VolumeKey, &NewPassphrase<'_>, Option<Slot>),
    random: &'h dyn Random,
) -> Result<(Edit<'h>, Slot), CommitError> {
    let _progress = Progress::spinner("stretching the passphrase");
    let (mut edit, slot) = unlock::add_edit(header, key, new, slot, random)?;
    let set = args.priority.map_or(Ok(()), |priority| edit.set_priority(slot, priority.into()));
    set.map_err(CommitError::Edit)?;
    Ok((edit, slot))
}

/// Whether the keyslot on the disk opens.
pub fn opens(disks: &Disks, header: &Accepted, slot: Slot, new: &NewPassphrase<'_>) -> Result<(), CommitError> {
    let _progress = Progress::spinner("trying the new passphrase");
    open_keyslot(disks.header(), header, slot, new.passphrase).map(|_| ()).map_err(CommitError::NotOpened)
}

/// A slot that is in use is better said before anybody types.
fn free(header: &Accepted, number: u32) -> Result<Slot, CommandError> {
    let slot = volume::slot(number)?;
    if !volume::is_used(header.header(), slot) {
        return Ok(slot);
    }
    let error = CommandError::plain(format!("keyslot {slot} is in use"));
    Err(error.hint("leave out -s for the lowest free one"))
}

/// The hash of PBKDF2 in a new keyslot. LUKS1 has one for everything.
pub fn kdf_hash(header: &Accepted, wanted: Option<&str>) -> Result<Hash, CommandError> {
    match (header.header(), wanted) {
        (Header::Luks1(luks1), None) => format::hash(&luks1.hash),
        (Header::Luks1(luks1), Some(name)) if name != luks1.hash => {
            let error = CommandError::usage(format!("a LUKS1 volume has one hash, and this one has {}", luks1.hash));
            Err(error.hint("leave out --hash"))
        }
        (_, Some(name)) => format::hash(name),
        (Header::Luks2(_), None) => Ok(header.slot_hash()),
    }
}
