//! What all commands that change a header have in common: the plan in words, questions, errors, the last word.

use crate::args::{Ceilings, Format};
use crate::error::CommandError;
use crate::host::Host;
use crate::output;
use crate::volume::{self, Disks};
use ::luks::{Accepted, Edit, EditError, Header, Refused};
use clevis::PersonError;
use crypto::{Random, SystemRandom};
use json::Object;
use std::fmt::Display;
use std::io::ErrorKind;
use std::time::Duration;
use unlock::CommitError;

/// A change that takes neither a question nor a key derivation: printed, or written at once.
pub struct Change<'a> {
    /// What cannot be done, if it cannot, such as `cannot remove the token`.
    pub failing: &'a str,
    pub disks: &'a Disks,
    pub ceilings: &'a Ceilings,
    pub format: Format,
    pub dry_run: bool,
}

impl Change<'_> {
    /// Prints the change to this header, or writes it to whatever header is there then. What `make` made is returned if it was
    /// written.
    pub fn carry_out<T>(
        &self,
        header: &Accepted,
        make: impl for<'h> Fn(&'h Accepted, &'h dyn Random) -> Result<(Edit<'h>, T), CommitError>,
    ) -> Result<Option<T>, CommandError> {
        if self.dry_run {
            let plan = make(header, &SystemRandom).map_err(|source| not_written(self.failing, source))?.0;
            return print_plan(self.format, &plan).map(|()| None);
        }
        let host = Host::new(Duration::ZERO);
        host.cancel_on_signal()?;
        let exclusive = || volume::exclusive(self.disks.header());
        let written = self.disks.volume(self.ceilings, &exclusive, &host).write(|header, random| {
            let (edit, made) = make(header, random)?;
            let needs_seal = edit.needs_seal();
            Ok((edit, (made, needs_seal)))
        });
        let (applied, (made, needs_seal)) = written.map_err(|source| not_written(self.failing, source))?;
        tell_seal(header.header(), &applied.header, needs_seal);
        Ok(Some(made))
    }
}

/// A change that was made without the volume key cannot renew the seal, which then tells of it.
/// Whether this one does `needs_seal` says of LUKS2, for a seal covers no labels; LUKS1 keeps its seal in the bindings.
/// There it goes with the last binding that carries it.
pub fn tell_seal(before: &Header, after: &Header, needs_seal: bool) {
    let carried = |header: &Header| header.as_luks1().is_some() && unlock::is_sealed(header);
    if needs_seal || carried(after) {
        output::say("the header is sealed, and the seal tells of this change until it is made anew: cotter luks seal");
    } else if carried(before) {
        output::say(
            "the seal went with the binding that carried it: the header is no longer sealed; bind anew, then cotter luks seal",
        );
    }
}

/// The same after a change by who holds the volume key, and that leaves all bindings: LUKS2 has a seal that fits by now, but that of
/// LUKS1 stays as it was in the bindings, which such a change does not open.
pub fn tell_seal_in_bindings(header: &Header) {
    tell_seal(header, header, false);
}

/// Prints what would be written, a line for each step.
pub fn print_plan(format: Format, plan: &impl Display) -> Result<(), CommandError> {
    for step in plan.to_string().lines() {
        output::record(format, Object::new().with("would", step), || format!("would {step}"))?;
    }
    Ok(())
}

/// A change that was not made.
pub fn not_written(what: impl Into<String>, source: CommitError) -> CommandError {
    let hint = match &source {
        CommitError::Edit(source) => hint_of(source),
        other => other.hint(),
    };
    CommandError::failed(what, source).hint(hint)
}

/// What helps where a keyslot has no place for a second copy.
pub const IN_PLACE: &str = "make room by removing a keyslot that nobody needs (`cotter luks kill`), or say that the only copy may be \
                            written over: --in-place; if the power fails meanwhile, the keyslot is lost";

fn hint_of(source: &EditError) -> &'static str {
    match source {
        EditError::SlotInUse { .. } => "leave out -s for the lowest free one",
        EditError::NoSuchSlot { .. } | EditError::NoSuchToken { .. } => "`cotter luks dump` lists them",
        EditError::NoFreeSlot | EditError::NoSlotToSpare { .. } | EditError::NoRoom { .. } => {
            "remove a keyslot that nobody needs: `cotter luks dump`, `cotter luks kill`"
        }
        EditError::NoGap => {
            "such a header (QEMU's are like that) keeps no binding; `cotter encrypt` ties its passphrase to a policy in a file beside it"
        }
        EditError::GapBehindDisk { .. } => {
            "is the disk or the header's file cut off? With its full length (`truncate -s` for a file) there is room; or \
             somebody else has changed the header: `cotter luks dump`"
        }
        EditError::Refused { source: Refused::Argon2Passes { .. } } => {
            "fewer passes, by --pbkdf-force-iterations or a shorter --iter-time; iterations of PBKDF2 are meant with --pbkdf pbkdf2"
        }
        EditError::Refused { source: Refused::TooManyIterations { .. } } => {
            "it would take minutes to open: fewer --pbkdf-force-iterations, or a shorter --iter-time"
        }
        EditError::TokenInUse { .. } => "leave out the token's number for the lowest free one",
        EditError::MetadataFull { .. } => {
            "remove a token or a keyslot that nobody needs: `cotter luks dump`. A volume has a larger area only if it is formatted \
             with one: `cotter luks format --luks2-metadata-size 64k`"
        }
        EditError::PrimaryGone => "see what is there now, then `cotter luks repair`",
        EditError::Contradiction { .. } => {
            "one of them may have been written by mistake: keep both (`cotter luks backup`), then see `cotter luks dump` and `cotter luks repair`"
        }
        EditError::SealBroken { .. } => {
            "somebody else may have changed the header; if it is as it should be: `cotter luks seal`"
        }
        _ => "",
    }
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

/// Tells a person what was done, and prints a record for a program.
pub fn report(format: Format, told: &str, record: Object) -> Result<(), CommandError> {
    output::say(told);
    if format.json { output::record(format, record, String::new) } else { Ok(()) }
}
