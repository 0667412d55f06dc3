//! The one change that closes the worst gap: each change is tried on the policy, and the verdict after it is compared.

use super::judge::{Surroundings, judge};
use super::policy::{Asks, Policy, TokenPin};
use super::threat::{Answer, Threat};
use super::tpm::{Form, Pcrs, Tpm};
use std::fmt;

/// One change, and what it closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advice {
    /// The worst gap of those that a change can close.
    pub gap: Threat,
    /// How well the changed policy stands it.
    pub then: Answer,
    /// What to do.
    pub change: Change,
}

/// What can be changed about a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Leave the parts out that protect nothing.
    DropOpen,
    /// Ask for one more part than now.
    RaiseThreshold,
    /// Let the TPM compare all that boots.
    MeasureBoot,
    /// Ask a key server as well, at another site than those that are there.
    AddServer,
    /// Ask the TPM of the machine as well, with all that boots.
    AddTpm,
    /// Take the PIN of the token out of the binding.
    AskForTokenPin,
    /// Let the TPM ask for a PIN.
    AskForPin,
}

impl Change {
    const ALL: [Change; 7] = [
        Change::DropOpen,
        Change::RaiseThreshold,
        Change::MeasureBoot,
        Change::AddServer,
        Change::AddTpm,
        Change::AskForTokenPin,
        Change::AskForPin,
    ];

    /// What it asks for: nothing but other words, something more to be there, a person at every start.
    fn cost(self) -> u8 {
        match self {
            Change::DropOpen | Change::RaiseThreshold => 0,
            Change::MeasureBoot | Change::AddServer | Change::AddTpm => 1,
            Change::AskForTokenPin | Change::AskForPin => 2,
        }
    }

    /// The policy after it; the same if there is nothing to change.
    fn apply(self, policy: &Policy) -> Policy {
        match self {
            Change::DropOpen => without_open(policy),
            Change::RaiseThreshold => raised(policy),
            Change::AddServer => {
                beside(policy, Policy::Server { host: "another key server".into(), asks: Asks::Nobody })
            }
            Change::AddTpm => {
                beside(policy, Policy::Tpm(Tpm { form: Form::Ours, pcrs: Pcrs::WHOLE_BOOT, ..Tpm::default() }))
            }
            Change::MeasureBoot | Change::AskForTokenPin | Change::AskForPin => leaf_by_leaf(policy, self),
        }
    }
}

/// What to do about the worst gap that one change makes smaller. None if there is no gap, or none that a policy can close: the host
/// of a virtual machine reads its memory in any case.
pub(super) fn advice(policy: &Policy, around: &Surroundings) -> Option<Advice> {
    let now: Vec<(Threat, Answer)> =
        Threat::ALL.into_iter().map(|threat| (threat, judge(policy, threat, around).0)).collect();
    let mut gaps: Vec<_> = now.iter().filter(|(_, answer)| *answer != Answer::Yes).collect();
    // A stable sort: of equal ones the heaviest threat comes first.
    gaps.sort_by_key(|(_, answer)| std::cmp::Reverse(*answer));
    let changed: Vec<(Change, Vec<Answer>)> = Change::ALL
        .into_iter()
        .map(|change| (change, change.apply(policy)))
        .filter(|(_, after)| after != policy)
        .map(|(change, after)| (change, Threat::ALL.map(|threat| judge(&after, threat, around).0).to_vec()))
        .filter(|(_, after)| now.iter().zip(after).all(|((_, before), after)| after <= before))
        .collect();
    gaps.into_iter().find_map(|(gap, answer)| closes(*gap, *answer, &changed))
}

/// The change after which this gap is smallest; of those the one that costs least, and then the one that closes most of the others.
fn closes(gap: Threat, now: Answer, changed: &[(Change, Vec<Answer>)]) -> Option<Advice> {
    let then = |after: &[Answer]| {
        Threat::ALL.iter().zip(after).find(|(threat, _)| **threat == gap).map_or(now, |(_, answer)| *answer)
    };
    let open = |after: &[Answer]| after.iter().map(|answer| u32::from(*answer as u8)).sum::<u32>();
    let better = changed.iter().filter(|(_, after)| then(after) < now);
    let best = better.min_by_key(|(change, after)| (then(after), change.cost(), open(after)))?;
    Some(Advice { gap, then: then(&best.1), change: best.0 })
}

fn beside(policy: &Policy, other: Policy) -> Policy {
    Policy::Threshold { needed: 2, of: vec![policy.clone(), other] }
}

fn without_open(policy: &Policy) -> Policy {
    match policy {
        Policy::Threshold { needed, of } => {
            let kept: Vec<Policy> = of.iter().filter(|part| **part != Policy::Nothing).map(without_open).collect();
            // Of those that are left as many as before; a policy of nothing but open parts stays as it is.
            if kept.is_empty() {
                policy.clone()
            } else {
                Policy::Threshold { needed: (*needed).min(kept.len()), of: kept }
            }
        }
        leaf => leaf.clone(),
    }
}

fn raised(policy: &Policy) -> Policy {
    match policy {
        Policy::Threshold { needed, of } if *needed < of.len() => {
            Policy::Threshold { needed: needed + 1, of: of.clone() }
        }
        other => other.clone(),
    }
}

fn leaf_by_leaf(policy: &Policy, change: Change) -> Policy {
    match (policy, change) {
        (Policy::Threshold { needed, of }, _) => {
            Policy::Threshold { needed: *needed, of: of.iter().map(|part| leaf_by_leaf(part, change)).collect() }
        }
        (Policy::Tpm(tpm), Change::MeasureBoot) => Policy::Tpm(Tpm { pcrs: tpm.pcrs.union(Pcrs::WHOLE_BOOT), ..*tpm }),
        (Policy::Tpm(tpm), Change::AskForPin) => Policy::Tpm(Tpm { form: Form::Ours, pin: true, ..*tpm }),
        (Policy::Token { .. }, Change::AskForTokenPin) => Policy::Token { pin: TokenPin::Person },
        (other, _) => other.clone(),
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Change::DropOpen => "leave the pin null out of the policy",
            Change::RaiseThreshold => "ask for one more of the parts: raise `t`",
            Change::MeasureBoot => {
                "let the TPM compare all that boots: \"pcr_ids\":\"4,7,8,9,12\" (and `cotter luks regen` after each update of it)"
            }
            Change::AddServer => {
                "ask a key server at another site as well: sss '{\"t\":2,\"pins\":{…, \"tang\":{\"url\":\"http://…\"}}}'"
            }
            Change::AddTpm => {
                "ask the TPM as well: sss '{\"t\":2,\"pins\":{…, \"tpm2\":{\"pcr_ids\":\"4,7,8,9,12\"}}}'"
            }
            Change::AskForTokenPin => "take `pin-value` out of the URI, so that a person is asked for the PIN",
            Change::AskForPin => "let the TPM ask for a PIN: cotter-tpm2 '{\"pin\":true, …}'",
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn tang(host: &str) -> Policy {
        Policy::Server { host: host.into(), asks: Asks::Nobody }
    }

    fn tpm(pcrs: &[u8]) -> Policy {
        Policy::Tpm(Tpm { pcrs: Pcrs::of(pcrs).unwrap(), ..Tpm::default() })
    }

    fn of(needed: usize, of: &[Policy]) -> Policy {
        Policy::Threshold { needed, of: of.to_vec() }
    }

    #[test]
    fn the_worst_gap_is_closed_by_what_costs_least() {
        use Answer::Yes;
        let check = |policy: Policy, gap, then, change| {
            let found = advice(&policy, &Surroundings::default());
            assert_eq!(found, Some(Advice { gap, then, change }), "{policy:?}");
        };
        check(tpm(&[]), Threat::Machine, Yes, Change::AddServer);
        check(tpm(&[7]), Threat::Machine, Yes, Change::AddServer);
        check(tang("a"), Threat::Boot, Yes, Change::AddTpm);
        check(of(2, &[tang("a"), tpm(&[])]), Threat::Boot, Yes, Change::MeasureBoot);
        check(of(2, &[tang("a"), tang("b")]), Threat::Boot, Yes, Change::AddTpm);
        check(of(1, &[tang("a"), Policy::Nothing]), Threat::Disk, Yes, Change::DropOpen);
        check(of(1, &[tang("a"), tpm(&[4, 8, 9, 12])]), Threat::Boot, Yes, Change::RaiseThreshold);
        check(Policy::File, Threat::Machine, Yes, Change::AddServer);
        check(Policy::Token { pin: TokenPin::Binding }, Threat::Machine, Yes, Change::AddServer);
        check(of(2, &[tang("a"), Policy::Token { pin: TokenPin::Binding }]), Threat::Boot, Yes, Change::AddTpm);
        let complete = of(2, &[tang("a"), tpm(&[4, 8, 9, 12])]);
        assert_eq!(advice(&complete, &Surroundings::default()), None, "the host is nothing that a policy changes");
        check(of(1, &[Policy::Nothing]), Threat::Disk, Yes, Change::AddTpm);
    }

    /// Whatever the policy, what is proposed makes the gap smaller and no other larger.
    #[test]
    fn no_change_opens_anything() {
        let leaves = [tang("a"), tang("b"), tpm(&[]), tpm(&[7]), Policy::File, Policy::Nothing, Policy::Never];
        let around = Surroundings::default();
        for one in &leaves {
            for two in &leaves {
                for three in &leaves {
                    for needed in 1..=3 {
                        let policy = of(needed, &[one.clone(), two.clone(), three.clone()]);
                        let Some(Advice { gap, then, change }) = advice(&policy, &around) else { continue };
                        let after = change.apply(&policy);
                        let answer = |policy: &Policy, threat| judge(policy, threat, &around).0;
                        assert!(answer(&after, gap) == then && then < answer(&policy, gap), "{policy:?}");
                        for threat in Threat::ALL {
                            assert!(answer(&after, threat) <= answer(&policy, threat), "{policy:?} {threat:?}");
                        }
                    }
                }
            }
        }
    }
}
