//! `cotter luks identity`: what is to be expected of a volume, for a list that lies elsewhere.

use crate::args::IdentityArgs;
use crate::error::CommandError;
use crate::expected;
use crate::host::Host;
use crate::opened;
use crate::output;
use crate::private_file;
use crate::volume::Disks;
use ::luks::{Accepted, Header};
use crypto::VolumeKey;
use linux::Access;
use std::path::Path;
use unlock::identity::{Closed, Expectation, Expected, IdentityFault};

/// Opens the volume and prints its line, or puts it into a list. What other lists say does not count here: one that expects something else
/// is what this is for.
pub fn run(args: &IdentityArgs) -> Result<(), CommandError> {
    let list = args.add.as_deref().map(listed).transpose()?;
    let disks = Disks::open(&args.device, Access::Read)?;
    let header = disks.accepted(&args.ceilings)?;
    let host = Host::new(args.patience.limit());
    let closed = Closed { disk: disks.header(), header: &header, expected: &Expectation::default() };
    let key = opened::open(&closed, &args.key, None, &host)?.key;
    let uuid = header.header().uuid();
    let found = expected::of_volume(header.header(), &key, args.name.clone());
    let (Some(path), Some(mut list)) = (&args.add, list) else {
        let mut alone = Expectation::default();
        alone.insert(found.clone());
        tell_refused(&alone, header.header());
        return output::line(&json::Value::from(found.to_object()).to_compact());
    };
    if !args.replace {
        check(&list, &header, &key).or_else(|fault| not_replaced(fault, path))?;
    }
    let before = list.of(uuid).and_then(|before| before.name.clone());
    list.insert(Expected { name: found.name.or(before), ..found });
    let text = list.to_text();
    readable(&text, path)?;
    private_file::replace(path, text.as_bytes())?;
    output::say(&format!("{uuid} is expected by {}", path.display()));
    tell_refused(&list, header.header());
    Ok(())
}

/// Names what the list shuts out: a keyslot that names no key of the TPM is none of those that it names.
fn tell_refused(list: &Expectation, header: &Header) {
    for fault in list.other_parents(header, crate::pins::ALL) {
        let IdentityFault::OtherParent { slot, .. } = fault else { continue };
        output::say(&format!(
            "keyslot {slot} asks for a PIN and does not name its key in the TPM (systemd names it from 254 on): with this list it is refused, as an \
             alarm, before the PIN is asked for. To keep it, enrol it again with a later systemd-cryptenroll, or bind cotter-tpm2 instead, and \
             make the list anew: --add FILE --replace"
        ));
    }
}

/// The list so far.
fn listed(path: &Path) -> Result<Expectation, CommandError> {
    if path.symlink_metadata().is_ok() { expected::named(path) } else { Ok(Expectation::default()) }
}

/// A list that every command refuses would keep all of its volumes shut.
fn readable(text: &str, path: &Path) -> Result<(), CommandError> {
    let refused = |source| {
        let error = CommandError::failed(
            format!("{} stays as it is: with this volume it could not be read", path.display()),
            source,
        );
        error.hint("shorter --name; or more lists, one for each machine, for --expect")
    };
    Expectation::parse(text.as_bytes()).map(drop).map_err(refused)
}

/// Whether the list expects nothing else of it so far.
fn check(list: &Expectation, header: &Accepted, key: &VolumeKey) -> Result<(), IdentityFault> {
    let header = header.header();
    list.check(header, key)?;
    list.other_parents(header, crate::pins::ALL).into_iter().next().map_or(Ok(()), Err)
}

/// Who adds a volume need not be told that it is not in the list.
fn not_replaced(fault: IdentityFault, path: &Path) -> Result<(), CommandError> {
    if let IdentityFault::Unlisted { .. } = fault {
        return Ok(());
    }
    let hint = fault.hint();
    let error = CommandError::failed(format!("{} stays as it is", path.display()), fault.clone()).hint(hint);
    Err(expected::alarm(error, &fault))
}
