//! The search for the secret of one volume: its bindings are tried side by side, each until it opens, never will, or nobody wants it any more.

use super::bell::Bell;
use super::events::one_line;
use super::wire::Wire;
use crate::args::{Ceilings, Device};
use crate::error::CommandError;
use crate::host::Host;
use crate::volume::{self, Disks, reasons};
use block::BlockRead;
use clevis::{Cancel, Deadline, NextStep, Person, PersonError, PinError, Ports, TrustPolicy};
use crypto::Secret;
use linux::{Access, is_past, since_start};
use luks::{Accepted, Slot};
use std::collections::BTreeSet;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
use unlock::{AttemptError, Failed, Unlocked};

/// Between one try and the next, at first and at most, if there are no news.
const PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(2));
/// Between the beginnings of two tries, however many news there are.
const APART: Duration = Duration::from_millis(100);
/// A server that has not answered in time has up to so many times as long in the tries that follow.
const MOST_PATIENT: u32 = 8;

/// Why there is no secret.
enum Closed {
    /// It may be there later.
    Later(String),
    /// It will not; another binding may bring it.
    Never(String),
    /// The volume is not what it should be: nothing is to open it.
    Alarm(String),
}

/// What all searches of a run share.
pub struct Common<'a> {
    pub host: &'a Host,
    pub wire: &'a Wire<'a>,
    pub bell: &'a Bell,
    pub until: Deadline,
    /// For one server's answer, the first time.
    pub try_for: Duration,
    pub ceilings: Ceilings,
}

/// A volume whose secret was found and proved on its keyslot.
pub struct Found {
    /// Its disks.
    pub disks: Disks,
    /// The header that was accepted.
    pub header: Accepted,
    /// What opened it.
    pub unlocked: Unlocked,
    /// In words: `tang http://192.0.2.7`.
    pub by: String,
}

impl Found {
    /// What opened what, and when.
    pub fn said(&self, volume: &str) -> String {
        let now = since_start();
        let short = volume.strip_prefix("/dev/").unwrap_or(volume);
        let (by, slot, after) = (&self.by, self.unlocked.slot, now.as_secs_f64());
        format!("opened: {short} by {by} (keyslot {slot}) {after:.2} s after the start of the machine")
    }
}

/// The secret of the volume, or nothing once it is known that there is none.
pub fn search(device: &Device, common: &Common<'_>, cancel: &Cancel, tell: &dyn Fn(&str)) -> Option<Found> {
    let (disks, header) = closed(device, common, cancel, tell)?;
    let attempts = unlock::plan_all(header.header(), None);
    let slots: BTreeSet<Slot> = attempts.iter().map(|attempt| attempt.slot).collect();
    if slots.is_empty() {
        tell("stays closed: no keyslot is bound; try: a passphrase, then: cotter luks bind");
        return None;
    }
    let unlocked = side_by_side(&disks, &header, slots.into_iter().collect(), common, cancel, tell)?;
    let by = described(&unlocked);
    tell(&format!("keyslot {} opens it: {by}", unlocked.slot));
    Some(Found { disks, header, unlocked, by })
}

/// The volume, once its disk is there.
fn closed(device: &Device, common: &Common<'_>, cancel: &Cancel, tell: &dyn Fn(&str)) -> Option<(Disks, Accepted)> {
    again_and_again(common, cancel, tell, &mut |_| {
        let disks = Disks::open(device, Access::Read).map_err(|error| Closed::Later(one_line(&error)))?;
        let header = disks.accepted_as_expected(&common.ceilings, common.host);
        let header = header.map_err(|error| match error.as_alarm() {
            Some(_) => Closed::Alarm(one_line(&error)),
            None => Closed::Never(one_line(&error)),
        })?;
        if let Some(error) = volume::damaged_meta(header.header()) {
            return Err(Closed::Never(reasons(error)));
        }
        listed(&header, common.host)?;
        Ok((disks, header))
    })
    .ok()
    .flatten()
}

/// A volume that this machine does not expect is not opened without a person.
fn listed(header: &Accepted, host: &Host) -> Result<(), Closed> {
    let expected = host.expected().map_err(|error| Closed::Never(one_line(&error)))?;
    let uuid = header.header().uuid();
    if expected.is_empty() || expected.of(uuid).is_some() {
        return Ok(());
    }
    let hint = "if it is yours, a passphrase opens it; then: cotter luks identity -d DEVICE --add FILE";
    Err(Closed::Alarm(format!("the volume {uuid} is none of those that are expected; try: {hint}")))
}

/// Each keyslot has its own tries: one that waits for the network holds up none whose TPM has just come.
fn side_by_side(
    disks: &Disks,
    header: &Accepted,
    slots: Vec<Slot>,
    common: &Common<'_>,
    cancel: &Cancel,
    tell: &dyn Fn(&str),
) -> Option<Unlocked> {
    let several = slots.len() > 1;
    let cancel = cancel.child();
    thread::scope(|scope| {
        let (sender, answers) = mpsc::channel();
        for slot in slots {
            let (answer, cancel) = (sender.clone(), &cancel);
            let look = move || {
                let lead = if several { format!("keyslot {slot}: ") } else { String::new() };
                let words = |text: &str| drop(answer.send((None, format!("{lead}{text}"))));
                let found = again_and_again(common, cancel, &words, &mut |patience| {
                    attempt(disks, header, slot, common, cancel, patience, &words)
                });
                drop(answer.send((Some(found), String::new())));
            };
            if let Err(error) = thread::Builder::new().spawn_scoped(scope, look) {
                tell(&format!("keyslot {slot}: no thread can be started: {error}"));
            }
        }
        drop(sender);
        let mut unlocked = None;
        for (found, words) in answers {
            match found {
                None if unlocked.is_none() => tell(&words),
                Some(Ok(Some(found))) if unlocked.is_none() => {
                    unlocked = Some(found);
                    cancel.cancel();
                }
                // The volume is not what it should be, whichever keyslot has shown it.
                Some(Err(())) => cancel.cancel(),
                _ => {}
            }
        }
        unlocked
    })
}

/// Tries until it succeeds, nothing more can come of it, or nobody waits. An alarm is an error.
fn again_and_again<T>(
    common: &Common<'_>,
    cancel: &Cancel,
    tell: &dyn Fn(&str),
    go: &mut dyn FnMut(u32) -> Result<T, Closed>,
) -> Result<Option<T>, ()> {
    let (mut pause, mut patience, mut told) = (PAUSE.0, 1, String::new());
    while !cancel.is_cancelled() {
        let (seen, begun) = (common.bell.count(), Instant::now());
        match go(patience) {
            Ok(found) => return Ok(Some(found)),
            Err(_) if cancel.is_cancelled() => break,
            Err(Closed::Alarm(why)) => {
                tell(&format!("stays closed: {why}"));
                return Err(());
            }
            Err(Closed::Never(why)) => {
                tell(&format!("stays closed: {why}"));
                return Ok(None);
            }
            Err(Closed::Later(why)) => {
                if told != why {
                    tell(&format!("not yet: {why}"));
                    told = why;
                }
            }
        }
        common.bell.wait(seen, pause.min(left(common.until)), cancel);
        common.bell.rest(APART.saturating_sub(begun.elapsed()), cancel);
        (pause, patience) = (PAUSE.1.min(pause * 2), MOST_PATIENT.min(patience * 2));
        // What begins now has no time.
        if is_past(common.until) {
            tell("nothing has opened it within the time there was; a passphrase does");
            return Ok(None);
        }
    }
    Ok(None)
}

fn attempt(
    disks: &Disks,
    header: &Accepted,
    slot: Slot,
    common: &Common<'_>,
    cancel: &Cancel,
    patience: u32,
    tell: &dyn Fn(&str),
) -> Result<Unlocked, Closed> {
    let never = |error: CommandError| Closed::Never(one_line(&error));
    let closed = common.host.closed(disks.header() as &dyn BlockRead, header).map_err(never)?;
    let (line, ports) = (common.wire.line(common.try_for * patience), common.host.ports(TrustPolicy::Ask));
    let ports = Ports { net: &line, person: &Nobody, cancel, until: common.until, ..ports };
    let mut on_event = |event: unlock::Event<'_>| {
        if let unlock::Event::WrongShares(_, shares) = event {
            shares.iter().for_each(|share| tell(&share.to_string()));
        }
    };
    let plan = unlock::plan_all(header.header(), Some(slot));
    unlock::run(plan, &closed, &ports, &|| left(common.until), &mut on_event).map_err(|failed| judge(&failed, common))
}

fn left(until: Deadline) -> Duration {
    until.instant().map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()))
}

/// An alarm ends the search, whatever else may come; otherwise it goes on while one of the attempts may still open.
fn judge(failed: &Failed, common: &Common<'_>) -> Closed {
    let why = format!("{}; try: {}", reasons(failed), failed.hint());
    let of_volume = |error: &AttemptError| match error {
        AttemptError::Identity(fault) => fault.is_of_volume(),
        AttemptError::Seal(_) => true,
        _ => false,
    };
    let may_pass = |error: &AttemptError| match error {
        // What answers may not be the server yet: a portal in front of it answers everything.
        AttemptError::Pin(PinError::BadAnswer { .. }) => true,
        AttemptError::Pin(error) => error.next_step() == NextStep::RetryLater,
        AttemptError::NoTime(_) => !is_past(common.until),
        _ => false,
    };
    match () {
        () if failed.tried.iter().any(|(_, error)| of_volume(error)) => Closed::Alarm(why),
        () if failed.tried.iter().any(|(_, error)| may_pass(error)) => Closed::Later(why),
        () => Closed::Never(why),
    }
}

/// What opened it, with the servers that its policy names.
fn described(unlocked: &Unlocked) -> String {
    let jwe = unlocked.proved.as_ref().map(|proved| &proved.binding.jwe);
    let servers = jwe.and_then(|jwe| clevis::servers(jwe, crate::pins::ALL).ok()).unwrap_or_default();
    let urls: Vec<&str> = servers.iter().map(|server| server.url.as_str()).collect();
    let pin = unlocked.pin.as_str();
    if urls.is_empty() { pin.to_owned() } else { format!("{pin} {}", urls.join(" ")) }
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
