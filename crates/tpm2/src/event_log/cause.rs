//! What a PCR held before, found without a record of it: by leaving out events of this boot until the value fits.

use super::read::{Event, EventLog};
use super::replay::{extended, first_value};
use crypto::Hash;

/// systemd extends PCR 11 with these words while a system starts and stops (systemd-pcrphase.service(8)).
const PHASES: [&str; 6] = ["enter-initrd", "leave-initrd", "sysinit", "ready", "shutdown", "final"];
/// The PCR.
const PCR_PHASES: u8 = 11;
/// With more events than this no single one is left out: that costs their square.
const MOST_LEFT_OUT: usize = 512;

/// A value that a PCR had with less in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause<'a> {
    /// The value.
    pub value: Vec<u8>,
    /// The events without which it has it. None: all of the log leads to it, and something later has extended the PCR.
    pub events: Vec<&'a Event>,
}

impl EventLog {
    /// The events whose absence makes the PCR hold what `fits`: those at the end, or a single one.
    pub fn cause(&self, bank: Hash, pcr: u8, fits: impl Fn(&[u8]) -> bool) -> Option<Cause<'_>> {
        let events: Vec<&Event> = self.of_pcr(pcr).collect();
        let digests: Vec<&[u8]> = events.iter().map(|event| event.digest(bank)).collect::<Option<_>>()?;
        let first = || first_value(bank, pcr, self.startup_locality);
        let without = |from: usize, count: usize| {
            let (head, tail) =
                (digests.get(..from).unwrap_or_default(), digests.get(from + count..).unwrap_or_default());
            extended(bank, extended(bank, first(), head), tail)
        };
        let cuts = (0..=digests.len()).rev().map(|len| (len, digests.len() - len));
        let singles = (0..digests.len()).rev().map(|at| (at, 1)).filter(|_| digests.len() <= MOST_LEFT_OUT);
        // What is cut off at the end leaves a value that the next shorter one has been on the way to.
        let mut found = cuts.chain(singles).map(|(from, count)| (from, count, without(from, count)));
        let (from, count, value) = found.find(|(_, _, value)| fits(value))?;
        Some(Cause { value, events: events.get(from..from + count).unwrap_or_default().to_vec() })
    }

    /// The words that systemd has extended PCR 11 with since the log, if they lead to the value that it has.
    pub fn phases(&self, bank: Hash, value: &[u8]) -> Option<&'static [&'static str]> {
        let digests: Vec<&[u8]> = self.of_pcr(PCR_PHASES).map(|event| event.digest(bank)).collect::<Option<_>>()?;
        let mut held = extended(bank, first_value(bank, PCR_PHASES, self.startup_locality), &digests);
        for (count, phase) in PHASES.iter().enumerate() {
            if held == value {
                return PHASES.get(..count);
            }
            let word = bank.digest(&[phase.as_bytes()]);
            held = extended(bank, held, &[word.as_ref()]);
        }
        (held == value).then_some(&PHASES)
    }
}
