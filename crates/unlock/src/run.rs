//! Carrying out a plan: all attempts side by side, the first secret that opens its keyslot wins.

use crate::approvals::approvals;
use crate::binding::Binding;
use crate::estimate::{Budget, LONG, TimeLeft, estimate};
use crate::identity::{Closed, IdentityFault, check_copy};
use crate::plan::{Attempt, Way};
use crate::seal::check_seal;
use crate::seal_fault::SealFault;
use clevis::{Cancel, Name, Opened, Person, PersonError, PinError, Ports, Remark, WrongShare};
use crypto::{Passphrase, Secret, VolumeKey};
use luks::{OpenError, SealState, Slot, open_keyslot};
use std::fmt;
use std::ops::ControlFlow;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use uuid::Uuid;

/// What opened a volume.
#[derive(Debug)]
pub struct Unlocked {
    /// The keyslot.
    pub slot: Slot,
    /// The pin of its binding.
    pub pin: Name,
    /// What the binding gave back.
    pub passphrase: Passphrase,
    /// What that opened.
    pub key: VolumeKey,
    /// The binding, if it was one.
    pub proved: Option<Proved>,
    /// What the seal of the header tells: differences are worth a warning.
    pub seal: SealState,
}

/// A binding that opened, which is what it says: nobody else could have made one that gives its passphrase.
#[derive(Debug)]
pub struct Proved {
    /// The binding.
    pub binding: Binding,
    /// What the content of its JWE is encrypted under.
    pub content_key: Secret,
}

/// What happens while a plan is carried out.
#[derive(Debug)]
pub enum Event<'a> {
    /// An attempt begins.
    Trying(&'a Attempt),
    /// It has failed; others may still be under way.
    Failed(&'a Attempt, &'a AttemptError),
    /// Its policy gave a secret in spite of these shares, which are wrong.
    WrongShares(&'a Attempt, &'a [WrongShare]),
    /// Its policy gave a secret, and there is something to be said.
    Remarks(&'a Attempt, &'a [Remark]),
    /// Its secret opened its keyslot.
    Opened(&'a Attempt),
}

/// Why one attempt did not open the volume.
#[derive(Debug)]
pub enum AttemptError {
    /// The pin gave no secret.
    Pin(PinError),
    /// The secret does not open the keyslot: the binding is stale, or the slot was changed.
    Slot(OpenError),
    /// The volume was opened, and its header is not as it was sealed.
    Seal(SealFault),
    /// It is not the volume that it should be.
    Identity(IdentityFault),
    /// There was no time left for its keyslot, which takes about so long.
    NoTime(Duration),
}

/// Nothing opened the volume: every attempt with its reason, the most telling first. There may have been no attempt at all.
#[derive(Debug)]
pub struct Failed {
    /// What was tried.
    pub tried: Vec<(Attempt, AttemptError)>,
}

/// Tries all attempts at once, each in a thread of its own; returns soon after the first that opens its keyslot, when the
/// others have noticed that they are cancelled. Of several answers the one whose keyslot takes the shortest comes first; one that takes
/// very long waits for others that are still out, but no longer than it takes itself and not until it is too late; one that takes longer
/// than all the time that is left comes last, and only one. A volume whose seal is not right stays closed; one that is not the volume that
/// is expected gets nothing, and ends all other attempts.
///
/// # Errors
/// [`Failed`] when the last attempt has failed.
pub fn run(
    plan: Vec<Attempt>,
    closed: &Closed<'_>,
    ports: &Ports<'_>,
    left: &TimeLeft<'_>,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<Unlocked, Failed> {
    first(plan, closed, ports, left, on_event, &|attempt, answer| {
        let opened = try_slot(attempt, answer, closed)?;
        let seal = check_seal(closed.header, &opened.key).map_err(AttemptError::Seal)?;
        Ok(Unlocked { seal, ..opened })
    })
}

/// As [`run`], for who is about to seal anew: what the seal says is only told.
///
/// # Errors
/// [`Failed`].
pub fn run_unsealed(
    plan: Vec<Attempt>,
    closed: &Closed<'_>,
    ports: &Ports<'_>,
    left: &TimeLeft<'_>,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<Unlocked, Failed> {
    first(plan, closed, ports, left, on_event, &|attempt, answer| try_slot(attempt, answer, closed))
}

/// Tries all attempts at bindings to their ends: each of them, and what the content of those that open is encrypted under.
pub(crate) fn open_all(
    plan: Vec<Attempt>,
    closed: &Closed<'_>,
    ports: &Ports<'_>,
    left: &TimeLeft<'_>,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Vec<(Binding, Result<Secret, AttemptError>)> {
    let mut results: Vec<Option<Result<Unlocked, AttemptError>>> = plan.iter().map(|_| None).collect();
    let budget = Budget::new(left);
    ask_all(&plan, closed, ports, &budget, on_event, &mut |index, attempt, answer, on_event| {
        let answer = in_time(attempt, answer, closed, ports, &budget);
        let result = answer.and_then(|answer| try_slot(attempt, answer, closed));
        match &result {
            Ok(_) => on_event(Event::Opened(attempt)),
            Err(error) => on_event(Event::Failed(attempt, error)),
        }
        results.get_mut(index).map(|place| place.replace(result));
        ControlFlow::Continue(())
    });
    let told = |(attempt, result): (Attempt, Option<Result<Unlocked, AttemptError>>)| match result? {
        Ok(opened) => opened.proved.map(|proved| (proved.binding, Ok(proved.content_key))),
        Err(error) => attempt.binding().map(|binding| (binding, Err(error))),
    };
    plan.into_iter().zip(results).filter_map(told).collect()
}

/// What one attempt comes to, once its pin has answered.
type Judge<'a> = dyn Fn(&Attempt, Opened) -> Result<Unlocked, AttemptError> + 'a;

/// The first attempt that opens.
fn first(
    plan: Vec<Attempt>,
    closed: &Closed<'_>,
    ports: &Ports<'_>,
    left: &TimeLeft<'_>,
    on_event: &mut dyn FnMut(Event<'_>),
    judge: &Judge<'_>,
) -> Result<Unlocked, Failed> {
    if let Err(fault) = closed.expected.check_header(closed.header.header()) {
        let refused = plan.iter().map(|_| Some(AttemptError::Identity(fault.clone()))).collect();
        return Err(Failed::new(plan, refused));
    }
    let mut errors: Vec<Option<AttemptError>> = plan.iter().map(|_| None).collect();
    let mut opened = None;
    let budget = Budget::new(left);
    ask_all(&plan, closed, ports, &budget, on_event, &mut |index, attempt, answer, on_event| {
        let answer = in_time(attempt, answer, closed, ports, &budget);
        match answer.and_then(|answer| judge(attempt, answer)) {
            Ok(unlocked) => {
                opened = Some(unlocked);
                on_event(Event::Opened(attempt));
                ControlFlow::Break(())
            }
            Err(error) => {
                on_event(Event::Failed(attempt, &error));
                let is_foreign = matches!(&error, AttemptError::Identity(fault) if fault.is_of_volume());
                errors.get_mut(index).map(|place| place.replace(error));
                if is_foreign { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            }
        }
    });
    opened.ok_or_else(|| Failed::new(plan, errors))
}

/// What a pin gave, if there is time for its keyslot.
fn in_time(
    attempt: &Attempt,
    answer: Result<Opened, AttemptError>,
    closed: &Closed<'_>,
    ports: &Ports<'_>,
    budget: &Budget<'_>,
) -> Result<Opened, AttemptError> {
    let answer = answer?;
    let takes = estimate(closed.header, attempt.slot);
    match () {
        () if ports.cancel.is_cancelled() => Err(AttemptError::Pin(PinError::Cancelled)),
        () if !budget.allows(takes) => Err(AttemptError::NoTime(takes)),
        () => Ok(answer),
    }
}

/// Takes the answer of one attempt.
type Take<'a> =
    dyn FnMut(usize, &Attempt, Result<Opened, AttemptError>, &mut dyn FnMut(Event<'_>)) -> ControlFlow<()> + 'a;

/// Asks the pins of all attempts at once, and hands their answers over as they come; a break cancels those that are left.
fn ask_all(
    plan: &[Attempt],
    closed: &Closed<'_>,
    ports: &Ports<'_>,
    budget: &Budget<'_>,
    on_event: &mut dyn FnMut(Event<'_>),
    take: &mut Take<'_>,
) {
    let cancel = ports.cancel.child();
    let (approvals, _) = approvals(closed.header.header());
    let ports = Ports { cancel: &cancel, approvals: &approvals, ..*ports };
    let allowed = allowed(plan, closed, &ports, on_event, take);
    thread::scope(|scope| {
        let (sender, answers) = mpsc::channel();
        for (index, attempt) in allowed {
            on_event(Event::Trying(attempt));
            let person = ForKeyslot { person: ports.person, slot: attempt.slot, volume: closed.header.header().uuid() };
            let (answer, ports) = (sender.clone(), &ports);
            // A receiver that is gone has its answer already.
            let ask = move || drop(answer.send((index, ask(attempt, &Ports { person: &person, ..*ports }))));
            if let Err(error) = thread::Builder::new().spawn_scoped(scope, ask) {
                drop(sender.send((index, Err(AttemptError::Pin(PinError::Thread(error))))));
            }
        }
        drop(sender);
        let mut waiting = Vec::new();
        let takes = |index: usize| plan.get(index).map_or(Duration::ZERO, |a| estimate(closed.header, a.slot));
        while let Some((index, answer)) = next(&answers, &mut waiting, &takes, budget) {
            let Some(attempt) = plan.get(index) else { continue };
            if let Ok(Opened { wrong, remarks, .. }) = &answer {
                tell_of(attempt, wrong, remarks, on_event);
            }
            if take(index, attempt, answer, on_event).is_break() {
                cancel.cancel();
                return;
            }
        }
    });
}

/// A person who is told which keyslot a PIN is for: there may be several, and the TPM counts wrong ones.
struct ForKeyslot<'a> {
    person: &'a dyn Person,
    slot: Slot,
    volume: Uuid,
}

impl Person for ForKeyslot<'_> {
    fn confirm(&self, question: &str) -> Result<bool, PersonError> {
        self.person.confirm(question)
    }

    fn pin(&self, question: &str, cancel: &Cancel) -> Result<Secret, PersonError> {
        self.person.pin(&format!("Keyslot {} of {}: {question}", self.slot, self.volume), cancel)
    }
}

/// The attempts that may be made. The others have failed before anything else is heard: an alarm is not lost because something opens.
fn allowed<'p>(
    plan: &'p [Attempt],
    closed: &Closed<'_>,
    ports: &Ports<'_>,
    on_event: &mut dyn FnMut(Event<'_>),
    take: &mut Take<'_>,
) -> Vec<(usize, &'p Attempt)> {
    let mut allowed = Vec::new();
    for (index, attempt) in plan.iter().enumerate() {
        match closed.expected.check_parents(closed.header.header(), attempt, ports.pins) {
            Ok(()) => allowed.push((index, attempt)),
            // It is about this attempt alone, so it ends no others.
            Err(fault) => drop(take(index, attempt, Err(AttemptError::Identity(fault)), on_event)),
        }
    }
    allowed
}

fn tell_of(attempt: &Attempt, wrong: &[WrongShare], remarks: &[Remark], on_event: &mut dyn FnMut(Event<'_>)) {
    if !wrong.is_empty() {
        on_event(Event::WrongShares(attempt, wrong));
    }
    if !remarks.is_empty() {
        on_event(Event::Remarks(attempt, remarks));
    }
}

/// The passphrase of an attempt's keyslot.
fn ask(attempt: &Attempt, ports: &Ports<'_>) -> Result<Opened, AttemptError> {
    let opened = match &attempt.way {
        Way::Policy(jwe) => clevis::open(jwe, ports),
        Way::Systemd(tpm2) => tpm2.open(ports),
        Way::Refused(why) => Err(PinError::Unopened(*why)),
    };
    opened.map_err(AttemptError::Pin)
}

/// An attempt by its place in the plan, and its answer.
type Answered = (usize, Result<Opened, AttemptError>);

/// The answer whose keyslot takes the shortest, of those that are there. One that takes very long waits for others first, yet what never
/// answers must not cost the volume the answer that opens it.
fn next(
    answers: &mpsc::Receiver<Answered>,
    waiting: &mut Vec<Answered>,
    takes: &dyn Fn(usize) -> Duration,
    budget: &Budget<'_>,
) -> Option<Answered> {
    // A failure takes no time.
    let takes = |(index, answer): &Answered| if answer.is_ok() { takes(*index) } else { Duration::ZERO };
    loop {
        waiting.extend(answers.try_iter());
        waiting.sort_by_key(|answered| std::cmp::Reverse((takes(answered), answered.0)));
        let Some(shortest) = waiting.last().map(takes) else {
            waiting.push(answers.recv().ok()?);
            continue;
        };
        if shortest <= LONG {
            return waiting.pop();
        }
        let answer = match budget.may_wait(shortest) {
            Some(time) => answers.recv_timeout(time.min(shortest)).ok(),
            None => answers.recv().ok(),
        };
        match answer {
            Some(answer) => waiting.push(answer),
            None => return waiting.pop(),
        }
    }
}

fn try_slot(attempt: &Attempt, opened: Opened, closed: &Closed<'_>) -> Result<Unlocked, AttemptError> {
    let Closed { disk, header, expected } = *closed;
    let passphrase = Passphrase::new(opened.secret);
    let slot = attempt.slot;
    let key = open_keyslot(disk, header, slot, &passphrase).map_err(AttemptError::Slot)?;
    let identity = expected.check(header.header(), &key);
    let copy = || attempt.binding().map_or(Ok(()), |binding| check_copy(&binding, &key));
    identity.and_then(|()| copy()).map_err(AttemptError::Identity)?;
    let pin = attempt.pin().map_err(AttemptError::Pin)?;
    let proved = attempt.binding().map(|binding| Proved { binding, content_key: opened.key });
    let seal = header.seal_state(&key);
    Ok(Unlocked { slot, pin, passphrase, key, proved, seal })
}

impl Failed {
    fn new(plan: Vec<Attempt>, errors: Vec<Option<AttemptError>>) -> Failed {
        let mut tried: Vec<_> = plan.into_iter().zip(errors).filter_map(|(a, e)| Some((a, e?))).collect();
        // A stable sort: equally telling reasons stay in ascending order of keyslots.
        tried.sort_by_key(|(_, error)| std::cmp::Reverse(error.telling()));
        Failed { tried }
    }

    /// One thing to do about it.
    pub fn hint(&self) -> String {
        match self.tried.first() {
            None => "bind a keyslot first: `cotter luks bind -d DEVICE PIN CFG`".into(),
            Some((attempt, error)) => attempt_hint(attempt, error),
        }
    }
}

/// One thing to do about it. What systemd has enrolled nobody else seals anew.
fn attempt_hint(attempt: &Attempt, error: &AttemptError) -> String {
    match (&attempt.way, error) {
        (Way::Systemd(tpm2), AttemptError::Pin(error)) if error.is_stale() => {
            let renewal = tpm2.renewal();
            format!(
                "open the volume with a passphrase, and if the change was meant, have systemd renew the keyslot: `{renewal} DEVICE`"
            )
        }
        _ => error.hint(),
    }
}

impl AttemptError {
    /// How much the reason says; a binding that cannot work any more says more than a network that is down.
    fn telling(&self) -> u8 {
        match self {
            AttemptError::Identity(_) => u8::MAX,
            AttemptError::Seal(_) => u8::MAX - 1,
            AttemptError::Slot(_) => u8::MAX - 2,
            // Its policy was met: more than can be said of a server that is down.
            AttemptError::NoTime(_) => u8::MAX - 3,
            AttemptError::Pin(error) => error.weight(),
        }
    }

    /// One thing to do about it.
    pub fn hint(&self) -> String {
        match self {
            AttemptError::Slot(_) => {
                "remove the stale binding and bind anew: `cotter luks unbind`, `cotter luks bind`".into()
            }
            AttemptError::Pin(error) => error.hint(),
            AttemptError::Seal(fault) => fault.hint().into(),
            AttemptError::Identity(fault) => fault.hint().into(),
            AttemptError::NoTime(_) => {
                "give it more time, if the keyslot is known to be yours: --timeout SECONDS".into()
            }
        }
    }
}

impl fmt::Display for AttemptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AttemptError::Pin(_) => f.write_str("the policy gave no passphrase"),
            AttemptError::Slot(_) => f.write_str("the policy's passphrase does not open the keyslot"),
            AttemptError::NoTime(takes) => {
                write!(f, "there was no time left for the keyslot, which takes some {:.1} s", takes.as_secs_f64())
            }
            AttemptError::Seal(_) => f.write_str("the volume is not used, though its policy was met"),
            AttemptError::Identity(_) => f.write_str("the volume is not used"),
        }
    }
}

impl std::error::Error for AttemptError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            AttemptError::Pin(source) => Some(source),
            AttemptError::Slot(source) => Some(source),
            AttemptError::Seal(source) => Some(source),
            AttemptError::Identity(source) => Some(source),
            AttemptError::NoTime(_) => None,
        }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tried.len() {
            0 => f.write_str("no keyslot of this volume is bound"),
            1 => f.write_str("the one binding did not open the volume"),
            n => write!(f, "none of the {n} bindings opened the volume"),
        }
    }
}

impl std::error::Error for Failed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.tried.first().map(|(_, error)| error as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(index: usize, opens: bool) -> Answered {
        let opened = || Opened::new(Secret::new(vec![]), Secret::new(vec![]));
        (index, if opens { Ok(opened()) } else { Err(AttemptError::Pin(PinError::Cancelled)) })
    }

    fn takes(seconds: &[u64]) -> impl Fn(usize) -> Duration {
        |index| Duration::from_secs(seconds[index])
    }

    /// Answers that bring a secret, or none, in the order in which they are taken.
    fn order(arrived: &[(usize, bool)], seconds: &[u64]) -> Vec<usize> {
        let (sender, answers) = mpsc::channel();
        for (index, opens) in arrived {
            assert!(sender.send(answer(*index, *opens)).is_ok());
        }
        drop(sender);
        let (mut waiting, takes) = (Vec::new(), takes(seconds));
        let budget = Budget::new(&|| Duration::MAX);
        std::iter::from_fn(|| next(&answers, &mut waiting, &takes, &budget)).map(|(index, _)| index).collect()
    }

    #[test]
    fn the_shortest_derivation_comes_first_and_a_very_long_one_last() {
        assert_eq!(order(&[(0, true), (1, true), (2, true)], &[600, 2, 1]), [2, 1, 0]);
        assert_eq!(order(&[(2, true), (1, true), (0, true)], &[1, 1, 1]), [0, 1, 2]);
        assert_eq!(order(&[(0, true), (1, false)], &[600, 600]), [1, 0], "what failed takes no time");
    }

    /// A server that never answers holds its end for ever; a keyslot that takes long is tried while there is still time for it.
    #[test]
    fn a_long_derivation_does_not_wait_until_it_is_too_late() {
        let (sender, answers) = mpsc::channel();
        assert!(sender.send(answer(0, true)).is_ok());
        let left = || Duration::from_millis(900_010);
        let budget = Budget::new(&left);
        assert_eq!(next(&answers, &mut Vec::new(), &takes(&[600]), &budget).map(|(index, _)| index), Some(0));
        assert!(budget.allows(Duration::from_secs(600)), "half of it was still there");
    }

    #[test]
    fn what_cannot_be_done_in_time_comes_last_and_only_once() {
        let (sender, answers) = mpsc::channel();
        for index in [0, 1, 2] {
            assert!(sender.send(answer(index, true)).is_ok());
        }
        drop(sender);
        let left = || Duration::from_secs(9);
        let (mut waiting, budget) = (Vec::new(), Budget::new(&left));
        let takes = takes(&[10, 11, 1]);
        let mut order =
            || next(&answers, &mut waiting, &takes, &budget).map(|(index, _)| (index, budget.allows(takes(index))));
        assert_eq!([order(), order(), order(), order()], [Some((2, true)), Some((0, true)), Some((1, false)), None]);
        assert!(!Budget::new(&left).allows(Duration::from_secs(121)), "nobody waits so long");
    }
}
