//! The secret again.

use super::binding::{Binding, HASH};
use super::failure::{self, Stopped};
use crate::approval::Approval;
use crate::error::PinError;
use crate::pcr_state::PcrState;
use crate::pin::Ports;
use crate::pins::tpm2::begin;
use crate::stored::SignedPolicy;
use crate::tpm_pin;
use ::tpm2::{Means, Purpose, Tpm};
use crypto::Secret;

/// What was sealed.
pub(super) fn open(binding: &Binding, ports: &Ports<'_>) -> Result<Secret, PinError> {
    let nothing = Secret::new(Vec::new());
    let Some(salt) = &binding.pin else { return attempt(binding, &nothing, ports) };
    tpm_pin::ask_until_right(&|pin| attempt(binding, &tpm_pin::salted(pin, salt), ports), ports)
}

/// One conversation.
fn attempt(binding: &Binding, value: &Secret, ports: &Ports<'_>) -> Result<Secret, PinError> {
    let cancelled = || ports.cancel.is_cancelled();
    let tpm = begin(ports, &cancelled)?;
    unseal(binding, value, &tpm, ports).map_err(|stopped| failure::explained(stopped, binding, &tpm))
}

fn unseal(binding: &Binding, value: &Secret, tpm: &Tpm<'_>, ports: &Ports<'_>) -> Result<Secret, Stopped> {
    let parent = tpm.create_primary(binding.parent_template())?;
    parent.expect_name(&binding.parent)?;
    let mut session = tpm.start_session(&parent, Purpose::Authorise, HASH)?;
    let conditions = &binding.conditions;
    let approval = match binding.signed_policy() {
        Some(policy) => {
            let now = PcrState::of(&tpm.pcr_read(&policy.selection, Some(&mut session))?);
            Some(choose(&policy, &now, ports).map_err(Stopped::Other)?)
        }
        None => None,
    };
    let policy = conditions.policy(approval, binding.pin.is_some())?;
    let object = tpm.load(&parent, &binding.sealed, &mut session)?;
    if policy.steps().is_empty() {
        return Ok(tpm.unseal(&object, session)?);
    }
    let mut playing = tpm.start_session(&parent, Purpose::Policy, HASH)?;
    // The TPM may have room for three objects, and the key that signs is to be one of them.
    drop(parent);
    let by = conditions.signed.as_ref();
    let signature = approval
        .zip(by)
        .map(|(approval, by)| ::tpm2::Approval { key: &by.signer.key, signature: approval.signature() });
    playing.play(&policy, &mut Means { reading: Some(&mut session), approval: signature })?;
    drop(session);
    Ok(tpm.unseal_with_value(&object, value, playing)?)
}

/// The approval of what the PCRs hold now; of several the one that lasts longest.
fn choose<'a>(policy: &SignedPolicy, now: &PcrState, ports: &Ports<'a>) -> Result<&'a Approval, PinError> {
    let fits = |approval: &&Approval| approval.values() == now && policy.is_meant_by(approval);
    let lasting = |approval: &&Approval| approval.counter().map_or(u64::MAX, |counter| counter.value);
    let found = ports.approvals.iter().filter(fits).max_by_key(lasting);
    found.ok_or_else(|| failure::not_approved(policy, now, ports.approvals))
}
