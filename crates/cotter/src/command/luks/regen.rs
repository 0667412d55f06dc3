//! `cotter luks regen`: the same policy with the servers' keys of today and a new passphrase.

use super::change::agreed;
use super::rebind::{self, Found};
use crate::args::{Rebinding, RegenArgs};
use crate::error::CommandError;
use crate::host::Host;
use crate::output;
use crate::volume;
use clevis::measured;
use linux::Access;

/// Makes the binding anew; a person who says no has changed nothing, and that is no failure.
pub fn run(args: &RegenArgs) -> Result<(), CommandError> {
    let found = rebind::find(&args.rebinding, Access::Write)?;
    let host = Host::new(args.rebinding.patience.limit());
    host.cancel_on_signal()?;
    if !args.quiet && !args.rebinding.dry_run && !wanted(&found, &host)? {
        output::say("nothing was changed");
        return Ok(());
    }
    tell_sets(&args.rebinding, &found);
    rebind::carry_out(&args.rebinding, &found, &host, |opened, proof, ports| {
        unlock::regen(&found.binding, opened.filter(|_| !args.ask), proof, ports)
    })
}

/// Makes it anew without a question.
pub fn carry_out(args: &Rebinding, found: &Found, host: &Host) -> Result<(), CommandError> {
    tell_sets(args, found);
    rebind::carry_out(args, found, host, |opened, proof, ports| unlock::regen(&found.binding, opened, proof, ports))
}

/// What a reseal added is not kept: the values of an update that is still to come are to be added once more.
fn tell_sets(args: &Rebinding, found: &Found) {
    let (jwe, slot, device) = (&found.binding.jwe, found.binding.slot, &args.device);
    let Ok(stored) = clevis::configuration(jwe, crate::pins::ALL) else { return };
    let sets = measured::parts(jwe).unwrap_or_default().iter().map(|part| part.accepted.len()).max();
    if stored.is_complete()
        && !unlock::names("accept", stored.config.field().value())
        && sets.is_some_and(|sets| sets > 1)
    {
        output::say(&format!(
            "keyslot {slot} accepted several sets of values, and is made for what the PCRs hold now: for an update that is still to come, \
             cotter luks reseal {device} -s {slot} once more"
        ));
    }
}

fn wanted(found: &Found, host: &Host) -> Result<bool, CommandError> {
    let slot = found.binding.slot;
    let policy = match clevis::configuration(&found.binding.jwe, crate::pins::ALL) {
        Ok(stored) => rebind::policy(stored.pin, stored.config.field().value()),
        Err(error) => volume::reasons(&error),
    };
    agreed(host, &format!("Make the binding of keyslot {slot} anew: {policy}?"), "-q asks nothing")
}
