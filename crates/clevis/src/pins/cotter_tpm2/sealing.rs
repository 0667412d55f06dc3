//! The secret goes into the TPM.

use super::binding::{Binding, Conditions, HASH, SignedBy, parent_template};
use super::person::{self, SALT_LEN};
use super::settings::{CounterChoice, Settings};
use super::signer;
use crate::approval::Counter;
use crate::error::PinError;
use crate::pcr_state::PcrState;
use crate::pin::{MayCount, Ports};
use crate::pins::tpm2::{begin, failed};
use crate::ports::Made;
use crate::tpm_pin::salted;
use ::tpm2::{NvIndex, NvPublic, Purpose, Session, Tpm, TpmError};
use crypto::Secret;

/// Where counters of ours begin: the part of the owner's indices that nobody has been given (TCG Registry of Reserved TPM 2.0 Handles, 2.2).
const FIRST_COUNTER: u32 = 0x0180_c077;
/// How many numbers are tried for a new counter.
const MOST_COUNTERS: u32 = 64;

/// Seals `key` by these settings. A person is asked first, so that nobody holds the TPM meanwhile.
pub(super) fn seal(settings: &Settings, key: &Secret, ports: &Ports<'_>) -> Result<Binding, PinError> {
    let signed = match &settings.signed {
        None => None,
        Some(signed) => Some(SignedBy::new(signer::key(signed, ports)?, &signed.reference).map_err(failed)?),
    };
    let (value, salt) = if settings.pin {
        let salt = Secret::try_filled_by(SALT_LEN, |bytes| ports.random.fill(bytes)).map_err(PinError::Random)?;
        (salted(&person::choose(ports)?, salt.expose()), Some(salt.expose().to_vec()))
    } else {
        (Secret::new(Vec::new()), None)
    };
    let cancelled = || ports.cancel.is_cancelled();
    let tpm = begin(ports, &cancelled)?;
    let parent = tpm.create_primary(parent_template(settings.key)).map_err(failed)?;
    // Whoever is not the one of before hears neither what is sealed nor the PIN.
    let mut known = ports.parents.iter().filter(|known| known.key == settings.key.key);
    known.try_for_each(|known| parent.expect_name(&known.name)).map_err(failed)?;
    let mut session = tpm.start_session(&parent, Purpose::Authorise, HASH).map_err(failed)?;
    let conditions = Conditions {
        bank: settings.bank,
        pcrs: settings.pcrs,
        accepted: accepted(settings, &tpm, &mut session).map_err(failed)?,
        latch: settings.latch,
        signed,
        counter: match settings.counter {
            Some(choice) => counter(choice, ahead(settings, ports), (&tpm, &mut session), ports.made)?,
            None => None,
        },
    };
    let template = conditions.template(settings.pin).map_err(failed)?;
    let sealed = tpm.create_with_value(&parent, &template, key, &value, session).map_err(failed)?;
    let parent = parent.name().to_vec();
    Ok(Binding { key: settings.key, parent, sealed, conditions, pin: salt })
}

/// The sets of values that open: those of now, or the given ones, and what is accepted beside them.
fn accepted(settings: &Settings, tpm: &Tpm<'_>, session: &mut Session<'_, '_>) -> Result<Vec<PcrState>, TpmError> {
    let Some(selection) = &settings.pcrs else { return Ok(Vec::new()) };
    let first = match &settings.given {
        Some(values) => values.clone(),
        None => PcrState::of(&tpm.pcr_read(selection, Some(session))?),
    };
    let mut sets = vec![first];
    for further in &settings.accept {
        if !sets.contains(further) {
            sets.push(further.clone());
        }
    }
    Ok(sets)
}

/// The counter, and what it must not have passed. Whoever puts the new binding in the place of an older one counts up once more, of which
/// the older one dies: see [`Pin::settle`](crate::Pin::settle). Beside others on the same counter a binding has their number.
fn counter(
    choice: CounterChoice,
    ahead: u64,
    (tpm, session): (&Tpm<'_>, &mut Session<'_, '_>),
    made: &Made,
) -> Result<Option<Counter>, PinError> {
    let (public, ahead) = match choice {
        CounterChoice::New => match new_counter(tpm, session, made).map_err(failed)? {
            Some(public) => (public, 0),
            None => return Ok(None),
        },
        CounterChoice::At(index) => (tpm.nv_read_public(index).map_err(failed)?, ahead),
    };
    if !public.is_counter() || !public.is_written() {
        return Err(PinError::NotACounter { index: public.index() });
    }
    let value = tpm.nv_read_counter(&public, session).map_err(failed)?.saturating_add(ahead);
    Ok(Some(Counter { index: public.index(), name: public.name(), value }))
}

/// How far a binding is ahead of a counter that is there. With a signed policy the approvals have the numbers, and it says where that stood.
fn ahead(settings: &Settings, ports: &Ports<'_>) -> u64 {
    u64::from(ports.replaces && settings.signed.is_none())
}

/// Defines a counter under the first number that is free, and counts once: before that it holds nothing. In a rehearsal there is none.
fn new_counter(tpm: &Tpm<'_>, session: &mut Session<'_, '_>, made: &Made) -> Result<Option<NvPublic>, TpmError> {
    let mut taken = tpm.nv_indices()?;
    taken.extend(made.counters());
    let numbers = FIRST_COUNTER..FIRST_COUNTER + MOST_COUNTERS;
    let free = numbers.filter_map(NvIndex::new).find(|index| !taken.contains(index));
    let index = free.ok_or(TpmError::Unsayable { what: "more than 64 counters; name one of them" })?;
    if made.is_rehearsed() {
        made.note(index);
        return Ok(None);
    }
    tpm.nv_define_counter(index, session)?;
    made.note(index);
    let public = tpm.nv_read_public(index)?;
    tpm.nv_increment(&public, session)?;
    tpm.nv_read_public(index).map(Some)
}

/// Counts the counter of a binding up to where everything before that binding has died, if `may` agrees. Its own number it does not pass.
pub(super) fn settle(binding: &Binding, may: &mut MayCount<'_>, ports: &Ports<'_>) -> Result<(), PinError> {
    // Of a signed policy the approvals have the numbers.
    let Some(counter) = binding.conditions.counter.as_ref().filter(|_| binding.conditions.signed.is_none()) else {
        return Ok(());
    };
    let cancelled = || ports.cancel.is_cancelled();
    let tpm = begin(ports, &cancelled)?;
    count_up(binding, counter, may, &tpm).map_err(failed)
}

fn count_up(binding: &Binding, counter: &Counter, may: &mut MayCount<'_>, tpm: &Tpm<'_>) -> Result<(), TpmError> {
    let parent = tpm.create_primary(binding.parent_template())?;
    parent.expect_name(&binding.parent)?;
    let mut session = tpm.start_session(&parent, Purpose::Authorise, HASH)?;
    let public = tpm.nv_read_public(counter.index)?;
    let now = tpm.nv_read_counter(&public, &mut session)?;
    // One is what a binding is ahead. A header that says more was written by nobody here.
    if public.name() == counter.name && now.checked_add(1) == Some(counter.value) && may(counter) {
        tpm.nv_increment(&public, &mut session)?;
    }
    Ok(())
}
