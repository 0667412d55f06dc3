//! What is meant by the words, and what must be there for it.

use crate::args::{MetaAction, MetaArgs, Quoted};
use crate::error::{CommandError, visible};
use crate::volume::{self, Disks};
use ::luks::{Header, Luks1, LuksMeta, MetaSlot, MetaState, Slot};
use block::partition::Uuid;

/// What luksmeta exits with.
pub mod exit {
    pub const USAGE: u8 = 64;
    pub const OTHER_UUID: u8 = 65;
    pub const NO_INPUT: u8 = 66;
    pub const TAKEN_OR_EMPTY: u8 = 69;
    pub const OTHER: u8 = 71;
    pub const NOT_THERE: u8 = 72;
    pub const NO_ROOM: u8 = 73;
    pub const CANNOT_READ: u8 = 74;
    pub const NO: u8 = 77;
}

/// How many slots a LUKS1 header has.
const SLOTS: u32 = 8;

/// The words that mean a slot and a kind of data.
pub struct Wanted {
    pub slot: Option<Slot>,
    pub uuid: Option<Uuid>,
}

impl Wanted {
    pub fn new(args: &MetaArgs) -> Result<Wanted, CommandError> {
        let usage = |what: String| CommandError::usage(what).code(exit::USAGE);
        let slot = args.slot.map(|number| {
            let slot = Slot::new(number.into()).filter(|_| number < SLOTS);
            slot.ok_or_else(|| usage(format!("there is no slot {number}: they go from 0 to 7")))
        });
        let uuid = args.uuid.as_deref().map(|text| {
            let parsed: Result<Uuid, _> = text.parse();
            parsed.map_err(|_| usage(format!("{} is not a UUID", visible(text))))
        });
        let wanted = Wanted { slot: slot.transpose()?, uuid: uuid.transpose()? };
        if args.action == MetaAction::Save && wanted.uuid.is_none_or(|uuid| uuid.is_nil()) {
            return Err(usage("data needs a UUID that says what it is, and not that of all zeros: -u UUID".into()));
        }
        if matches!(args.action, MetaAction::Load | MetaAction::Wipe) && wanted.slot.is_none() {
            return Err(usage("say which slot: -s SLOT".into()));
        }
        Ok(wanted)
    }
}

/// The header, which must be LUKS1.
pub fn luks1<'h>(header: &'h Header, disks: &Disks) -> Result<&'h Luks1, CommandError> {
    header.as_luks1().ok_or_else(|| {
        let what = format!("{} is {}, and LUKSMeta is of LUKS1", disks.header().path().display(), header.version());
        CommandError::plain(what).hint("LUKS2 has tokens: `cotter luks token`").code(exit::NOT_THERE)
    })
}

/// The LUKSMeta, which must be there.
pub fn present<'h>(header: &'h Luks1, disks: &Disks) -> Result<&'h LuksMeta, CommandError> {
    let (device, word) = (disks.header().path().display(), Quoted(disks.header().path()));
    let error = match header.meta() {
        MetaState::Present(meta) => return Ok(meta),
        MetaState::NoGap => CommandError::plain(format!("{device} has no gap between its key material and its data")),
        MetaState::Absent => {
            CommandError::plain(format!("{device} is not initialised")).hint(format!("cotter luks meta init -d {word}"))
        }
        MetaState::Damaged(error) => CommandError::plain(volume::reasons(error))
            .hint(format!("to give up what it has: cotter luks meta init --nuke -d {word}")),
    };
    Err(error.code(exit::NOT_THERE))
}

/// Refuses a slot of another kind than was meant.
pub fn check_uuid(found: &MetaSlot, slot: Slot, uuid: Option<Uuid>) -> Result<(), CommandError> {
    match uuid {
        Some(uuid) if uuid != found.uuid => {
            let what = format!("slot {slot} has data of {}, not of {uuid}", found.uuid);
            Err(CommandError::plain(what).code(exit::OTHER_UUID))
        }
        _ => Ok(()),
    }
}
