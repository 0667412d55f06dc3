//! Bindings for what the PCRs will hold: before an update the values after it are accepted too, afterwards those of before no longer.
//!
//! A signed policy needs its signer alone; what is sealed stays as it is. The values of any other are in what is sealed, so it is bound anew,
//! by the TPM while the old values hold or by a person's passphrase.

use crate::bind::{BindError, Prepared};
use crate::binding::Binding;
use crate::parts::each_part;
use crate::rebind;
use crate::run::Unlocked;
use clevis::measured::PcrDigests;
use clevis::{Approval, ApprovalError, Config, Counter, PcrState, Ports, SignedPolicy};
use jose::{Jwk, b64};
use json::{Object, Value};
use std::fmt;

/// Most sets of values that a binding accepts: a policy has no more branches.
pub const MOST_SETS: usize = 8;

/// What becomes of the values that are accepted now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Old {
    /// They stay.
    Keep,
    /// Those that are not wanted go.
    Drop,
    /// Those go that were approved before the boot that runs now was, the first wanted one; what was approved since may be the next one.
    Before,
}

/// The approvals of a header after a change.
#[derive(Debug)]
pub struct Approved {
    /// All of them.
    pub approvals: Vec<Approval>,
    /// How many are new.
    pub added: usize,
    /// How many are gone.
    pub dropped: usize,
    /// Of those, how many the counter had passed already: they were revoked, and are not signed anew.
    pub passed: usize,
}

/// Where the counter of a policy stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// Now: what is good for less long opens nothing any more.
    pub now: u64,
    /// Until where the approvals are to be good. It is `now`, or further if the counter is to go on when they are written.
    pub until: u64,
}

/// Why a binding cannot be made for other values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotResealed {
    /// It would accept more than eight sets.
    TooMany,
    /// There is more than one part that has values, or none: which one is meant is not known.
    WhichPart,
}

/// Approves `wanted` for a policy, beside the approvals that are there. An approval is good until the counter of the policy, if it has one,
/// has counted further than it says. Those of before that are not good until `count.until` are signed anew if they stay, and those that the
/// counter has passed already do not stay, unless they are wanted: they were revoked, and whoever has put them back is not their signer. The new
/// ones come first.
///
/// # Errors
/// [`ApprovalError`]; [`ApprovalError::NotASigner`] if the policy is for another key, [`ApprovalError::NoCount`] if it has a counter and `count`
/// is not given.
pub fn approve_values(
    there: &[Approval],
    policy: &SignedPolicy,
    key: &Jwk,
    wanted: &[PcrState],
    (old, count): (Old, Option<Count>),
) -> Result<Approved, ApprovalError> {
    if key.point() != Some(&policy.key) {
        return Err(ApprovalError::NotASigner);
    }
    if policy.counter.is_some() && count.is_none() {
        return Err(ApprovalError::NoCount);
    }
    let (ours, others): (Vec<&Approval>, Vec<&Approval>) =
        there.iter().partition(|approval| policy.is_meant_by(approval));
    let this_boot = ours.iter().position(|approval| wanted.first() == Some(approval.values()));
    let is_passed = |approval: &Approval| !is_good(approval, count.map(|count| count.now));
    let stays = |place: usize, approval: &Approval| {
        let newer = this_boot.is_some_and(|of_now| place < of_now);
        let of_before = old == Old::Keep || (old == Old::Before && newer);
        wanted.contains(approval.values()) || (of_before && !is_passed(approval))
    };
    let mut values: Vec<&PcrState> =
        wanted.iter().rev().filter(|value| ours.iter().all(|approval| approval.values() != *value)).collect();
    for (place, approval) in ours.iter().enumerate() {
        if stays(place, approval) && !values.contains(&approval.values()) {
            values.push(approval.values());
        }
    }
    let passed = ours.iter().filter(|one| is_passed(one) && !values.contains(&one.values())).count();
    let until = count.map(|count| count.until);
    let mut approvals: Vec<Approval> = Vec::new();
    let (mut added, mut kept) = (0, 0);
    for value in values {
        if let Some(approval) = ours.iter().find(|one| one.values() == value && is_good(one, until)) {
            kept += 1;
            approvals.push((*approval).clone());
        } else {
            added += 1;
            let counter = policy.counter.clone().zip(until).map(|(counter, value)| Counter { value, ..counter });
            approvals.push(Approval::sign(key, &policy.reference, value.clone(), counter)?);
        }
    }
    approvals.extend(others.into_iter().cloned());
    Ok(Approved { approvals, added, dropped: ours.len() - kept, passed })
}

/// Whether these values are approved for a policy by its key, and still are when its counter, if it has one, stands at `count`. What has a
/// counter is not approved if nobody knows that.
pub fn is_approved(there: &[Approval], policy: &SignedPolicy, values: &PcrState, count: Option<u64>) -> bool {
    let is_one = |one: &Approval| one.values() == values && policy.is_meant_by(one) && is_good(one, count);
    there.iter().any(is_one)
}

/// Whether the counter of its policy has not passed an approval, if it stands at `count`.
fn is_good(approval: &Approval, count: Option<u64>) -> bool {
    approval.counter().is_none_or(|until| count.is_some_and(|count| until.value >= count))
}

/// The sets that a binding accepts after a change: those of before, unless they are to go and are not wanted, and the wanted ones.
///
/// # Errors
/// [`NotResealed::TooMany`].
pub fn sets(before: &[PcrDigests], wanted: &[PcrDigests], old: Old) -> Result<Vec<PcrDigests>, NotResealed> {
    let mut sets: Vec<PcrDigests> =
        before.iter().filter(|set| old == Old::Keep || wanted.contains(set)).cloned().collect();
    for set in wanted {
        if !sets.contains(set) {
            sets.push(set.clone());
        }
    }
    if sets.len() > MOST_SETS { Err(NotResealed::TooMany) } else { Ok(sets) }
}

/// The configuration of a binding that accepts these sets: `config` with other values in its only part of the pin `cotter-tpm2`.
///
/// # Errors
/// [`NotResealed::WhichPart`].
pub fn with_sets(pin: &str, config: &Config, bank: &str, sets: &[PcrDigests]) -> Result<Value, NotResealed> {
    let mut value = config.field().value().clone();
    match each_part(pin, &mut value, &mut |members| values(members, bank, sets)) {
        1 => Ok(value),
        _ => Err(NotResealed::WhichPart),
    }
}

fn values(members: &mut Object, bank: &str, sets: &[PcrDigests]) {
    let Some((first, more)) = sets.split_first() else { return };
    members.insert("pcr_bank", bank);
    members.insert("pcr_digest", b64::encode(&first.values().flatten().copied().collect::<Vec<u8>>()));
    members.remove("accept");
    if !more.is_empty() {
        let more: Vec<Value> = more.iter().map(|set| clevis::measured::digests_to_json(set).into()).collect();
        members.insert("accept", more);
    }
}

/// Prepares the same policy with other values in the place of `binding`. Unlike [`crate::edit`] it need not be met now: the latch may be shut,
/// and the values those of another boot. What does not open was at least sealed by this TPM. The configuration that it keeps has no values,
/// so that [`crate::regen`] seals to what the PCRs hold by then.
///
/// # Errors
/// As [`crate::edit`].
pub fn reseal(
    binding: &Binding,
    opened: Option<&Unlocked>,
    (pin, config): (&str, &Config),
    ports: &Ports<'_>,
) -> Result<Prepared, BindError> {
    rebind::ahead(binding, opened, pin, config, ports)
}

impl fmt::Display for NotResealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotResealed::TooMany => "a binding accepts at most 8 sets of values",
            NotResealed::WhichPart => "it has not exactly one part of the pin cotter-tpm2",
        })
    }
}

impl std::error::Error for NotResealed {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crypto::SystemRandom;
    use crypto::ec::Curve;
    use tpm2::{Bank, NvIndex, PcrSelection};

    fn bank() -> Bank {
        Bank::from_name("sha256").unwrap()
    }

    fn state(byte: u8) -> PcrState {
        PcrState::split(&PcrSelection::new(bank(), [4, 7]).unwrap(), &[byte; 64]).unwrap()
    }

    fn set(byte: u8) -> PcrDigests {
        PcrDigests::from([(4, vec![byte; 32]), (7, vec![byte; 32])])
    }

    fn policy(key: &Jwk, counter: bool) -> SignedPolicy {
        let counter = counter.then(|| Counter {
            index: NvIndex::new(0x0180_0000).unwrap(),
            name: [&[0, 0x0b][..], &[1; 32]].concat(),
            value: 1,
        });
        let selection = PcrSelection::new(bank(), [4, 7]).unwrap();
        SignedPolicy { key: key.point().unwrap().clone(), reference: "boot".into(), selection, counter }
    }

    fn values(approved: &Approved) -> Vec<u8> {
        approved.approvals.iter().map(|approval| approval.values().concatenated()[0]).collect()
    }

    #[test]
    fn new_values_are_approved_and_old_ones_go_when_they_are_told_to() {
        let key = Jwk::signing(Curve::P256, &SystemRandom).unwrap();
        let stranger = Jwk::signing(Curve::P256, &SystemRandom).unwrap();
        let foreign = Approval::sign(&stranger, "boot", state(9), None).unwrap();
        let other = Approval::sign(&key, "other", state(8), None).unwrap();
        let there = [foreign, other, Approval::sign(&key, "boot", state(1), None).unwrap()];
        let policy = policy(&key, false);
        let after = approve_values(&there, &policy, &key, &[state(1), state(2)], (Old::Keep, None)).unwrap();
        assert_eq!((values(&after), after.added, after.dropped), (vec![2, 1, 9, 8], 1, 0));
        let again = approve_values(&after.approvals, &policy, &key, &[state(2)], (Old::Drop, None)).unwrap();
        assert_eq!((values(&again), again.added, again.dropped), (vec![2, 9, 8], 0, 1));
        let wrong = approve_values(&there, &policy, &stranger, &[state(3)], (Old::Keep, None));
        assert!(matches!(wrong, Err(ApprovalError::NotASigner)));
    }

    /// What was approved before this boot goes, what may be the next one stays, and the newest come first.
    #[test]
    fn what_was_approved_before_this_boot_goes_by_itself() {
        let key = Jwk::signing(Curve::P256, &SystemRandom).unwrap();
        let policy = policy(&key, false);
        let there = [5, 4, 3, 2].map(|byte| Approval::sign(&key, "boot", state(byte), None).unwrap());
        let before = |now: u8, next: u8| {
            let after = approve_values(&there, &policy, &key, &[state(now), state(next)], (Old::Before, None)).unwrap();
            (values(&after), after.added, after.dropped)
        };
        assert_eq!(before(4, 6), (vec![6, 5, 4], 1, 2));
        assert_eq!(before(4, 2), (vec![5, 4, 2], 0, 1), "the next one may be an old one");
        assert_eq!(before(9, 6), (vec![6, 9], 2, 4));
    }

    /// Whoever reseals once more does not know what was revoked before, so it stays so, whatever becomes of the others.
    #[test]
    fn what_was_revoked_is_not_signed_anew_unless_it_is_wanted() {
        let key = Jwk::signing(Curve::P256, &SystemRandom).unwrap();
        let policy = policy(&key, true);
        let until = |value: u64| policy.counter.clone().map(|counter| Counter { value, ..counter });
        let there = [(5, 3), (4, 4), (3, 4)];
        let there = there.map(|(byte, at)| Approval::sign(&key, "boot", state(byte), until(at)).unwrap());
        let check = |wanted: [u8; 2], old: Old, until: u64, expected: (Vec<u8>, usize, usize, usize)| {
            let count = Some(Count { now: 4, until });
            let after = approve_values(&there, &policy, &key, &wanted.map(state), (old, count)).unwrap();
            let is_good = |one: &Approval| one.counter().unwrap().value == until;
            assert!(after.approvals.iter().all(is_good), "{old:?} {until}");
            let found = (values(&after), after.added, after.dropped, after.passed);
            assert_eq!(found, expected, "{wanted:?} {old:?} {until}");
        };
        check([4, 6], Old::Keep, 4, (vec![6, 4, 3], 1, 1, 1));
        check([4, 6], Old::Keep, 5, (vec![6, 4, 3], 3, 3, 1));
        check([4, 6], Old::Drop, 4, (vec![6, 4], 1, 2, 1));
        check([3, 6], Old::Before, 4, (vec![6, 4, 3], 1, 1, 1));
        check([3, 6], Old::Before, 5, (vec![6, 4, 3], 3, 3, 1));
        check([4, 5], Old::Keep, 4, (vec![5, 4, 3], 1, 1, 0));
    }

    #[test]
    fn values_are_approved_by_the_key_for_the_purpose_and_for_the_counter() {
        let key = Jwk::signing(Curve::P256, &SystemRandom).unwrap();
        let stranger = Jwk::signing(Curve::P256, &SystemRandom).unwrap();
        let policy = policy(&key, true);
        let counter = policy.counter.clone().unwrap();
        let renamed = Counter { name: [&[0, 0x0b][..], &[2; 32]].concat(), ..counter.clone() };
        let approved = |by: &Jwk, reference: &str, counter: Option<&Counter>, count: Option<u64>| {
            let there = [Approval::sign(by, reference, state(1), counter.cloned()).unwrap()];
            is_approved(&there, &policy, &state(1), count)
        };
        let is = |by: &Jwk, reference: &str, counter: Option<&Counter>, count: u64| {
            approved(by, reference, counter, Some(count))
        };
        assert!(is(&key, "boot", Some(&counter), 1));
        assert!(!is(&key, "boot", Some(&counter), 2), "the counter has passed it");
        assert!(!is(&key, "boot", Some(&renamed), 1) && !is(&key, "boot", None, 1));
        assert!(!approved(&key, "boot", Some(&counter), None), "where the counter stands is not known");
        let unknown = approve_values(&[], &policy, &key, &[state(1)], (Old::Keep, None));
        assert!(matches!(unknown, Err(ApprovalError::NoCount)), "it would open nothing");
        assert!(!is(&key, "other", Some(&counter), 1) && !is(&stranger, "boot", Some(&counter), 1));
    }

    /// With a counter all are signed for its next number, and what was copied before is worth nothing once it has counted.
    #[test]
    fn a_counter_that_goes_on_has_everything_signed_anew() {
        let key = Jwk::signing(Curve::P256, &SystemRandom).unwrap();
        let policy = policy(&key, true);
        let at = |now: u64, until: u64| (Old::Keep, Some(Count { now, until }));
        let first = approve_values(&[], &policy, &key, &[state(1)], at(4, 4)).unwrap();
        let same = approve_values(&first.approvals, &policy, &key, &[state(1)], at(4, 4)).unwrap();
        assert_eq!((same.added, same.dropped), (0, 0));
        let next = approve_values(&first.approvals, &policy, &key, &[state(2)], at(4, 5)).unwrap();
        assert_eq!((values(&next), next.added, next.dropped), (vec![2, 1], 2, 1));
        assert!(next.approvals.iter().all(|approval| approval.counter().unwrap().value == 5));
    }

    #[test]
    fn at_most_eight_sets_are_accepted() {
        let eight: Vec<PcrDigests> = (0..8).map(set).collect();
        assert_eq!(sets(&eight, &[set(3)], Old::Keep).unwrap().len(), 8);
        assert_eq!(sets(&eight, &[set(8)], Old::Keep), Err(NotResealed::TooMany));
        assert_eq!(sets(&eight, &[set(8), set(3)], Old::Drop).unwrap(), [set(3), set(8)]);
    }

    #[test]
    fn the_sets_go_into_the_only_part_that_has_values() {
        let config = |text: &str| Config::parse(text.as_bytes()).unwrap();
        let put = |pin: &str, text: &str| {
            with_sets(pin, &config(text), bank().name(), &[set(1), set(2)]).map(|value| value.to_compact().to_string())
        };
        let two = put("cotter-tpm2", r#"{"pcr_ids":"4,7","latch":15,"accept":[]}"#).unwrap();
        let digest = b64::encode(&[1; 64]);
        assert!(
            two.contains(&format!(r#""pcr_digest":"{digest}""#)) && two.contains(r#""accept":[{"4":"0202"#),
            "{two}"
        );
        let inside = put("sss", r#"{"t":2,"pins":{"tang":{"url":"x"},"cotter-tpm2":[{"pcr_ids":"4,7"}]}}"#).unwrap();
        assert!(inside.contains(r#""tang":{"url":"x"}"#) && inside.contains("pcr_digest"), "{inside}");
        assert_eq!(put("tang", r#"{"url":"x"}"#), Err(NotResealed::WhichPart));
        let several = r#"{"t":1,"pins":{"cotter-tpm2":[{"pcr_ids":"4,7"},{"pcr_ids":"7"}]}}"#;
        assert_eq!(put("sss", several), Err(NotResealed::WhichPart));
    }
}
