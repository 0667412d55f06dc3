//! The pin `tpm2plus` of clevis-pin-tpm2, the separate replacement of the original's `tpm2` (nbde-formats 3.4): which PCRs are right is
//! decided by whoever holds a key, in a file that can change without anything being sealed again.
//!
//! The TPM seals the content key under the original's parent, against `PolicyAuthorize` with the key of one file; a policy that this key has
//! signed, out of another file, must be met at opening. Both paths stand in the header. That program knows keys of RSA alone, and says of
//! `pcr_ids` beside such a policy that it is not implemented, so neither is it here.

mod binding;
mod files;

use crate::config::Config;
use crate::error::{BindingError, PinError, SignedPolicyError};
use crate::pin::{HEADER, Opened, Pin, Ports, Shown, header};
use crate::pins::tpm2::{Compared, begin, failed, key_text, new_key, open_by, refused};
use crate::remark::Remark;
use crate::stored::Lost;
use ::tpm2::policy::{Policy, Step};
use ::tpm2::{
    Meaning, Object as Loaded, PcrSelection, PcrValues, Protection, Purpose, SealedTemplate, Session, Ticket, Tpm,
    TpmError, VerifyingKey,
};
use binding::{Binding, PARAMETERS, Settings};
use crypto::{Hash, Secret};
use files::SignedPolicy;
use jose::Jwe;
use json::{Field, Object, Value};

pub(crate) use binding::NAME;

/// What names the sealed object and makes the digests of policies, whatever `hash` says of the parent.
const HASH: Hash = Hash::Sha256;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Tpm2Plus;

impl Pin for Tpm2Plus {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, config: &Config, _: &[&dyn Pin]) -> Result<(), PinError> {
        Settings::read(config)?;
        Ok(())
    }

    fn encrypt(&self, config: &Config, secret: &Secret, beside: &Object, ports: &Ports<'_>) -> Result<Jwe, PinError> {
        let settings = Settings::read(config)?;
        let policy = authorized(&files::signer(&settings.key_path, ports)?, &settings.reference);
        let policy = policy.and_then(|policy| policy.digest(HASH)).map_err(failed)?;
        let key = new_key(ports)?;
        let cancelled = || ports.cancel.is_cancelled();
        let tpm = begin(ports, &cancelled)?;
        let parent = tpm.create_primary(settings.parent()).map_err(failed)?;
        let session = tpm.start_session(&parent, Purpose::Authorise, HASH).map_err(failed)?;
        let template = SealedTemplate { hash: HASH, policy: Some(policy), protection: Protection::Uncounted };
        let sealed = tpm.create(&parent, &template, &key_text(&key), session).map_err(failed)?;
        let inner = Object::new().with("pin", NAME).with(PARAMETERS, settings.to_json(&sealed));
        let header = beside.clone().with("clevis", inner);
        Jwe::encrypt_dir(&header, &key, secret, ports.random).map_err(|source| PinError::Seal { pin: NAME, source })
    }

    fn open(&self, jwe: &Jwe, ports: &Ports<'_>) -> Result<Opened, PinError> {
        let binding = read(&header(jwe).field(HEADER))?;
        let Settings { key_path, policy_path, reference, .. } = &binding.settings;
        let signer = files::signer(key_path, ports)?;
        let digest = authorized(&signer, reference).and_then(|policy| policy.digest(HASH)).map_err(failed)?;
        if digest != binding.public.policy() {
            return Err(PinError::SignedPolicy { path: key_path.clone(), source: SignedPolicyError::OtherKey });
        }
        let mut signed = files::policies(policy_path, ports)?;
        signed.retain(|policy| policy.reference == reference.as_bytes());
        let cancelled = || ports.cancel.is_cancelled();
        let tpm = begin(ports, &cancelled)?;
        let text = unseal(&binding, &signer, &signed, &tpm);
        let text = text.map_err(|Stopped { met, source }| refused(NAME, met, source, &tpm))?;
        let none_fits = || SignedPolicyError::NoneFits { tried: signed.len() };
        let text = text.ok_or_else(|| PinError::SignedPolicy { path: policy_path.clone(), source: none_fits() })?;
        let opened = open_by(NAME, jwe, &text)?;
        Ok(Opened { remarks: Remark::near_lockout(&tpm), ..opened })
    }

    fn is_at_hand(&self, _: &Field<'_>) -> bool {
        true
    }

    fn describe(&self, header: &Field<'_>, _: &[&dyn Pin]) -> Result<Shown, PinError> {
        Ok(Shown { config: read(header)?.settings.configuration().into(), lossy: false })
    }

    fn stored(&self, header: &Field<'_>, _: &[&dyn Pin], _: &mut Vec<Lost>) -> Result<Value, PinError> {
        Ok(read(header)?.settings.configuration().into())
    }

    fn meets(&self, config: &Config, header: &Field<'_>, _: &[&dyn Pin]) -> Result<bool, PinError> {
        Ok(read(header)?.settings.is(&Settings::read(config)?))
    }
}

/// What a header has the TPM compare. Which PCRs it is stands in what was signed, and in no header.
pub(crate) fn compared(header: &Field<'_>) -> Result<Compared, BindingError> {
    let Binding { settings, sealed, public } = Binding::read(header)?;
    Ok(Compared { pcrs: None, public, sealed, parent: settings.parent() })
}

fn read(header: &Field<'_>) -> Result<Binding, PinError> {
    Binding::read(header).map_err(|source: BindingError| PinError::BadBinding { pin: NAME, source })
}

/// That the holder of this key has signed whatever was met, for this purpose.
fn authorized(signer: &VerifyingKey, reference: &str) -> Result<Policy, TpmError> {
    Ok(Policy::new().then(Step::Authorize { key: signer.name()?, reference: reference.as_bytes().to_vec() }))
}

/// What stopped the opening.
struct Stopped {
    /// PCRs of the policy that was signed and met before.
    met: Option<PcrSelection>,
    source: TpmError,
}

impl From<TpmError> for Stopped {
    fn from(source: TpmError) -> Stopped {
        Stopped { met: None, source }
    }
}

/// What was sealed; nothing if none of these policies is signed and met.
fn unseal(
    binding: &Binding,
    signer: &VerifyingKey,
    signed: &[SignedPolicy],
    tpm: &Tpm<'_>,
) -> Result<Option<Secret>, Stopped> {
    let parent = tpm.create_primary(binding.settings.parent())?;
    let mut session = tpm.start_session(&parent, Purpose::Authorise, HASH)?;
    let loaded = tpm.load_external(signer)?;
    let Some((selections, approved, ticket)) = first_signed(signer, &loaded, signed, tpm, &mut session)? else {
        return Ok(None);
    };
    drop(loaded);
    let object = tpm.load_last(&parent, &binding.sealed, session)?;
    let playing = tpm.start_session(&parent, Purpose::Policy, HASH)?;
    let played = || {
        selections.iter().try_for_each(|selection| playing.policy_pcr(selection))?;
        playing.policy_authorize(&approved, binding.settings.reference.as_bytes(), &signer.name()?, &ticket)?;
        tpm.unseal(&object, playing).map(Some)
    };
    played().map_err(|source| Stopped { met: selections.first().copied(), source })
}

/// A policy that is met: which PCRs it compares, its digest, and that the TPM has verified the signature over it.
type Met<'a> = (&'a [PcrSelection], Vec<u8>, Ticket);

/// The PCRs that were read.
type Known = Vec<(PcrSelection, Vec<u8>)>;

/// The first policy whose signature is one over what the PCRs hold now.
fn first_signed<'a>(
    signer: &VerifyingKey,
    loaded: &Loaded<'_, '_>,
    signed: &'a [SignedPolicy],
    tpm: &Tpm<'_>,
    session: &mut Session<'_, '_>,
) -> Result<Option<Met<'a>>, TpmError> {
    let mut known = Known::new();
    for policy in signed {
        let verified = approved(policy, &mut known, tpm, session).and_then(|approved| {
            let digest = VerifyingKey::digest(&approved, &policy.reference);
            Ok((approved, tpm.verify_signature(loaded, signer, &digest, &policy.signature)?))
        });
        match verified {
            Ok((approved, ticket)) => return Ok(Some((&policy.selections, approved, ticket))),
            Err(error) if is_of_this_policy(&error) => (),
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// What a policy comes to with what its PCRs hold now.
fn approved(
    policy: &SignedPolicy,
    known: &mut Known,
    tpm: &Tpm<'_>,
    session: &mut Session<'_, '_>,
) -> Result<Vec<u8>, TpmError> {
    let steps: Result<Vec<Step>, TpmError> = policy
        .selections
        .iter()
        .map(|selection| Ok(Step::Pcr { selection: *selection, values: now(selection, known, tpm, session)? }))
        .collect();
    Policy::from(steps?).digest(HASH)
}

/// Whether another policy may be met all the same: this one is not signed, by a signature of the length that the key makes or of another;
/// or it is of a bank that this TPM does not have, in a file for several machines.
fn is_of_this_policy(error: &TpmError) -> bool {
    let not_here = matches!(error, TpmError::Refused { command: "TPM2_PCR_Read", .. });
    match error.meaning() {
        Some(Meaning::WrongSignature) => true,
        Some(Meaning::Unsupported) => not_here,
        _ => matches!(error, TpmError::NoSuchPcr | TpmError::Unsayable { .. }),
    }
}

/// What these PCRs hold now; the TPM is asked once.
fn now(
    selection: &PcrSelection,
    known: &mut Known,
    tpm: &Tpm<'_>,
    session: &mut Session<'_, '_>,
) -> Result<Vec<u8>, TpmError> {
    if let Some((_, values)) = known.iter().find(|(asked, _)| asked == selection) {
        return Ok(values.clone());
    }
    let values = tpm.pcr_read(selection, Some(session)).map(|values: PcrValues| values.concatenated())?;
    known.push((*selection, values.clone()));
    Ok(values)
}
