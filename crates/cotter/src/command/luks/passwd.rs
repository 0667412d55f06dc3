//! `cotter luks passwd`: another passphrase for the same keyslot.

use crate::args::PasswdArgs;
use crate::command::luks::add::af_hash;
use crate::command::luks::{change, kdf};
use crate::error::CommandError;
use crate::host::Host;
use crate::opening::{self, Opened};
use crate::passphrase;
use crate::progress::Progress;
use crate::volume::{self, Disks};
use ::luks::{Accepted, Edit, NewKeyslot};
use json::Object;
use linux::{Access, Terminal};
use std::time::Duration;

/// Changes the passphrase of a keyslot.
pub fn run(args: &PasswdArgs) -> Result<(), CommandError> {
    let access = if args.dry_run { Access::Read } else { Access::Write };
    let disks = Disks::open(&args.device, access)?;
    let header = disks.accepted(&args.ceilings)?;
    kdf::check(&args.kdf, header.header().version())?;
    let hash = af_hash(&header, args.hash.as_deref())?;
    let host = Host::new(Duration::ZERO);
    if Terminal::types_stdin() {
        host.cancel_on_signal()?;
    }
    let old = passphrase::existing(&args.key, host.person())?;
    let early = if Terminal::types_stdin() { None } else { Some(passphrase::chosen(&args.new, &host)?) };
    host.cancel_on_signal()?;
    let only = args.slot.map(volume::slot).transpose()?;
    let opened = opening::by_passphrase(&disks, &header, old, only).map_err(|failed| failed.told(&disks, &args.key))?;
    refuse_bound(&header, &opened, args)?;
    let new = early.map_or_else(|| passphrase::chosen(&args.new, &host), Ok)?;
    let kdf = kdf::cost(&args.kdf, header.header().version(), hash, opened.key.secret().len())?;
    let make = |_: &Accepted, edit: &mut Edit<'_>| {
        let _progress = Progress::spinner("stretching the passphrase");
        let new = NewKeyslot { key: &opened.key, passphrase: &new, slot: Some(opened.slot), kdf, af_hash: hash };
        edit.replace_keyslot(opened.slot, &new).map_err(change::impossible)
    };
    if args.dry_run {
        return change::print_plan(args.format, &change::plan(&header, make)?.0);
    }
    passphrase::show_generated(&args.new, args.format, &new)?;
    change::write(&disks, &args.ceilings, header, host.cancel(), make)?;
    let record = Object::new().with("slot", u64::from(opened.slot.number())).with("changed", true);
    change::report(args.format, &format!("keyslot {} has the new passphrase", opened.slot), record)
}

/// A binding knows its passphrase, and would not know the new one.
fn refuse_bound(header: &Accepted, opened: &Opened, args: &PasswdArgs) -> Result<(), CommandError> {
    let slot = opened.slot;
    if unlock::bindings(header.header()).iter().all(|binding| binding.slot != slot) {
        return Ok(());
    }
    let error =
        CommandError::plain(format!("keyslot {slot} is bound to a policy, which would not know the new passphrase"));
    Err(error.hint(format!("cotter luks regen -d {} -s {slot}", args.device.path.display())))
}
