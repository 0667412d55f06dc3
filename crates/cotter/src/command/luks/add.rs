//! `cotter luks add`: another passphrase.

use crate::args::AddArgs;
use crate::command::luks::{change, format, kdf};
use crate::error::CommandError;
use crate::host::Host;
use crate::opening;
use crate::passphrase;
use crate::progress::Progress;
use crate::volume::{self, Disks};
use ::luks::{Accepted, Edit, Header, NewKeyslot, Slot};
use crypto::Hash;
use json::Object;
use linux::{Access, Terminal};

/// Adds a passphrase, or makes a recovery key and prints it.
pub fn run(args: &AddArgs) -> Result<(), CommandError> {
    let access = if args.dry_run { Access::Read } else { Access::Write };
    let disks = Disks::open(&args.device, access)?;
    let header = disks.accepted(&args.ceilings)?;
    kdf::check(&args.kdf, header.header().version())?;
    let slot = args.slot.map(|slot| free(&header, slot)).transpose()?;
    let hash = af_hash(&header, args.hash.as_deref())?;
    let host = Host::new(args.patience.limit());
    let given = opening::read(&args.opener, &host)?;
    // A pipe holds both passphrases; a person is asked for the second when the first is known to be right.
    let early = if Terminal::types_stdin() { None } else { Some(passphrase::chosen(&args.new, &host)?) };
    host.cancel_on_signal()?;
    let opened = opening::open(&disks, &header, &args.opener, given, &host)?;
    let passphrase = early.map_or_else(|| passphrase::chosen(&args.new, &host), Ok)?;
    let kdf = kdf::cost(&args.kdf, header.header().version(), hash, opened.key.secret().len())?;
    let make = |_: &Accepted, edit: &mut Edit<'_>| {
        let _progress = Progress::spinner("stretching the passphrase");
        let new = NewKeyslot { key: &opened.key, passphrase: &passphrase, slot, kdf, af_hash: hash };
        let slot = edit.add_keyslot(&new).map_err(change::impossible)?;
        let set = args.priority.map_or(Ok(()), |priority| edit.set_priority(slot, priority.into()));
        set.map(|()| slot).map_err(change::impossible)
    };
    if args.dry_run {
        return change::print_plan(args.format, &change::plan(&header, make)?.0);
    }
    passphrase::show_generated(&args.new, args.format, &passphrase)?;
    let (_, slot) = change::write(&disks, &args.ceilings, header, host.cancel(), make)?;
    let record = Object::new().with("slot", u64::from(slot.number()));
    change::report(args.format, &format!("keyslot {slot} is added"), record)
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

/// The splitter's hash of a new keyslot, and that of PBKDF2. LUKS1 has one for everything.
pub fn af_hash(header: &Accepted, wanted: Option<&str>) -> Result<Hash, CommandError> {
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
