//! A change to a header: a plan that is printed, or written under the lock that cryptsetup takes.

use crate::args::{Ceilings, Format};
use crate::error::CommandError;
use crate::host::Host;
use crate::output;
use crate::volume::{self, Disks};
use ::luks::{Accepted, Applied, ApplyError, Edit, EditError};
use clevis::{Cancel, PersonError};
use crypto::SystemRandom;
use json::Object;
use linux::LockMode;
use std::fmt::Display;
use std::io::ErrorKind;

/// How often a change is computed anew because somebody else was quicker.
const TRIES: usize = 5;

/// Computes a change; nothing is written.
pub fn plan<'h, T>(
    header: &'h Accepted,
    make: impl Fn(&Accepted, &mut Edit<'_>) -> Result<T, CommandError>,
) -> Result<(Edit<'h>, T), CommandError> {
    let mut edit = Edit::new(header, &SystemRandom).map_err(impossible)?;
    let made = make(header, &mut edit)?;
    Ok((edit, made))
}

/// Computes a change without the lock, for it may stretch a passphrase; takes the lock and writes it; anew if the header has
/// changed in between. A signal is noticed before the first write and not after it: a change that has begun is finished.
pub fn write<T>(
    disks: &Disks,
    ceilings: &Ceilings,
    mut header: Accepted,
    cancel: &Cancel,
    make: impl Fn(&Accepted, &mut Edit<'_>) -> Result<T, CommandError>,
) -> Result<(Applied, T), CommandError> {
    for _ in 0..TRIES {
        let (edit, made) = plan(&header, &make)?;
        let held = volume::lock(disks.header(), LockMode::Exclusive)?;
        if cancel.is_cancelled() {
            return Err(CommandError::plain("interrupted; nothing was changed"));
        }
        let applied = edit.apply(disks.header());
        drop(held);
        match applied {
            Ok(applied) => return Ok((applied, made)),
            Err(ApplyError::Changed { .. }) => header = disks.accepted(ceilings)?,
            Err(source) => return Err(not_applied(disks, source)),
        }
    }
    let error = CommandError::plain(format!("somebody else changed the header {TRIES} times meanwhile"));
    Err(error.hint("see who: `fuser -v` on the device; then try again"))
}

fn not_applied(disks: &Disks, source: ApplyError) -> CommandError {
    let hint = match source {
        ApplyError::HalfDone { .. } => "do not write to the disk; save its first 16 MiB, then `cotter luks dump`",
        _ => "",
    };
    CommandError::failed(format!("the header of {} was not written", disks.header().path().display()), source)
        .hint(hint)
}

/// A change that is not possible.
pub fn impossible(source: EditError) -> CommandError {
    let hint = match &source {
        EditError::SlotInUse { .. } => "leave out -s for the lowest free one",
        EditError::NoFreeSlot | EditError::NoRoom { .. } => {
            "remove a keyslot that nobody needs: `cotter luks dump`, `cotter luks kill`"
        }
        EditError::TokenInUse { .. } => "leave out -t for the lowest free one",
        EditError::MetadataFull { .. } => "remove a token or a keyslot that nobody needs: `cotter luks dump`",
        EditError::PrimaryGone => "see what is there now, then `cotter luks repair`",
        _ => "",
    };
    CommandError::failed("the header cannot be changed so", source).hint(hint)
}

/// What would be written, a line for each step.
pub fn print_plan(format: Format, plan: &impl Display) -> Result<(), CommandError> {
    for step in plan.to_string().lines() {
        output::record(format, Object::new().with("would", step), || format!("would {step}"))?;
    }
    Ok(())
}

/// Asks a person whether to go on.
pub fn agreed(host: &Host, question: &str, without: &'static str) -> Result<bool, CommandError> {
    clevis::Person::confirm(host.person(), question).map_err(|source| match source {
        PersonError::Terminal { source } if source.kind() == ErrorKind::Interrupted => {
            CommandError::plain("given up; nothing was changed")
        }
        source => CommandError::failed("cannot ask whether to go on", source).hint(without),
    })
}

/// Prints a record for a program; a person has been told.
pub fn report(format: Format, told: &str, record: Object) -> Result<(), CommandError> {
    output::say(told);
    if format.json { output::record(format, record, String::new) } else { Ok(()) }
}
