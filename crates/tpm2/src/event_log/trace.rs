//! Which event it was: the digests of one boot, cut short to be kept, against the events of a later one.

use super::read::{Event, EventLog};
use crypto::Hash;

/// Bytes of a digest that are kept: enough to tell two events apart, and not meant to prove anything.
const KEPT: usize = 4;

/// What extended one PCR, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace(Vec<[u8; KEPT]>);

/// What is another than it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved<'a> {
    /// The events that have come, or that say something else than before.
    pub events: Vec<&'a Event>,
    /// How many stood in their place.
    pub before: usize,
}

impl Trace {
    /// Reads what [`Trace::to_bytes`] wrote. `None` if it is no such thing.
    pub fn read(bytes: &[u8]) -> Option<Trace> {
        let (steps, rest) = bytes.as_chunks::<KEPT>();
        rest.is_empty().then(|| Trace(steps.to_vec()))
    }

    /// Four bytes an event.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.concat()
    }
}

impl EventLog {
    /// What extends this PCR. `None` if an event has no digest for the bank.
    pub fn trace(&self, bank: Hash, pcr: u8) -> Option<Trace> {
        self.of_pcr(pcr).map(|event| kept(event, bank)).collect::<Option<_>>().map(Trace)
    }

    /// What of this PCR is another than in `before`: all between the first event that differs and the last.
    pub fn moved(&self, bank: Hash, pcr: u8, before: &Trace) -> Moved<'_> {
        let events: Vec<&Event> = self.of_pcr(pcr).collect();
        let same = |(event, old): &(&&Event, &[u8; KEPT])| kept(event, bank).as_ref() == Some(*old);
        let head = events.iter().zip(&before.0).take_while(same).count();
        let shorter = events.len().min(before.0.len()) - head;
        let tail = events.iter().rev().zip(before.0.iter().rev()).take(shorter).take_while(same).count();
        let changed = events.len() - head - tail;
        Moved { events: events.into_iter().skip(head).take(changed).collect(), before: before.0.len() - head - tail }
    }
}

fn kept(event: &Event, bank: Hash) -> Option<[u8; KEPT]> {
    event.digest(bank)?.first_chunk().copied()
}
