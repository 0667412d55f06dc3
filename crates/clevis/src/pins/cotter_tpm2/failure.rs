//! What a TPM's refusal means for a binding, and which condition it was.

use super::binding::{Binding, Conditions, NAME};
use crate::approval::Approval;
use crate::error::{PinError, Skipped, WhySkipped};
use crate::pcr_state::PcrState;
use crate::pins::tpm2::{failed, refused};
use crate::stored::SignedPolicy;
use ::tpm2::{Meaning, PcrSelection, Tpm, TpmError};

/// What stopped the opening: the TPM, or an approval that is not there.
pub(super) enum Stopped {
    Tpm(TpmError),
    Other(PinError),
}

impl From<TpmError> for Stopped {
    fn from(error: TpmError) -> Stopped {
        Stopped::Tpm(error)
    }
}

/// Why it does not open. A TPM says no more than that a policy is not met, so it is asked which part of it.
pub(super) fn explained(stopped: Stopped, binding: &Binding, tpm: &Tpm<'_>) -> PinError {
    let source = match stopped {
        Stopped::Tpm(source) => source,
        Stopped::Other(error) => return error,
    };
    match (source.meaning(), &source) {
        (Some(Meaning::PolicyFailed), TpmError::Refused { command: POLICY_NV, .. }) => {
            match &binding.conditions.counter {
                Some(counter) => PinError::CounterPassed { index: counter.index, source },
                None => failed(source),
            }
        }
        (Some(Meaning::PolicyFailed), _) => moved(source, &binding.conditions, tpm),
        _ => refused(NAME, None, source, tpm),
    }
}

const POLICY_NV: &str = "TPM2_PolicyNV";

/// The PCRs that are not as they must be: the latch, or those that differ from the set of values that comes nearest.
fn moved(source: TpmError, conditions: &Conditions, tpm: &Tpm<'_>) -> PinError {
    let read = |selection: &PcrSelection| tpm.pcr_read(selection, None).ok().map(|values| PcrState::of(&values));
    if let Some(pcr) = conditions.latch
        && let Ok(selection) = PcrSelection::new(conditions.bank, [u64::from(pcr)])
        && read(&selection).is_some_and(|now| now.concatenated().iter().any(|byte| *byte != 0))
    {
        return PinError::Latched { pcr };
    }
    let Some(selection) = conditions.pcrs else { return failed(source) };
    let differing = read(&selection).and_then(|now| {
        let nearest = conditions.accepted.iter().map(|set| set.moved(&now)).min_by_key(Vec::len)?;
        PcrSelection::new(conditions.bank, nearest.into_iter().map(u64::from)).ok()
    });
    PinError::PcrMismatch { selection: differing.unwrap_or(selection), source }
}

/// None of the approvals fits, each for its own reason.
pub(super) fn not_approved(policy: &SignedPolicy, now: &PcrState, approvals: &[Approval]) -> PinError {
    let moved = |approval: &Approval| WhySkipped::OtherValues(approval.values().moved(now));
    let why = |approval: &Approval| policy.why_not(approval).unwrap_or_else(|| moved(approval));
    let skipped = approvals.iter().enumerate().map(|(number, approval)| Skipped { number, why: why(approval) });
    PinError::NotApproved { pcrs: Some(now.selection()), skipped: skipped.collect() }
}
