//! `cotter luks regen`: the same policy with the servers' keys of today and a new passphrase.

use super::change::agreed;
use super::rebind::{self, Found};
use crate::args::{Rebinding, RegenArgs};
use crate::error::CommandError;
use crate::host::Host;
use crate::output;
use crate::volume;
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
    rebind::carry_out(&args.rebinding, &found, &host, |opened, ports| {
        unlock::regen(&found.binding, opened.filter(|_| !args.ask), ports)
    })
}

/// Makes it anew without a question.
pub fn carry_out(args: &Rebinding, found: &Found, host: &Host) -> Result<(), CommandError> {
    rebind::carry_out(args, found, host, |opened, ports| unlock::regen(&found.binding, opened, ports))
}

fn wanted(found: &Found, host: &Host) -> Result<bool, CommandError> {
    let slot = found.binding.slot;
    let policy = match clevis::configuration(&found.binding.jwe, clevis::pins::ALL) {
        Ok(stored) => rebind::policy(stored.pin, stored.config.field().value()),
        Err(error) => volume::reasons(&error),
    };
    agreed(host, &format!("Make the binding of keyslot {slot} anew: {policy}?"), "-q asks nothing")
}
