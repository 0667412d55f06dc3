//! What the PCRs must hold if the log is right: `PCR = H(PCR ‖ digest)` for each event in turn.

use super::read::{Event, EventLog};
use crypto::Hash;

/// PCRs of a PC.
const PCRS: u8 = 24;

/// A bank as a log makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// The hash.
    pub bank: Hash,
    /// By number; those that no event extends are left out.
    pub pcrs: Vec<(u8, Vec<u8>)>,
}

/// What a log says about a value that a PCR has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Explained {
    /// The events lead to it.
    Yes,
    /// No event extends the PCR, and it has its first value.
    Untouched,
    /// They lead elsewhere: events are missing at the end, or the log is wrong.
    No,
}

impl EventLog {
    /// All PCRs that events extend. An event that has no digest for the bank makes its PCR unknown, and it is left out.
    pub fn replay(&self, bank: Hash) -> Replayed {
        let pcrs = (0..PCRS).filter_map(|pcr| Some((pcr, self.replay_pcr(bank, pcr, self.of_pcr(pcr))?)));
        Replayed { bank, pcrs: pcrs.collect() }
    }

    /// The events that extend this PCR.
    pub fn of_pcr(&self, pcr: u8) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(move |event| event.pcr == u32::from(pcr) && event.extends())
    }

    /// What this log makes of the value that the PCR has.
    pub fn explains(&self, bank: Hash, pcr: u8, value: &[u8]) -> Explained {
        match self.replay_pcr(bank, pcr, self.of_pcr(pcr)) {
            Some(replayed) if replayed == value => Explained::Yes,
            None if self.of_pcr(pcr).next().is_none() && first_value(bank, pcr, 0) == value => Explained::Untouched,
            _ => Explained::No,
        }
    }

    fn replay_pcr<'a>(&self, bank: Hash, pcr: u8, events: impl Iterator<Item = &'a Event>) -> Option<Vec<u8>> {
        let digests: Vec<&[u8]> = events.map(|event| event.digest(bank)).collect::<Option<_>>()?;
        if digests.is_empty() {
            return None;
        }
        Some(extended(bank, first_value(bank, pcr, self.startup_locality), &digests))
    }
}

/// A value extended by these digests.
pub(super) fn extended(bank: Hash, first: Vec<u8>, digests: &[&[u8]]) -> Vec<u8> {
    digests.iter().fold(first, |value, digest| bank.digest(&[&value, digest]).as_ref().to_vec())
}

/// Zeros; ones for those that only a dynamic launch sets to zero (17 to 22); PCR 0 tells who began.
pub(super) fn first_value(bank: Hash, pcr: u8, startup_locality: u8) -> Vec<u8> {
    let mut value = vec![if (17..=22).contains(&pcr) { 0xff } else { 0 }; bank.len()];
    if let (0, Some(last)) = (pcr, value.last_mut()) {
        *last = startup_locality;
    }
    value
}
