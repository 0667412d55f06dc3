//! Whether a part holds now, and if not, what moved.

use super::digests::PcrDigests;
use super::part::Part;
use ::tpm2::event_log::{End, Event, EventLog};
use ::tpm2::policy::{Policy, Step};
use ::tpm2::{Bank, PcrSelection};
use std::collections::BTreeSet;

/// What is to be said of a part.
#[derive(Debug, PartialEq, Eq)]
pub struct Explanation<'a> {
    /// Whether it holds.
    pub state: State,
    /// What moved, against the accepted values that are nearest.
    pub moved: Vec<MovedPcr<'a>>,
}

/// Whether a part holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It compares no PCR.
    AnySystem,
    /// The PCRs hold what it accepts.
    Holds,
    /// They do not; which one moved is known.
    Moved,
    /// They do not; the values that would be right are not in the binding, and no single PCR explains it.
    Unnamed,
    /// A signature decides, and none that is known speaks of what the PCRs hold.
    NotApproved,
    /// Its latch was shut in this boot.
    Latched,
    /// It tells neither values nor a digest that they could be compared with.
    Unknown,
}

/// A PCR that holds something else.
#[derive(Debug, PartialEq, Eq)]
pub struct MovedPcr<'a> {
    /// Its number.
    pub pcr: u8,
    /// What it should hold. Nothing if it is known to have moved because it is the only one.
    pub was: Option<Vec<u8>>,
    /// What it holds.
    pub is: Vec<u8>,
    /// What the log says of it.
    pub because: Because<'a>,
}

/// What the log says of a PCR that moved.
#[derive(Debug, PartialEq, Eq)]
pub enum Because<'a> {
    /// These events are there that were not, or say something else than before.
    Events {
        /// Which.
        events: Vec<&'a Event>,
        /// How many stood in their place, if that is known.
        before: Option<usize>,
    },
    /// All of the log leads to the old value: the system has extended it since, as a latch does.
    Later,
    /// Which of its events is another cannot be said; these there are.
    OneOf {
        /// All of them.
        events: Vec<&'a Event>,
    },
    /// There is no log of the boot, or nothing in it that could be read.
    NoLog,
    /// The log does not lead to the value that it has.
    NotExplained {
        /// How the log ends.
        end: End,
    },
}

/// Compares a part with what the PCRs hold. `approved` are the values that signatures which are known speak of.
pub fn explain<'a>(part: &Part, approved: &[PcrDigests], held: &PcrDigests, log: &'a EventLog) -> Explanation<'a> {
    let only = |state| Explanation { state, moved: Vec::new() };
    let first = |pcr| held.get(&pcr).is_none_or(|value| value.iter().all(|byte| *byte == 0));
    if part.latch.is_some_and(|pcr| !first(pcr)) {
        return only(State::Latched);
    }
    let sets = if part.signed { approved } else { &part.accepted };
    let Some((bank, pcrs)) = &part.compares else {
        return only(if part.signed { State::Unknown } else { State::AnySystem });
    };
    if let Some(nearest) = sets.iter().min_by_key(|set| moved(set, held).len()) {
        let pcrs = moved(nearest, held);
        let state = match (pcrs.is_empty(), part.signed) {
            (true, _) => State::Holds,
            (false, true) => State::NotApproved,
            (false, false) => State::Moved,
        };
        let name = |pcr: u8| because(part, *bank, pcr, nearest, held, log);
        return Explanation { state, moved: pcrs.into_iter().filter_map(name).collect() };
    }
    if part.signed {
        return only(State::NotApproved);
    }
    by_digest(part, *bank, pcrs, held, log).unwrap_or_else(|| only(State::Unknown))
}

/// The PCRs of which these say something else.
fn moved(set: &PcrDigests, held: &PcrDigests) -> Vec<u8> {
    set.iter().filter(|(pcr, value)| held.get(pcr) != Some(value)).map(|(pcr, _)| *pcr).collect()
}

fn because<'a>(
    part: &Part,
    bank: Bank,
    pcr: u8,
    set: &PcrDigests,
    held: &PcrDigests,
    log: &'a EventLog,
) -> Option<MovedPcr<'a>> {
    let (was, is) = (set.get(&pcr)?.clone(), held.get(&pcr)?.clone());
    let hash = bank.hash();
    let cause = log.cause(hash, pcr, |value| value == was);
    let explained = log.explains(hash, pcr, &is) == ::tpm2::event_log::Explained::Yes;
    let trace = part.traces.get(&(bank.name().to_owned(), pcr)).filter(|_| explained);
    let because = match (cause, trace) {
        _ if is_none(log) => Because::NoLog,
        (Some(cause), _) if cause.events.is_empty() => led_to_it(log),
        // Four bytes of each event that was there, against those that are.
        (_, Some(trace)) => {
            let moved = log.moved(hash, pcr, trace);
            Because::Events { events: moved.events, before: Some(moved.before) }
        }
        (Some(cause), None) => Because::Events { events: cause.events, before: None },
        (None, None) if explained => Because::OneOf { events: log.of_pcr(pcr).collect() },
        (None, None) => Because::NotExplained { end: log.end },
    };
    Some(MovedPcr { pcr, was: Some(was), is, because })
}

/// Whether nothing can be told from a log. One that is whole and has no event tells that nothing was measured.
fn is_none(log: &EventLog) -> bool {
    log.events.is_empty() && log.end != End::Complete
}

/// All of the log leads to the value of before. If it has no end, what followed is perhaps not in it.
fn led_to_it<'a>(log: &EventLog) -> Because<'a> {
    match log.end {
        End::Complete => Because::Later,
        end => Because::NotExplained { end },
    }
}

/// A policy of which only the digest is known: it fits what is held, or what is held but for one PCR that had less in it.
fn by_digest<'a>(
    part: &Part,
    bank: Bank,
    pcrs: &BTreeSet<u8>,
    held: &PcrDigests,
    log: &'a EventLog,
) -> Option<Explanation<'a>> {
    let sealed = part.sealed.as_ref()?;
    let selection = PcrSelection::new(bank, pcrs.iter().map(|pcr| u64::from(*pcr))).ok()?;
    let fits = |other: Option<(u8, &[u8])>| {
        let value = |pcr: &u8| match other {
            Some((moved, value)) if moved == *pcr => Some(value),
            _ => held.get(pcr).map(Vec::as_slice),
        };
        let values: Option<Vec<&[u8]>> = pcrs.iter().map(value).collect();
        let steps = |values: Vec<&[u8]>| {
            let pcrs = Step::Pcr { selection, values: values.concat() };
            std::iter::once(pcrs).chain(part.pin.then_some(Step::AuthValue)).collect::<Vec<Step>>()
        };
        let policy = values.and_then(|values| Policy::from(steps(values)).digest(sealed.hash()).ok());
        policy.is_some_and(|policy| policy == sealed.policy())
    };
    if fits(None) {
        return Some(Explanation { state: State::Holds, moved: Vec::new() });
    }
    let suspect = |pcr: &u8| {
        let cause = log.cause(bank.hash(), *pcr, |value| fits(Some((*pcr, value))))?;
        let because = match cause.events.as_slice() {
            _ if is_none(log) => Because::NoLog,
            [] => led_to_it(log),
            _ => Because::Events { events: cause.events, before: None },
        };
        Some(MovedPcr { pcr: *pcr, was: Some(cause.value), is: held.get(pcr)?.clone(), because })
    };
    let only = || if pcrs.len() == 1 { pcrs.first().and_then(|pcr| the_only_one(bank, *pcr, held, log)) } else { None };
    Some(match pcrs.iter().find_map(suspect).or_else(only) {
        Some(moved) => Explanation { state: State::Moved, moved: vec![moved] },
        None => Explanation { state: State::Unnamed, moved: Vec::new() },
    })
}

/// The only PCR of a digest that does not fit: it moved, from what nobody knows.
fn the_only_one<'a>(bank: Bank, pcr: u8, held: &PcrDigests, log: &'a EventLog) -> Option<MovedPcr<'a>> {
    let is = held.get(&pcr)?.clone();
    let explained = log.explains(bank.hash(), pcr, &is) == ::tpm2::event_log::Explained::Yes;
    let because = match explained {
        _ if is_none(log) => Because::NoLog,
        true => Because::OneOf { events: log.of_pcr(pcr).collect() },
        false => Because::NotExplained { end: log.end },
    };
    Some(MovedPcr { pcr, was: None, is, because })
}
