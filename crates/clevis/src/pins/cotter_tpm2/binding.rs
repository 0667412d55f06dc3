//! What a header says: everything but the secret that is sealed.

use super::settings::{CounterChoice, Settings, SignerKey};
use crate::approval::{Approval, Counter, Signer, check_reference, purpose};
use crate::error::BindingError;
use crate::pcr_state::PcrState;
use crate::pins::tpm2::{KeyName, read_bank, read_ids};
use crate::stored::SignedPolicy;
use ::tpm2::policy::{MOST_BRANCHES, Policy, Step};
use ::tpm2::{Bank, ParentTemplate, PcrSelection, Protection, Sealed, SealedTemplate, TpmError};
use crypto::Hash;
use crypto::ec::Point;
use jose::{Jwk, b64};
use json::{Field, FieldError, Object, Value};

pub(crate) const NAME: &str = "cotter-tpm2";
/// What makes all names and policies.
pub(super) const HASH: Hash = Hash::Sha256;

/// What a header says.
pub(super) struct Binding {
    pub(super) key: KeyName,
    /// The name of the parent key: another one is not told anything.
    pub(super) parent: Vec<u8>,
    pub(super) sealed: Sealed,
    pub(super) conditions: Conditions,
    /// The salt of the PIN.
    pub(super) pin: Option<Vec<u8>>,
}

/// What must hold, apart from the PIN.
pub(super) struct Conditions {
    pub(super) bank: Bank,
    pub(super) pcrs: Option<PcrSelection>,
    /// The sets of values that open; with `signed`, what the PCRs held at the binding, which says nothing to the TPM.
    pub(super) accepted: Vec<PcrState>,
    pub(super) latch: Option<u8>,
    pub(super) signed: Option<SignedBy>,
    pub(super) counter: Option<Counter>,
}

/// Who approves.
pub(super) struct SignedBy {
    pub(super) key: Point,
    pub(super) signer: Signer,
    pub(super) reference: String,
}

impl Conditions {
    /// What the TPM is to ask for. With `signed` an approval says what comes first; what is sealed does not depend on it.
    pub(super) fn policy(&self, approval: Option<&Approval>, pin: bool) -> Result<Policy, TpmError> {
        let mut steps = match &self.signed {
            Some(by) => {
                let first = approval.map(|approval| approval.policy().steps().to_vec()).unwrap_or_default();
                let pcrs = self.pcrs.ok_or(TpmError::Unsayable { what: "a signed policy without PCRs" })?;
                let (key, reference) = (by.signer.name.clone(), purpose(&by.reference, &pcrs, self.counter.as_ref()));
                first.into_iter().chain([Step::Authorize { key, reference }]).collect()
            }
            None => {
                let mut steps = self.literal()?;
                steps.extend(self.counter.as_ref().map(Counter::step));
                steps
            }
        };
        steps.extend(self.latch.map(|pcr| latch_step(self.bank, pcr)).transpose()?);
        steps.extend(pin.then_some(Step::AuthValue));
        Ok(Policy::from(steps))
    }

    /// What is sealed with them: nothing but this policy opens it, and wrong values count where a person is asked, and nowhere else.
    pub(super) fn template(&self, pin: bool) -> Result<SealedTemplate, TpmError> {
        let policy = self.policy(None, pin)?;
        let policy = (!policy.steps().is_empty()).then(|| policy.digest(HASH)).transpose()?;
        // Without a PIN there is nothing to be guessed, and a power cut shall not count.
        let protection = if pin { Protection::Counted } else { Protection::Uncounted };
        Ok(SealedTemplate { hash: HASH, policy, protection })
    }

    /// One of the accepted sets.
    fn literal(&self) -> Result<Vec<Step>, TpmError> {
        let sets: Vec<Step> = self.accepted.iter().map(PcrState::step).collect();
        let digest = |step: &Step| Policy::from(vec![step.clone()]).digest(HASH);
        let branches = sets.iter().map(digest).collect::<Result<Vec<_>, _>>()?;
        let choice = (branches.len() > 1).then_some(Step::Or(branches));
        Ok(sets.into_iter().take(1).chain(choice).collect())
    }
}

/// The PCR holds what it holds after a start.
fn latch_step(bank: Bank, pcr: u8) -> Result<Step, TpmError> {
    let selection = PcrSelection::new(bank, [u64::from(pcr)]).map_err(|_| TpmError::NoSuchPcr)?;
    Ok(Step::Pcr { values: vec![0; selection.values_len()], selection })
}

impl Binding {
    /// Reads `clevis.cotter-tpm2`. What is sealed must ask for all that the rest speaks of: its policy is that one, and nothing else opens it.
    pub(super) fn read(header: &Field<'_>) -> Result<Binding, BindingError> {
        let binding = header.member("clevis")?.member(NAME)?;
        let parent = binding.member("parent")?;
        let hash = parent.member("hash")?;
        if hash.text()? != HASH_NAME {
            return Err(hash.wrong_value(HASH_NAME).into());
        }
        let halves = binding.member("sealed")?;
        let sealed = Sealed { public: bytes(&halves.member("public")?)?, private: bytes(&halves.member("private")?)? };
        let pin = binding.optional("pin")?.map(|pin| bytes(&pin.member("salt")?)).transpose()?;
        let conditions = read_conditions(&binding)?;
        let public = sealed.public_area().map_err(BindingError::Sealed)?;
        let same = conditions.template(pin.is_some()).and_then(|template| template.makes(&public));
        if !same.map_err(BindingError::Sealed)? {
            let what = "it does not ask for what the header names";
            return Err(BindingError::Sealed(TpmError::Unsayable { what }));
        }
        let (key, parent) = (KeyName::read(&parent.member("key")?)?, bytes(&parent.member("name")?)?);
        Ok(Binding { key, parent, sealed, conditions, pin })
    }

    /// `clevis.cotter-tpm2`
    pub(super) fn to_json(&self) -> Object {
        let name = b64::encode(&self.parent);
        let parent = Object::new().with("key", self.key.name).with("hash", HASH_NAME).with("name", name);
        let sealed = Object::new()
            .with("public", b64::encode(&self.sealed.public))
            .with("private", b64::encode(&self.sealed.private));
        let mut json = Object::new().with("parent", parent).with("sealed", sealed);
        let conditions = &self.conditions;
        if !conditions.accepted.is_empty() {
            let sets: Vec<Value> = conditions.accepted.iter().map(|set| set.to_json().into()).collect();
            json.insert("accepted", sets);
        }
        self.add_common(&mut json);
        if let Some(salt) = &self.pin {
            json.insert("pin", Object::new().with("salt", b64::encode(salt)));
        }
        if let Some(counter) = &conditions.counter {
            json.insert("counter", counter.to_json());
        }
        json
    }

    /// The words of a configuration that makes such a binding. Values are those of the time at which it is made.
    pub(super) fn configuration(&self) -> Object {
        let mut json = Object::new().with("key", self.key.name);
        self.add_common(&mut json);
        if self.pin.is_some() {
            json.insert("pin", true);
        }
        if let Some(counter) = &self.conditions.counter {
            json.insert("counter", counter.index.to_string());
        }
        json
    }

    /// What a header and a configuration say alike.
    fn add_common(&self, json: &mut Object) {
        let conditions = &self.conditions;
        if conditions.pcrs.is_some() || conditions.latch.is_some() {
            json.insert("pcr_bank", conditions.bank.name());
        }
        if let Some(pcrs) = &conditions.pcrs {
            let ids: Vec<String> = pcrs.pcrs().map(|pcr| pcr.to_string()).collect();
            json.insert("pcr_ids", ids.join(","));
        }
        if let Some(pcr) = conditions.latch {
            json.insert("latch", u64::from(pcr));
        }
        if let Some(by) = &conditions.signed {
            let signed = Object::new()
                .with("key", Jwk::from_point(&by.key).public_json())
                .with("reference", by.reference.as_str());
            json.insert("signed", signed);
        }
    }

    /// What has to be approved, if that is how it opens.
    pub(super) fn signed_policy(&self) -> Option<SignedPolicy> {
        let Conditions { pcrs, signed, counter, .. } = &self.conditions;
        let (by, selection) = (signed.as_ref()?, (*pcrs)?);
        let (key, reference) = (by.key.clone(), by.reference.clone());
        Some(SignedPolicy { key, reference, selection, counter: counter.clone() })
    }

    /// The parent key, outside of the dictionary-attack protection: a power cut never locks it.
    pub(super) fn parent_template(&self) -> ParentTemplate {
        parent_template(self.key)
    }

    /// Whether it is one that these settings make, on whatever TPM, whatever the PCRs held unless their values are given, and whoever signs
    /// if his key is a file.
    pub(super) fn is_made_by(&self, settings: &Settings) -> bool {
        let found = &self.conditions;
        let signed = match (&found.signed, &settings.signed) {
            (None, None) => true,
            (Some(by), Some(wanted)) => {
                let same = match &wanted.key {
                    SignerKey::Given(key) => *key == by.key,
                    SignerKey::File(_) => true,
                };
                same && wanted.reference == by.reference
            }
            _ => false,
        };
        let counter = match (&found.counter, settings.counter) {
            (None, None) | (Some(_), Some(CounterChoice::New)) => true,
            (Some(counter), Some(CounterChoice::At(index))) => counter.index == index,
            _ => false,
        };
        let values = settings.given.iter().chain(&settings.accept).all(|set| found.accepted.contains(set));
        let bank = found.bank == settings.bank || (found.pcrs.is_none() && found.latch.is_none());
        self.key.key == settings.key.key
            && (found.pcrs, found.latch, self.pin.is_some()) == (settings.pcrs, settings.latch, settings.pin)
            && bank
            && signed
            && counter
            && values
    }
}

pub(super) fn parent_template(key: KeyName) -> ParentTemplate {
    ParentTemplate { key: key.key, hash: HASH, protection: Protection::Uncounted }
}

const HASH_NAME: &str = "sha256";

fn bytes(member: &Field<'_>) -> Result<Vec<u8>, BindingError> {
    let place = || member.place().to_owned();
    b64::decode(member.text()?).map_err(|source| BindingError::Base64 { place: place(), source })
}

fn read_conditions(binding: &Field<'_>) -> Result<Conditions, BindingError> {
    let bank = binding.optional("pcr_bank")?.map(|bank| read_bank(&bank)).transpose()?.or(Bank::of(HASH));
    let bank = bank.ok_or_else(|| binding.wrong_value("a bank"))?;
    let pcrs = binding.optional("pcr_ids")?.map(|ids| read_ids(&ids)).transpose()?.map(|(_, set)| set.in_bank(bank));
    let signed = binding.optional("signed")?.map(|signed| SignedBy::read(&signed)).transpose()?;
    if signed.is_some() {
        // They name what is approved.
        binding.member("pcr_ids")?;
    }
    let accepted = read_accepted(binding, bank, pcrs.as_ref())?;
    if pcrs.is_some() && accepted.is_empty() && signed.is_none() {
        // Nothing would be compared.
        return Err(binding.wrong_value("\"accepted\" or \"signed\" beside pcr_ids, which say nothing alone").into());
    }
    let latch = binding.optional("latch")?;
    let number = |latch: Field<'_>| {
        let number = u8::try_from(latch.integer()?).ok().filter(|pcr| *pcr < 24);
        number.ok_or_else(|| latch.wrong_value("a PCR"))
    };
    Ok(Conditions {
        bank,
        accepted,
        pcrs,
        latch: latch.map(number).transpose()?,
        signed,
        counter: binding.optional("counter")?.map(|counter| Counter::read(&counter)).transpose()?,
    })
}

fn read_accepted(binding: &Field<'_>, bank: Bank, pcrs: Option<&PcrSelection>) -> Result<Vec<PcrState>, BindingError> {
    let Some(accepted) = binding.optional("accepted")? else { return Ok(Vec::new()) };
    if accepted.items()?.len() > MOST_BRANCHES {
        return Err(BindingError::TooMuch { what: "sets of values", limit: MOST_BRANCHES });
    }
    let read = |set: Field<'_>| {
        let values = PcrState::read(&set, bank)?;
        let same = pcrs.is_some_and(|pcrs| values.is_of(pcrs));
        if same { Ok(values) } else { Err(set.wrong_value("a value for each of pcr_ids").into()) }
    };
    accepted.items()?.map(read).collect()
}

impl SignedBy {
    /// Refuses a key that is not on P-256: a binding is signed, or it is none.
    pub(super) fn new(key: Point, reference: &str) -> Result<SignedBy, TpmError> {
        let signer = Signer::of(&key).ok_or(TpmError::Unsayable { what: "a key that approves and is not on P-256" })?;
        Ok(SignedBy { signer, key, reference: reference.to_owned() })
    }

    fn read(field: &Field<'_>) -> Result<SignedBy, BindingError> {
        let key = field.member("key")?;
        let reference = field.member("reference")?;
        let wrong = |field: &Field<'_>, expected| FieldError::WrongValue { place: field.place().to_owned(), expected };
        let text = check_reference(reference.text()?).ok_or_else(|| wrong(&reference, "a text of at most 64 bytes"))?;
        let jwk = Jwk::public_from_field(&key).map_err(BindingError::Key)?;
        let point = jwk.point().cloned().and_then(|point| SignedBy::new(point, text).ok());
        point.ok_or_else(|| wrong(&key, "a public key on P-256").into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crypto::SystemRandom;
    use crypto::ec::Curve;

    /// A condition that cannot be said is an error, and none that is left out.
    #[test]
    fn no_condition_is_left_out() {
        let bank = Bank::of(HASH).unwrap();
        let pcrs = PcrSelection::new(bank, [7]).unwrap();
        let conditions = |latch| {
            let accepted = vec![PcrState::split(&pcrs, &[1; 32]).unwrap()];
            Conditions { bank, pcrs: Some(pcrs), accepted, latch, signed: None, counter: None }
        };
        let steps = |latch| conditions(latch).policy(None, true).map(|policy| policy.steps().len());
        assert_eq!((steps(None).unwrap(), steps(Some(15)).unwrap()), (2, 3));
        assert!(matches!(steps(Some(24)), Err(TpmError::NoSuchPcr)));
        let signed = |curve| {
            let key = Jwk::signing(curve, &SystemRandom).unwrap().point().unwrap().clone();
            SignedBy::new(key, "").map(|by| Conditions { signed: Some(by), ..conditions(None) })
        };
        let policy = signed(Curve::P256).unwrap().policy(None, false).unwrap();
        assert!(matches!(policy.steps(), [Step::Authorize { .. }]));
        assert!(matches!(signed(Curve::P521), Err(TpmError::Unsayable { .. })));
    }
}
