//! The pin `tpm2`: a secret comes back on the machine whose TPM sealed it, and with PCRs only while that machine has booted what it had
//! booted then (nbde-formats 3.3).
//!
//! The TPM seals the JWE's content key, as José's text, under the parent key that the original makes anew each time. So the parent is under
//! dictionary-attack protection as the original's, and nothing in the header tells its name: which key the session is salted with is trusted
//! each time.
//!
//! With PCRs the sealed object is always named by SHA-256, whatever `hash` says: the original opens its session with SHA-256 whatever was
//! sealed, and cannot open what it has sealed with another `hash` itself. The session here has the hash of the object, so both open.

mod binding;
mod content_key;
mod failure;
mod settings;

use crate::config::{Config, ConfigError};
use crate::error::{BindingError, PinError};
use crate::pcr_state::PcrState;
use crate::pin::{ANNOTATION, HEADER, Opened, Pin, Ports, Shown, header};
use crate::remark::Remark;
use crate::stored::Lost;
use ::tpm2::{
    Bank, ParentTemplate, Patience, PcrSelection, Protection, Public, Purpose, Sealed, SealedTemplate, Session,
};
use ::tpm2::{Tpm, TpmError};
use binding::Binding;
use crypto::{Hash, Secret};
use jose::Jwe;
use json::{Field, Object, Value};
use settings::Settings;

pub(crate) use binding::NAME;
pub(in crate::pins) use binding::{read_halves, write_halves};
pub(in crate::pins) use content_key::{key_text, new_key, open_by};
pub(crate) use failure::{failed, refused};
pub(in crate::pins) use settings::{ECC, HashName, KeyName, SHA256};
pub(crate) use settings::{read_bank, read_ids};

/// The member of the annotation with the values of the PCRs. It is a record for people and decides nothing.
const PCRS: &str = "pcrs";
/// What makes the name of what is sealed with PCRs, and the sessions in which there is no other hash to use.
const SESSION_HASH: Hash = Hash::Sha256;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Tpm2;

impl Pin for Tpm2 {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, config: &Config, _: &[&dyn Pin]) -> Result<(), PinError> {
        Settings::read(config)?;
        Ok(())
    }

    fn encrypt(&self, config: &Config, secret: &Secret, beside: &Object, ports: &Ports<'_>) -> Result<Jwe, PinError> {
        let settings = Settings::read(config)?;
        let key = new_key(ports)?;
        let cancelled = || ports.cancel.is_cancelled();
        let (binding, state) = seal(&settings, &key_text(&key), &begin(ports, &cancelled)?).map_err(failed)?;
        let inner = Object::new().with("pin", NAME).with(NAME, binding.to_json());
        let header = with_state(beside, state.as_ref()).with("clevis", inner);
        Jwe::encrypt_dir(&header, &key, secret, ports.random).map_err(|source| PinError::Seal { pin: NAME, source })
    }

    fn open(&self, jwe: &Jwe, ports: &Ports<'_>) -> Result<Opened, PinError> {
        let binding = read(&header(jwe).field(HEADER))?;
        let cancelled = || ports.cancel.is_cancelled();
        let tpm = begin(ports, &cancelled)?;
        let text = unseal(&binding, &tpm)
            .map_err(|source| refused(NAME, binding.pcrs.as_ref().map(|(selection, _)| *selection), source, &tpm))?;
        let opened = open_by(NAME, jwe, &text)?;
        Ok(Opened { remarks: Remark::near_lockout(&tpm), ..opened })
    }

    fn is_at_hand(&self, _: &Field<'_>) -> bool {
        true
    }

    fn describe(&self, header: &Field<'_>, _: &[&dyn Pin]) -> Result<Shown, PinError> {
        Ok(Shown { config: read(header)?.configuration().into(), lossy: false })
    }

    fn stored(&self, header: &Field<'_>, _: &[&dyn Pin], _: &mut Vec<Lost>) -> Result<Value, PinError> {
        Ok(read(header)?.configuration().into())
    }

    fn meets(&self, config: &Config, header: &Field<'_>, _: &[&dyn Pin]) -> Result<bool, PinError> {
        Ok(read(header)?.is_made_by(&Settings::read(config)?))
    }

    /// A header does not keep the values that were given: only the digest of a policy that follows from them.
    fn bare(&self, config: &Config, _: &[&dyn Pin]) -> Result<Value, ConfigError> {
        Settings::read(config)?;
        let mut bare = config.field().object()?.clone();
        bare.remove("pcr_digest");
        Ok(bare.into())
    }
}

/// A conversation with the TPM of these ports.
pub(crate) fn begin<'a>(ports: &Ports<'a>, cancelled: &'a (dyn Fn() -> bool + Sync)) -> Result<Tpm<'a>, PinError> {
    let patience = Patience { until: ports.until.instant(), at_most: None, cancelled };
    Tpm::begin(ports.tpm.ok_or(PinError::NoTpm)?, patience, ports.random).map_err(failed)
}

fn read(header: &Field<'_>) -> Result<Binding, PinError> {
    Binding::read(header).map_err(bad_binding)
}

/// What a header has the TPM compare.
pub(crate) struct Compared {
    pub(crate) pcrs: Option<PcrSelection>,
    pub(crate) public: Public,
    pub(crate) sealed: Sealed,
    pub(crate) parent: ParentTemplate,
}

/// The PCRs that a header compares, and the object that it seals.
pub(crate) fn compared(header: &Field<'_>) -> Result<Compared, BindingError> {
    let binding = Binding::read(header)?;
    let (parent, pcrs) = (binding.parent(), binding.pcrs.map(|(selection, _)| selection));
    Ok(Compared { pcrs, public: binding.public, sealed: binding.sealed, parent })
}

fn bad_binding(source: BindingError) -> PinError {
    PinError::BadBinding { pin: NAME, source }
}

/// What is said beside the policy, and the values that it was made for: the header has their digest alone.
fn with_state(beside: &Object, state: Option<&PcrState>) -> Object {
    let Some(state) = state else { return beside.clone() };
    let said = beside.get(ANNOTATION).and_then(Value::as_object).cloned().unwrap_or_default();
    beside.clone().with(ANNOTATION, said.with(PCRS, state.to_json()))
}

/// Seals the text by these settings.
fn seal(settings: &Settings, text: &Secret, tpm: &Tpm<'_>) -> Result<(Binding, Option<PcrState>), TpmError> {
    let selection = selection(settings, tpm)?;
    let parent = tpm.create_primary(settings.parent())?;
    let mut session = tpm.start_session(&parent, Purpose::Authorise, SESSION_HASH)?;
    let values = selection.as_ref().map(|selection| values(settings, selection, tpm, &mut session)).transpose()?;
    let template = match selection.zip(values.as_ref()) {
        None => SealedTemplate { hash: settings.hash.hash, policy: None, protection: Protection::Uncounted },
        Some((selection, values)) => {
            let policy = selection.policy(SESSION_HASH, values)?;
            SealedTemplate { hash: SESSION_HASH, policy: Some(policy), protection: Protection::Uncounted }
        }
    };
    let sealed = tpm.create(&parent, &template, text, session)?;
    let public = sealed.public_area()?;
    let state = selection.zip(values).and_then(|(selection, values)| PcrState::split(&selection, &values));
    let pcrs = selection.zip(settings.pcr_ids());
    Ok((Binding { hash: settings.hash, key: settings.key, pcrs, sealed, public }, state))
}

/// The PCRs of the settings, in their bank or in that of the TPM.
fn selection(settings: &Settings, tpm: &Tpm<'_>) -> Result<Option<PcrSelection>, TpmError> {
    let Some(pcrs) = &settings.pcrs else { return Ok(None) };
    let bank = match settings.bank() {
        Some(bank) => bank,
        None => default_bank(tpm)?,
    };
    Ok(Some(pcrs.selection(bank)))
}

/// What the PCRs hold now, or what the settings give.
fn values(
    settings: &Settings,
    selection: &PcrSelection,
    tpm: &Tpm<'_>,
    session: &mut Session<'_, '_>,
) -> Result<Vec<u8>, TpmError> {
    match settings.given_values() {
        Some(values) => Ok(values.to_vec()),
        None => Ok(tpm.pcr_read(selection, Some(session))?.concatenated()),
    }
}

/// The bank of SHA-256, which every TPM of these days has; else the next strongest, else the first.
///
/// The original takes SHA-1 up to version 21 and the first that is there since: the bank that a binding has is in its header, so this is a
/// choice and no format.
fn default_bank(tpm: &Tpm<'_>) -> Result<Bank, TpmError> {
    let banks = tpm.banks()?;
    let preferred = [Hash::Sha256, Hash::Sha384, Hash::Sha512]
        .into_iter()
        .find_map(|hash| banks.iter().find(|bank| bank.hash() == hash));
    preferred.or(banks.first()).copied().ok_or(TpmError::NoSuchPcr)
}

/// The text again, if this is the TPM and its PCRs are as they were.
fn unseal(binding: &Binding, tpm: &Tpm<'_>) -> Result<Secret, TpmError> {
    let parent = tpm.create_primary(binding.parent())?;
    let mut session = tpm.start_session(&parent, Purpose::Authorise, SESSION_HASH)?;
    let Some((selection, _)) = &binding.pcrs else {
        let object = tpm.load(&parent, &binding.sealed, &mut session)?;
        return tpm.unseal(&object, session);
    };
    let object = tpm.load_last(&parent, &binding.sealed, session)?;
    let session = tpm.start_session(&parent, Purpose::Policy, binding.public.hash())?;
    session.policy_pcr(selection)?;
    tpm.unseal(&object, session)
}
