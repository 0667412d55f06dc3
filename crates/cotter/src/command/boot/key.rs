//! `cotter boot key`: one caller of the key socket, who names the volume by the address that he calls from.
//!
//! He waits for as long as it takes, and asks a person for nothing meanwhile. So there is an answer in any case: where there is no key, a
//! wrong one, upon which systemd-cryptsetup asks.

use super::bell::Bell;
use super::events::{one_line, say};
use super::search::{Common, Found, search};
use super::wire::Wire;
use super::{ahead, attended};
use crate::args::KeyArgs;
use crate::boot_settings::Settings;
use crate::error::CommandError;
use crate::host::Host;
use crate::output;
use crypto::{Passphrase, Random, Secret, SystemRandom};
use linux::deadline_after;
use std::time::Duration;
use unlock::prompt;

/// The usual limit: a person may be waiting.
const USUAL_PATIENCE: Duration = Duration::from_secs(30);
/// The length of a wrong key, in bytes: nobody meets it by chance.
const WRONG: usize = 32;

/// Answers the caller on standard input.
pub fn run(args: &KeyArgs) -> Result<(), CommandError> {
    match key(args) {
        Ok(found) => output::data(found.unlocked.passphrase.expose()),
        Err(error) => {
            say(None, &format!("a wrong key is given, so that a person is asked: {}", one_line(&error)));
            output::data(wrong()?.expose())
        }
    }
}

fn wrong() -> Result<Passphrase, CommandError> {
    let mut bytes = vec![0; WRONG];
    SystemRandom.fill(&mut bytes).map_err(|source| CommandError::failed("no random numbers", source))?;
    Ok(Passphrase::new(Secret::new(bytes)))
}

fn key(args: &KeyArgs) -> Result<Found, CommandError> {
    let failed = |source| CommandError::failed("who calls is not known", source);
    let caller = linux::stdin_peer().map_err(failed)?;
    let Some(name) = prompt::volume_of_caller(&caller) else {
        return Err(CommandError::plain("the caller names no volume").hint("the key socket of crypttab calls this"));
    };
    let settings = Settings::read(&args.settings)?;
    if let Some(why) = attended::why(&args.command_line) {
        return Err(CommandError::plain(why));
    }
    let Some(line) = ahead::line_of(args.crypttab.as_deref(), name) else {
        return Err(CommandError::plain(format!("no line of crypttab is about {name:?}")));
    };
    let patience =
        args.timeout.map_or(USUAL_PATIENCE.min(settings.timeout), |seconds| Duration::from_secs(seconds.into()));
    let (bell, until) = (Bell::default(), deadline_after(patience));
    let host = Host::new(patience).trusting(settings.ca.as_deref()).expecting(&args.expect)?;
    host.cancel_on_signal()?;
    let wire = Wire::new(host.client(), &bell, false);
    let common =
        Common { host: &host, wire: &wire, bell: &bell, until, try_for: settings.try_for, ceilings: args.ceilings };
    let found = search(&line.device, &common, host.cancel(), &|text: &str| say(Some(name), text));
    let found = found.ok_or_else(|| CommandError::plain(format!("{name} is not opened by its bindings")))?;
    say(None, &found.said(name));
    Ok(found)
}
