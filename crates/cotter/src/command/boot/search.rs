//! The search for the secret of one volume: its bindings are tried until one opens, none can, or nobody wants it any more.

use crate::args::AgentArgs;
use crate::host::Host;
use crate::volume::{self, reasons};
use block::BlockRead;
use clevis::{Cancel, Deadline, NextStep, Person, PersonError, Ports, TrustPolicy};
use crypto::{Passphrase, Secret};
use linux::{Access, is_past};
use std::path::Path;
use std::time::{Duration, Instant};
use unlock::{AttemptError, Failed, Unlocked};

/// Between one try and the next, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(2));
/// How soon a cancel is noticed between two tries.
const NOTICE: Duration = Duration::from_millis(50);

/// Why there is no secret.
enum Closed {
    /// It may be there later.
    Later(String),
    /// It will not.
    Never(String),
}

/// What ends a search, and what it goes by.
pub struct Limits<'a> {
    pub until: Deadline,
    /// For one try.
    pub try_for: Duration,
    pub cancel: &'a Cancel,
    /// Who may sign for servers, where a binding does not say.
    pub authorities: Option<&'a Path>,
}

/// The secret of the volume, proved on its keyslot.
pub fn search(volume: &Path, args: &AgentArgs, limits: &Limits<'_>, tell: &dyn Fn(&str)) -> Option<Passphrase> {
    let (mut pause, mut told) = (PAUSE.0, String::new());
    while !limits.cancel.is_cancelled() {
        match attempt(volume, args, limits, tell) {
            Ok(found) => {
                tell(&format!("keyslot {} opens it", found.slot));
                return Some(found.passphrase);
            }
            Err(_) if limits.cancel.is_cancelled() => return None,
            Err(Closed::Never(why)) => {
                tell(&format!("stays closed: {why}"));
                return None;
            }
            Err(Closed::Later(why)) => {
                if told != why {
                    tell(&format!("not yet: {why}"));
                    told = why;
                }
            }
        }
        if is_past(limits.until) {
            tell("nothing has opened it within the time there was; a passphrase does");
            return None;
        }
        wait(pause, limits);
        pause = PAUSE.1.min(pause * 2);
    }
    None
}

fn attempt(volume: &Path, args: &AgentArgs, limits: &Limits<'_>, tell: &dyn Fn(&str)) -> Result<Unlocked, Closed> {
    let never = |error: crate::error::CommandError| Closed::Never(error.to_string().replace("\n  try: ", "; try: "));
    let disk = volume::open_disk(volume, Access::Read).map_err(|error| Closed::Later(error.to_string()))?;
    let host = Host::new(limits.try_for).trusting(limits.authorities).expecting(&args.expect).map_err(never)?;
    let header =
        volume::read_header(&disk).map_err(|error| volume::not_a_volume(&disk, error, &host)).map_err(never)?;
    let header = volume::accept(header, disk.path(), &volume::allowed(&args.ceilings)).map_err(never)?;
    if let Some(error) = volume::damaged_meta(header.header()) {
        return Err(Closed::Never(reasons(error)));
    }
    let plan = unlock::plan_all(header.header(), None);
    if plan.is_empty() {
        return Err(Closed::Never("no keyslot is bound".into()));
    }
    let closed = host.closed(&disk as &dyn BlockRead, &header).map_err(never)?;
    let ports = host.ports(TrustPolicy::Ask);
    let ports = Ports { person: &Nobody, cancel: limits.cancel, until: ports.until.earlier(limits.until), ..ports };
    let mut on_event = |event: unlock::Event<'_>| {
        if let unlock::Event::WrongShares(attempt, shares) = event {
            shares.iter().for_each(|share| tell(&format!("keyslot {}: {share}", attempt.slot)));
        }
    };
    unlock::run(plan, &closed, &ports, &|| host.time_left(), &mut on_event).map_err(judge)
}

/// An alarm ends the search, whatever else may come; otherwise it goes on while one of the bindings may still open.
fn judge(failed: Failed) -> Closed {
    let alarm =
        failed.tried.iter().any(|(_, error)| matches!(error, AttemptError::Identity(_) | AttemptError::Seal(_)));
    let may_pass = failed.tried.iter().any(|(_, error)| match error {
        AttemptError::Pin(error) => error.next_step() == NextStep::RetryLater,
        AttemptError::NoTime(_) => true,
        _ => false,
    });
    let why = format!("{}; try: {}", reasons(&failed), failed.hint());
    if may_pass && !alarm { Closed::Later(why) } else { Closed::Never(why) }
}

fn wait(pause: Duration, limits: &Limits<'_>) {
    let end = Instant::now() + pause;
    while !limits.cancel.is_cancelled() && !is_past(limits.until) {
        match end.saturating_duration_since(Instant::now()) {
            Duration::ZERO => return,
            left => std::thread::sleep(left.min(NOTICE)),
        }
    }
}

/// While a machine starts the questions of pins have nobody to be put to: who is there is asked for a passphrase.
pub struct Nobody;

impl Person for Nobody {
    fn confirm(&self, _: &str) -> Result<bool, PersonError> {
        Err(PersonError::NoTerminal)
    }

    fn pin(&self, _: &str, _: &Cancel) -> Result<Secret, PersonError> {
        Err(PersonError::NoTerminal)
    }
}
