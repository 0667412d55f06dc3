//! A binding made anew in its place: what `regen`, `edit` and `report -r` have in common.

use super::{change, chosen};
use crate::args::{KeySource, Rebinding};
use crate::counters;
use crate::error::CommandError;
use crate::host::Host;
use crate::opening;
use crate::output;
use crate::passphrase;
use crate::volume::{self, Disks, Seal};
use ::luks::{Accepted, EditError, Slot};
use clevis::{PinError, Ports, TrustPolicy};
use crypto::{SystemRandom, VolumeKey};
use json::{Object, Value};
use linux::{Access, Terminal};
use unlock::identity::Closed;
use unlock::{BindError, Binding, Bound, CommitError, Keys, Parents, Prepared, Proof, Room, Unlocked};

/// A volume and the binding in it that is meant.
pub struct Found {
    pub disks: Disks,
    pub header: Accepted,
    pub binding: Binding,
}

/// What opened the volume: this very binding, or something else.
enum Opened {
    Itself(Box<Unlocked>),
    Another(VolumeKey),
    Passphrase(VolumeKey),
}

impl Opened {
    fn key(&self) -> &VolumeKey {
        match self {
            Opened::Itself(unlocked) => &unlocked.key,
            Opened::Another(key) | Opened::Passphrase(key) => key,
        }
    }
}

/// Reads the volume and finds the binding.
pub fn find(args: &Rebinding, access: Access) -> Result<Found, CommandError> {
    let disks = Disks::open(&args.device, if args.dry_run { Access::Read } else { access })?;
    let header = disks.accepted(&args.ceilings)?;
    let binding = chosen::binding(header.header(), &args.which, disks.header().path())?;
    Ok(Found { disks, header, binding })
}

/// Opens the volume, prepares the new binding by `prepare`, and puts it in the place of the old one. Where a person's passphrase opens the
/// volume, a signed policy may still have to be approved.
pub fn carry_out(
    args: &Rebinding,
    found: &Found,
    host: &Host,
    prepare: impl FnOnce(Option<&Unlocked>, Proof, &Ports<'_>) -> Result<Prepared, BindError>,
) -> Result<(), CommandError> {
    let opened = open(args, found, host)?;
    if args.dry_run {
        host.made().rehearse();
    }
    let by_itself = if let Opened::Itself(unlocked) = &opened { Some(&**unlocked) } else { None };
    let trust = if args.yes { TrustPolicy::Yes } else { TrustPolicy::Ask };
    let slot = found.binding.slot;
    let (approvals, _) = unlock::approvals(found.header.header());
    let ports = Ports { approvals: &approvals, ..host.ports(trust) };
    let named = matches!(opened, Opened::Passphrase(_)) || args.key.source().is_some();
    let proof = if named { Proof::IfReachable } else { Proof::Required };
    let prepared = prepare(by_itself, proof, &ports).map_err(|source| not_prepared(args, slot, source, host))?;
    if prepared.unproved().is_some() {
        has_passphrase(args, found, &opened, host).inspect_err(|_| counters::take_back(host))?;
    }
    let prepared = if args.in_place { prepared.with_room(Room::InPlace) } else { prepared };
    tell_keys(&prepared);
    let failed = |source| {
        counters::take_back_unless_written(host, &source);
        let no_room = matches!(source, CommitError::Edit(EditError::NoSlotToSpare { .. } | EditError::NoRoom { .. }));
        let error = change::not_written(format!("cannot make the binding of keyslot {slot} anew"), source);
        if no_room && !args.in_place { error.hint(change::IN_PLACE) } else { error }
    };
    if args.dry_run {
        let plan = unlock::bind_edit(&found.header, opened.key(), &prepared, &SystemRandom).map_err(failed)?;
        change::print_plan(args.format, &plan.edit)?;
        return counters::print_plan(args.format, host);
    }
    let exclusive = || volume::exclusive(found.disks.header());
    let volume = found.disks.volume(&args.ceilings, &exclusive, host);
    let bound = unlock::bind(&volume, opened.key(), prepared).map_err(failed)?;
    counters::settle(
        (&found.binding.jwe, &bound.jwe),
        &args.device,
        found.disks.accepted(&args.ceilings),
        &host.ports(trust),
    );
    volume::tell_unexpected_parent(found.header.header(), &bound, host);
    counters::tell(host);
    counters::tell_replaced(&found.binding.jwe, &bound.jwe, found.header.header(), host);
    report(args, &bound)
}

fn report(args: &Rebinding, bound: &Bound) -> Result<(), CommandError> {
    let (slot, device) = (bound.slot, &args.device);
    let record = chosen::with_token(Object::new().with("slot", u64::from(slot.number())), bound.token);
    let record = record.with("proved", bound.unproved.is_none());
    change::report(args.format, &format!("keyslot {slot} is bound anew"), record)?;
    if let Some(error) = &bound.unproved {
        output::say(&format!("not proved: {}", volume::reasons(error)));
        if waits_for_approval(error) {
            output::say(&format!("  try: cotter luks reseal {device} --sign FILE, which approves it"));
        }
    }
    Ok(())
}

fn tell_keys(prepared: &Prepared) {
    if prepared.keys() == Keys::Unchanged {
        output::say("the servers' keys are those of before");
    }
    if prepared.parents() == Parents::Believed {
        output::say("nothing from before vouches for the TPM's parent key: it is believed, as at a first binding");
    }
}

/// Whether it would open if somebody had approved it.
pub fn waits_for_approval(error: &PinError) -> bool {
    error.waits_for(&|one| matches!(one, PinError::NotApproved { .. }))
}

fn not_prepared(args: &Rebinding, slot: Slot, source: BindError, host: &Host) -> CommandError {
    counters::take_back(host);
    if host.cancel().is_cancelled() {
        return CommandError::plain("interrupted; nothing was changed");
    }
    let device = &args.device;
    let hint = match &source {
        BindError::NotProved(error) if waits_for_approval(error) => format!(
            "with a passphrase (-k FILE, or -k -) it is made before anybody has approved it; then: cotter luks reseal {device} --sign FILE"
        ),
        _ => source.hint(),
    };
    CommandError::failed(format!("cannot make the binding of keyslot {slot} anew"), source).hint(hint)
}

/// The old binding goes, and the new one was not seen to work: then the passphrase must.
fn has_passphrase(args: &Rebinding, found: &Found, opened: &Opened, host: &Host) -> Result<(), CommandError> {
    match (opened, args.key.source()) {
        (Opened::Passphrase(_), _) | (_, None) => Ok(()),
        (_, Some(source)) => match by_passphrase(found, &source, host)? {
            Opened::Passphrase(_) => Ok(()),
            _ => Err(CommandError::plain("the passphrase that was given is the binding's own, which goes with it")
                .hint("a person's: -k FILE")),
        },
    }
}

/// Opens the volume by the binding itself, so that its servers' keys vouch for those after them; else by a passphrase or by
/// another binding, and then a person says whom to trust.
fn open(args: &Rebinding, found: &Found, host: &Host) -> Result<Opened, CommandError> {
    let slot = found.binding.slot;
    let why = match by_slot(found, Some(slot), host) {
        Ok(unlocked) if unlocked.proved.as_ref().is_some_and(|proved| proved.binding.is_same(&found.binding)) => {
            return Ok(Opened::Itself(Box::new(unlocked)));
        }
        Ok(unlocked) => return Ok(Opened::Another(unlocked.key)),
        Err(error) if error.as_alarm().is_some() => return Err(error),
        Err(error) => volume::attempt_reasons(&error),
    };
    if let Some(source) = args.key.source() {
        // Somebody knew, and has named what to do.
        let opened = by_passphrase(found, &source, host);
        let then = if opened.is_ok() { "; opened by the passphrase" } else { "" };
        output::say(&format!("keyslot {slot} did not open by its binding: {why}{then}"));
        return opened;
    }
    output::say(&format!("keyslot {slot} does not open by its binding: {why}"));
    let others = unlock::bindings(found.header.header()).iter().any(|binding| binding.slot != slot);
    match if others { by_slot(found, None, host) } else { Err(nothing_else(slot)) } {
        Ok(unlocked) => {
            output::say(&format!("keyslot {} has opened the volume by its binding", unlocked.slot));
            Ok(Opened::Another(unlocked.key))
        }
        Err(error) if error.as_alarm().is_some() => Err(error),
        Err(_) if Terminal::types_stdin() => by_passphrase(found, &KeySource::default(), host),
        Err(error) => Err(error),
    }
}

fn nothing_else(slot: Slot) -> CommandError {
    CommandError::plain(format!("keyslot {slot} does not open, and nothing else was named that could"))
        .hint("-k FILE, or -k -")
}

fn by_slot(found: &Found, only: Option<Slot>, host: &Host) -> Result<Unlocked, CommandError> {
    volume::open_by_bindings(&closed(found, host)?, only, Seal::Counts, host)
}

fn closed<'a>(found: &'a Found, host: &'a Host) -> Result<Closed<'a>, CommandError> {
    host.closed(found.disks.header(), &found.header)
}

fn by_passphrase(found: &Found, source: &KeySource, host: &Host) -> Result<Opened, CommandError> {
    let passphrase = passphrase::existing(source, host.person())?;
    let opened = opening::by_passphrase(&closed(found, host)?, &passphrase, None, Seal::Counts);
    let opened = opened.map_err(|failed| opening::told(&found.disks, source, &passphrase, failed))?;
    // That of the binding itself goes with it.
    let stays = opened.slot != found.binding.slot;
    Ok(if stays { Opened::Passphrase(opened.key) } else { Opened::Another(opened.key) })
}

/// `tang '{…}'`
pub fn policy(pin: &str, config: &Value) -> String {
    crate::error::visible(&format!("{pin} '{}'", config.to_compact().as_str()))
}
