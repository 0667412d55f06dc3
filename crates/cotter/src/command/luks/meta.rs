//! `cotter luks meta`: LUKSMeta by hand, with the options and the exit codes of luksmeta.
//!
//! Its exit codes are those of sysexits.h: 64 usage, 65 another UUID, 66 no input, 69 in use or empty, 71 other, 72 no LUKSMeta,
//! 73 no space, 74 no such device or header, 77 the person said no.

use crate::args::{
    Ceilings, Changing, Device, Format, MetaCommand, MetaInitArgs, MetaLoadArgs, MetaNukeArgs, MetaSaveArgs,
    MetaShowArgs, MetaWipeArgs,
};
use crate::command::luks::change::{Change, agreed};
use crate::error::CommandError;
use crate::host::Host;
use crate::output;
use crate::volume::Disks;
use ::luks::{Accepted, Edit, EditError, Header, Luks1, LuksMeta, MetaError, MetaState, Slot};
use block::partition::Uuid;
use crypto::Secret;
use json::Object;
use linux::Access;
use std::time::Duration;
use unlock::CommitError;

const USAGE: u8 = 64;
const OTHER_UUID: u8 = 65;
const NO_INPUT: u8 = 66;
const UNAVAILABLE: u8 = 69;
const OTHER: u8 = 71;
const NO_META: u8 = 72;
const NO_SPACE: u8 = 73;
const NO_DEVICE: u8 = 74;
const SAID_NO: u8 = 77;

/// The longest data that is read: far beyond every gap.
const LONGEST: usize = 16 << 20;

/// Carries out one of the commands.
pub fn run(which: MetaCommand) -> Result<(), CommandError> {
    match which {
        MetaCommand::Test(args) => Opened::read(&args.device, Access::Read)?.present().map(|_| ()).map_err(silent),
        MetaCommand::Nuke(args) => nuke(&args),
        MetaCommand::Init(args) => init(&args),
        MetaCommand::Show(args) => show(&args),
        MetaCommand::Save(args) => save(&args),
        MetaCommand::Load(args) => load(&args),
        MetaCommand::Wipe(args) => wipe(&args),
    }
}

/// A LUKS1 volume that has been read.
struct Opened {
    disks: Disks,
    header: Accepted,
}

impl Opened {
    fn read(device: &Device, access: Access) -> Result<Opened, CommandError> {
        let disks = Disks::open(device, access).map_err(|error| error.code(NO_DEVICE))?;
        let header = disks.read_header().map_err(|error| error.code(NO_DEVICE))?;
        if let Header::Luks2(_) = header {
            let error = CommandError::plain("this is a LUKS2 volume, which has tokens instead").code(NO_META);
            return Err(error.hint("`cotter luks token`"));
        }
        let header = disks.accepted(&Ceilings::default()).map_err(|error| error.code(NO_DEVICE))?;
        Ok(Opened { disks, header })
    }

    fn to_change(device: &Device, changing: Changing) -> Result<Opened, CommandError> {
        Opened::read(device, if changing.dry_run { Access::Read } else { Access::Write })
    }

    fn luks1(&self) -> Result<&Luks1, CommandError> {
        let none = || CommandError::plain("this is no LUKS1 volume any more").code(NO_META);
        self.header.header().as_luks1().ok_or_else(none)
    }

    /// The LUKSMeta, if there is one that can be used.
    fn present(&self) -> Result<&LuksMeta, CommandError> {
        let none = |what: &str| CommandError::plain(what).code(NO_META).hint("`cotter luks meta init`");
        match self.luks1()?.meta() {
            MetaState::Present(meta) => Ok(meta),
            MetaState::Absent => Err(none("there is no LUKSMeta")),
            MetaState::NoGap => Err(CommandError::plain("there is no gap for LUKSMeta").code(NO_SPACE)),
            MetaState::Damaged(error) => {
                Err(CommandError::failed("the LUKSMeta cannot be used", error.clone()).code(NO_META))
            }
        }
    }

    /// Writes a change, or says what it would be. What `make` made is returned if it was written.
    fn change<T>(
        &self,
        changing: Changing,
        make: impl Fn(&mut Edit<'_>) -> Result<T, EditError>,
    ) -> Result<Option<T>, CommandError> {
        let Changing { format, dry_run } = changing;
        let ceilings = &Ceilings::default();
        let change = Change { failing: "LUKSMeta cannot be changed so", disks: &self.disks, ceilings, format, dry_run };
        let code = std::cell::Cell::new(OTHER);
        let done = change.carry_out(&self.header, |header, random| {
            let mut edit = Edit::new(header, random).map_err(CommitError::Edit)?;
            let made = make(&mut edit).map_err(|error| {
                code.set(exit_code(&error));
                CommitError::Edit(error)
            })?;
            Ok((edit, made))
        });
        done.map_err(|error| error.code(code.get()))
    }
}

/// luksmeta says nothing here.
fn silent(error: CommandError) -> CommandError {
    error.silent()
}

fn exit_code(error: &EditError) -> u8 {
    match error {
        EditError::NoGap | EditError::NoRoomForMeta { .. } => NO_SPACE,
        EditError::NoMeta | EditError::Meta { .. } => NO_META,
        EditError::MetaInUse { .. } | EditError::NoFreeSlot => UNAVAILABLE,
        EditError::ReservedUuid | EditError::NoSuchSlot { .. } => USAGE,
        EditError::NoMetaData { .. } => NO_INPUT,
        _ => OTHER,
    }
}

fn nuke(args: &MetaNukeArgs) -> Result<(), CommandError> {
    let opened = Opened::to_change(&args.device, args.changing)?;
    let question = "This overwrites all that is stored between key material and data. Go on?";
    ask(args.force || args.changing.dry_run, question)?;
    opened.change(args.changing, |edit| edit.nuke_meta()).map(|_| ())
}

fn init(args: &MetaInitArgs) -> Result<(), CommandError> {
    let opened = Opened::to_change(&args.device, args.changing)?;
    if !args.nuke && opened.present().is_ok() {
        return Ok(());
    }
    let question = "This writes LUKSMeta into the gap between key material and data; whatever another program keeps there \
                    may be lost. Go on?";
    ask(args.force || args.changing.dry_run, question)?;
    let done = opened.change(args.changing, |edit| {
        if args.nuke {
            edit.nuke_meta()?;
        }
        edit.init_meta()
    });
    done.map(|_| ())
}

fn show(args: &MetaShowArgs) -> Result<(), CommandError> {
    let opened = Opened::read(&args.device, Access::Read)?;
    let meta = opened.present()?;
    if let Some(number) = args.slot {
        let slot = slot(number)?;
        return match meta.slot(slot) {
            Some(entry) => print_slot(args.format, &opened, slot, Some(entry.uuid), true),
            None => Ok(()),
        };
    }
    Slot::all().take(8).try_for_each(|slot| {
        let uuid = meta.slot(slot).map(|entry| entry.uuid);
        print_slot(args.format, &opened, slot, uuid, false)
    })
}

fn print_slot(
    format: Format,
    opened: &Opened,
    slot: Slot,
    uuid: Option<Uuid>,
    alone: bool,
) -> Result<(), CommandError> {
    let active = opened.luks1()?.slots.get(usize::from(slot.number())).is_some_and(|entry| entry.active);
    let state = if active { "active" } else { "inactive" };
    let shown = uuid.map_or("empty".to_owned(), |uuid| uuid.to_string());
    let record = Object::new()
        .with("slot", u64::from(slot.number()))
        .with("active", active)
        .with("uuid", uuid.map_or(json::Value::Null, |uuid| uuid.to_string().into()));
    output::record(format, record, || if alone { shown.clone() } else { format!("{slot} {state:>8} {shown}") })
}

fn save(args: &MetaSaveArgs) -> Result<(), CommandError> {
    let uuid = uuid(&args.uuid)?;
    let wanted = args.slot.map(slot).transpose()?;
    let opened = Opened::to_change(&args.device, args.changing)?;
    opened.present()?;
    let data = input()?;
    let saved = opened.change(args.changing, |edit| edit.save_meta(wanted, uuid, data.expose()))?;
    match (saved, wanted) {
        (Some(slot), None) => {
            output::record(args.changing.format, Object::new().with("slot", u64::from(slot.number())), || {
                slot.to_string()
            })
        }
        _ => Ok(()),
    }
}

fn load(args: &MetaLoadArgs) -> Result<(), CommandError> {
    let slot = slot(args.slot)?;
    let opened = Opened::read(&args.device, Access::Read)?;
    let meta = opened.present()?;
    check_uuid(meta, slot, args.uuid.as_deref())?;
    let data = meta.load(opened.disks.header(), slot).map_err(|source| {
        let code = if let MetaError::Empty = source { UNAVAILABLE } else { NO_META };
        CommandError::failed(format!("cannot load the data of keyslot {slot}"), source).code(code)
    })?;
    output::data(&data)
}

fn wipe(args: &MetaWipeArgs) -> Result<(), CommandError> {
    let slot = slot(args.slot)?;
    let opened = Opened::to_change(&args.device, args.changing)?;
    let meta = opened.present()?;
    if meta.slot(slot).is_none() {
        return Ok(());
    }
    check_uuid(meta, slot, args.uuid.as_deref())?;
    ask(args.force || args.changing.dry_run, &format!("This removes what is stored for keyslot {slot}. Go on?"))?;
    opened.change(args.changing, |edit| edit.wipe_meta(slot)).map(|_| ())
}

fn check_uuid(meta: &LuksMeta, slot: Slot, wanted: Option<&str>) -> Result<(), CommandError> {
    let (Some(wanted), Some(entry)) = (wanted, meta.slot(slot)) else { return Ok(()) };
    let wanted = uuid(wanted)?;
    if entry.uuid == wanted {
        return Ok(());
    }
    let what = format!("the data of keyslot {slot} is of the kind {}, not {wanted}", entry.uuid);
    Err(CommandError::plain(what).code(OTHER_UUID))
}

fn slot(number: u32) -> Result<Slot, CommandError> {
    let none = || CommandError::usage(format!("LUKS1 has no keyslot {number}: they go from 0 to 7")).code(USAGE);
    Slot::new(number.into()).filter(|slot| slot.number() < 8).ok_or_else(none)
}

fn uuid(text: &str) -> Result<Uuid, CommandError> {
    let what = || format!("{} is not a UUID", text.escape_debug());
    Uuid::try_parse(text).map_err(|source| CommandError::failed(what(), source).code(USAGE))
}

fn input() -> Result<Secret, CommandError> {
    linux::read_stdin(LONGEST).map_err(|source| CommandError::failed("cannot read the data", source).code(NO_INPUT))
}

/// Asks unless that was said already.
fn ask(said: bool, question: &str) -> Result<(), CommandError> {
    if said {
        return Ok(());
    }
    let host = Host::new(Duration::ZERO);
    match agreed(&host, question, "-f asks nothing") {
        Ok(true) => Ok(()),
        Ok(false) => Err(CommandError::plain("nothing was changed").code(SAID_NO)),
        Err(error) => Err(error.code(SAID_NO)),
    }
}
