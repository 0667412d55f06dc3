//! What `cotter luks meta` changes: each is asked for first, unless a script says `-f`.

use super::wanted::{Wanted, check_uuid, exit, luks1, present};
use crate::args::{MetaAction, MetaArgs};
use crate::command::luks::change::{self, Change};
use crate::error::CommandError;
use crate::host::Host;
use crate::output;
use crate::volume::Disks;
use ::luks::{Accepted, Edit, EditError, MetaState, Slot};
use block::partition::Uuid;
use crypto::Random;
use json::Object;
use linux::{StdinError, Terminal};
use std::error::Error;
use std::time::Duration;
use unlock::{CommitError, Orphans};

/// Most data that is read: no gap that anybody made is larger.
const MOST: usize = 16 << 20;

pub fn run(args: &MetaArgs, wanted: &Wanted, disks: &Disks) -> Result<(), CommandError> {
    let header = disks.read_header().map_err(|error| error.code(exit::CANNOT_READ))?;
    luks1(&header, disks)?;
    let header = disks.accepted(&args.ceilings).map_err(|error| error.code(exit::OTHER))?;
    match args.action {
        MetaAction::Nuke => nuke(args, disks, &header),
        MetaAction::Init => init(args, disks, &header),
        MetaAction::Wipe => wipe(args, wanted, disks, &header),
        _ => save(args, wanted, disks, &header),
    }
}

fn nuke(args: &MetaArgs, disks: &Disks, header: &Accepted) -> Result<(), CommandError> {
    ask(args, "This erases all data in the gap that LUKSMeta lies in.")?;
    let done = change(args, disks, header, Wiped::All, |header, random| {
        let mut edit = Edit::new(header, random)?;
        edit.nuke_meta()?;
        Ok((edit, ()))
    })?;
    told(done, "all of LUKSMeta is erased")
}

fn init(args: &MetaArgs, disks: &Disks, header: &Accepted) -> Result<(), CommandError> {
    let state = luks1(header.header(), disks)?.meta();
    if matches!(state, MetaState::Present(_)) && !args.nuke {
        output::say("there is LUKSMeta already; nothing was changed");
        return Ok(());
    }
    ask(args, "This makes an empty LUKSMeta in the gap of the LUKS1 header. What other programs put there is lost.")?;
    let done = change(args, disks, header, if args.nuke { Wiped::All } else { Wiped::Nothing }, |header, random| {
        let mut edit = Edit::new(header, random)?;
        if args.nuke {
            edit.nuke_meta()?;
        }
        edit.init_meta()?;
        Ok((edit, ()))
    })?;
    told(done, "LUKSMeta is initialised")
}

fn wipe(args: &MetaArgs, wanted: &Wanted, disks: &Disks, header: &Accepted) -> Result<(), CommandError> {
    let Some(slot) = wanted.slot else { return Ok(()) };
    let Some(found) = present(luks1(header.header(), disks)?, disks)?.slot(slot) else {
        output::say(&format!("slot {slot} is empty; nothing was changed"));
        return Ok(());
    };
    check_uuid(found, slot, wanted.uuid)?;
    ask(args, &format!("This erases the data of slot {slot}. It cannot be undone."))?;
    let found = *found;
    let done = change(args, disks, header, Wiped::Of(slot), |header, random| {
        let mut edit = Edit::new(header, random)?;
        let now = header.header().as_luks1().and_then(|header| header.meta().present()?.slot(slot).copied());
        // Somebody else may have stored something else there meanwhile.
        if now == Some(found) {
            edit.wipe_meta(slot)?;
        }
        Ok((edit, ()))
    })?;
    told(done, &format!("slot {slot} is empty"))
}

fn save(args: &MetaArgs, wanted: &Wanted, disks: &Disks, header: &Accepted) -> Result<(), CommandError> {
    present(luks1(header.header(), disks)?, disks)?;
    let data = read_data()?;
    let uuid = wanted.uuid.unwrap_or(Uuid::nil());
    let saved = change(args, disks, header, Wiped::Nothing, |header, random| {
        let mut edit = Edit::new(header, random)?;
        let slot = edit.save_meta(wanted.slot, uuid, data.expose())?;
        Ok((edit, slot))
    })?;
    let Some(slot): Option<Slot> = saved else { return Ok(()) };
    let record = Object::new().with("slot", u64::from(slot.number()));
    match wanted.slot {
        Some(_) if !args.format.json => Ok(()),
        _ => output::record(args.format, record, || slot.to_string()),
    }
}

fn read_data() -> Result<crypto::Secret, CommandError> {
    let nothing = |what: &str| CommandError::plain(what).hint("< FILE, or COMMAND |").code(exit::NO_INPUT);
    if Terminal::types_stdin() {
        return Err(nothing("give the data on standard input"));
    }
    let read = linux::read_stdin(MOST).map_err(|source: StdinError| {
        let code = if matches!(source, StdinError::TooLong { .. }) { exit::NO_ROOM } else { exit::NO_INPUT };
        CommandError::failed("cannot read the data", source).code(code)
    });
    read.and_then(|data| if data.is_empty() { Err(nothing("standard input is empty")) } else { Ok(data) })
}

/// Whose data goes.
#[derive(Clone, Copy)]
enum Wiped {
    Nothing,
    Of(Slot),
    All,
}

impl Wiped {
    /// The keyslots that stay without what brought their passphrases.
    fn orphans(self, header: &Accepted) -> Vec<Slot> {
        match self {
            Wiped::Nothing => Vec::new(),
            Wiped::Of(slot) => unlock::orphans_of_meta(header, Some(slot)),
            Wiped::All => unlock::orphans_of_meta(header, None),
        }
    }
}

/// Prints the change or writes it, with the exit code of what went wrong.
fn change<T>(
    args: &MetaArgs,
    disks: &Disks,
    header: &Accepted,
    wiped: Wiped,
    make: impl for<'h> Fn(&'h Accepted, &'h dyn Random) -> Result<(Edit<'h>, T), EditError>,
) -> Result<Option<T>, CommandError> {
    let (ceilings, format, dry_run) = (&args.ceilings, args.format, args.dry_run);
    let change = Change { failing: "cannot change LUKSMeta", disks, ceilings, format, dry_run };
    let orphans = if args.orphan { Orphans::Leave } else { Orphans::Refuse };
    let made = change.carry_out(header, |header, random| {
        unlock::spare_orphans(wiped.orphans(header), orphans)?;
        make(header, random).map_err(CommitError::Edit)
    });
    made.map_err(|error| {
        let code = code_of(&error);
        error.code(code)
    })
}

fn code_of(error: &CommandError) -> u8 {
    let commit = error.source().and_then(|source| source.downcast_ref::<CommitError>());
    match commit {
        Some(CommitError::Edit(EditError::NoMeta | EditError::Meta { .. })) => exit::NOT_THERE,
        Some(CommitError::Edit(
            EditError::NoGap | EditError::NoRoomForMeta { .. } | EditError::GapBehindDisk { .. },
        )) => exit::NO_ROOM,
        Some(CommitError::Edit(EditError::MetaInUse { .. })) => exit::TAKEN_OR_EMPTY,
        Some(CommitError::Edit(EditError::ReservedUuid)) => exit::USAGE,
        Some(CommitError::Edit(EditError::NoFreeSlot)) => exit::NO_ROOM,
        _ => exit::OTHER,
    }
}

fn told(done: Option<()>, what: &str) -> Result<(), CommandError> {
    if done.is_some() {
        output::say(what);
    }
    Ok(())
}

/// Asks a person; elsewhere the answer is read from standard input, as luksmeta reads it.
fn ask(args: &MetaArgs, what: &str) -> Result<(), CommandError> {
    if args.force || args.dry_run {
        return Ok(());
    }
    output::say(&format!("{what} A backup is advised: cotter luks backup"));
    let question = format!("Go on with {}?", args.device.path.display());
    let agreed = if Terminal::types_stdin() {
        change::agreed(&Host::new(Duration::ZERO), &question, "-f asks nothing")?
    } else {
        answer(&question)
    };
    if agreed { Ok(()) } else { Err(CommandError::plain("nothing was changed").code(exit::NO)) }
}

/// The first line of standard input that is a clear answer; its end is a no.
fn answer(question: &str) -> bool {
    output::say(&format!("{question} [yn]"));
    loop {
        match linux::read_stdin_line() {
            Ok(line) if line.expose().eq_ignore_ascii_case(b"y") => return true,
            Ok(line) if line.is_empty() || line.expose().eq_ignore_ascii_case(b"n") => return false,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
}
