//! `cotter luks meta`: LUKSMeta with the options and the exit codes of `luksmeta`.

mod wanted;
mod write;

use crate::args::{MetaAction, MetaArgs};
use crate::error::CommandError;
use crate::output;
use crate::volume::Disks;
use ::luks::{Luks1, LuksMeta, MetaError, MetaSlot, Slot};
use block::partition::Uuid;
use json::{Object, Value};
use linux::{Access, FileDisk};
use wanted::{Wanted, check_uuid, exit, luks1, present};

/// Carries out one of the commands.
pub fn run(args: &MetaArgs) -> Result<(), CommandError> {
    let wanted = Wanted::new(args)?;
    let writes = matches!(args.action, MetaAction::Nuke | MetaAction::Init | MetaAction::Save | MetaAction::Wipe);
    let access = if writes && !args.dry_run { Access::Write } else { Access::Read };
    let disks = Disks::open(&args.device, access).map_err(|error| error.code(exit::CANNOT_READ))?;
    if writes {
        return write::run(args, &wanted, &disks);
    }
    let header = disks.read_header().map_err(|error| error.code(exit::CANNOT_READ))?;
    let luks1 = luks1(&header, &disks)?;
    match (args.action, &wanted.slot) {
        (MetaAction::Test, _) => present(luks1, &disks).map(|_| ()).map_err(CommandError::silent),
        (MetaAction::Show, Some(slot)) => show_slot(args, present(luks1, &disks)?, *slot),
        (MetaAction::Show, None) => show(args, luks1, present(luks1, &disks)?),
        (_, Some(slot)) => load(present(luks1, &disks)?, disks.header(), *slot, wanted.uuid),
        (_, None) => Err(CommandError::usage("say which slot: -s SLOT").code(exit::USAGE)),
    }
}

/// A line for each slot, as luksmeta prints it.
fn show(args: &MetaArgs, header: &Luks1, meta: &LuksMeta) -> Result<(), CommandError> {
    for (slot, entry) in Slot::all().zip(&header.slots) {
        let found = meta.slot(slot);
        let record = record(slot, found).with("active", entry.active);
        output::record(args.format, record, || {
            let state = if entry.active { "active" } else { "inactive" };
            let uuid = found.map_or_else(|| "empty".to_owned(), |found| found.uuid.to_string());
            format!("{slot} {state:>8} {uuid}")
        })?;
    }
    Ok(())
}

fn record(slot: Slot, found: Option<&MetaSlot>) -> Object {
    let uuid = found.map_or(Value::Null, |found| found.uuid.to_string().into());
    let length = found.map_or(Value::Null, |found| found.length.into());
    Object::new().with("slot", u64::from(slot.number())).with("uuid", uuid).with("length", length)
}

/// The UUID of one slot, or nothing.
fn show_slot(args: &MetaArgs, meta: &LuksMeta, slot: Slot) -> Result<(), CommandError> {
    match meta.slot(slot) {
        None if !args.format.json => Ok(()),
        found => output::record(args.format, record(slot, found), || {
            found.map_or_else(String::new, |found| found.uuid.to_string())
        }),
    }
}

fn load(meta: &LuksMeta, disk: &FileDisk, slot: Slot, uuid: Option<Uuid>) -> Result<(), CommandError> {
    let found = meta
        .slot(slot)
        .ok_or_else(|| CommandError::plain(format!("slot {slot} is empty")).code(exit::TAKEN_OR_EMPTY))?;
    check_uuid(found, slot, uuid)?;
    let data = meta.load(disk, slot).map_err(|source: MetaError| {
        CommandError::failed(format!("cannot load the data of slot {slot}"), source).code(exit::NOT_THERE)
    })?;
    output::data(&data)
}
