//! The passphrase again, from a TPM.

use super::TPM2;
use super::signature::Signatures;
use super::token::{Parent, Pin, Signed, Tpm2};
use crate::error::PinError;
use crate::pin::{Opened, Ports};
use crate::pins::tpm2::{begin, refused};
use crate::remark::Remark;
use crate::tpm_pin;
use ::tpm2::{ParentTemplate, Protection, Purpose, Session, Tpm, TpmError, VerifyingKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto::{Hash, Secret};

/// systemd names the parent key, and what is sealed, by this hash alone.
const HASH: Hash = Hash::Sha256;

impl Tpm2 {
    /// The passphrase of the keyslot; there is no key beside it.
    ///
    /// # Errors
    /// [`PinError`]; [`PinError::PcrMismatch`] if what has to be as it was is not, [`PinError::NotSigned`] if nobody has signed what is.
    pub fn open(&self, ports: &Ports<'_>) -> Result<Opened, PinError> {
        // Nobody types a PIN to hear then that a file is missing.
        let signatures =
            self.signed.as_ref().map(|_| Signatures::read(self.signatures.as_deref(), ports)).transpose()?;
        let attempt = |value: &Secret| self.attempt(value, signatures.as_ref(), ports);
        let passphrase = match &self.pin {
            None => attempt(&Secret::new(Vec::new())),
            Some(pin) => tpm_pin::ask_until_right(&|typed| attempt(&pin.value(typed)), ports),
        }?;
        let remarks = match self.parent {
            // The passphrase is there: whatever the TPM answers now is no reason to withhold it.
            Parent::Made(_) => tpm_pin::protection(ports).ok().and_then(Remark::of).into_iter().collect(),
            Parent::Stored { .. } => Vec::new(),
        };
        Ok(Opened { remarks, ..Opened::new(passphrase, Secret::new(Vec::new())) })
    }

    /// One conversation.
    fn attempt(&self, value: &Secret, signatures: Option<&Signatures>, ports: &Ports<'_>) -> Result<Secret, PinError> {
        let cancelled = || ports.cancel.is_cancelled();
        let tpm = begin(ports, &cancelled)?;
        let sealed = self.unseal(value, signatures, &tpm).map_err(|stopped| match stopped {
            Stopped::Tpm(source) => refused(TPM2, self.pcrs, source, &tpm),
            Stopped::Other(error) => error,
        })?;
        Ok(base64(&sealed))
    }

    fn unseal(&self, value: &Secret, signatures: Option<&Signatures>, tpm: &Tpm<'_>) -> Result<Secret, Stopped> {
        let parent = match &self.parent {
            Parent::Made(key) => {
                tpm.create_primary(ParentTemplate { key: *key, hash: HASH, protection: Protection::Counted })?
            }
            Parent::Stored { handle, name } => {
                let parent = tpm.persistent(*handle)?;
                parent.expect_name(name)?;
                parent
            }
        };
        let session = tpm.start_session(&parent, Purpose::Authorise, HASH)?;
        let object = tpm.load_last(&parent, &self.sealed, session)?;
        let mut session = tpm.start_session(&parent, Purpose::Policy, self.public.hash())?;
        // The TPM may have room for three objects, and the key that signs is to be one of them.
        drop(parent);
        if let (Some(signed), Some(signatures)) = (&self.signed, signatures) {
            authorize(signed, signatures, &mut session, tpm)?;
        }
        if let Some(pcrs) = &self.pcrs {
            session.policy_pcr(pcrs)?;
        }
        if self.pin.is_some() {
            session.policy_auth_value()?;
        }
        Ok(tpm.unseal_with_value(&object, value, session)?)
    }
}

/// Plays what a key has vouched for: what its PCRs hold now, which must be one of the states that it signed.
fn authorize(
    signed: &Signed,
    signatures: &Signatures,
    session: &mut Session<'_, '_>,
    tpm: &Tpm<'_>,
) -> Result<(), Stopped> {
    session.policy_pcr(&signed.pcrs)?;
    let policy = session.policy_digest()?;
    let signature = signatures.find(signed, &policy)?;
    let key = tpm.load_external(&signed.by.key)?;
    let digest = VerifyingKey::digest(&policy, NO_REFERENCE);
    let ticket = tpm.verify_signature(&key, &signed.by.key, &digest, &signature)?;
    Ok(session.policy_authorize(&policy, NO_REFERENCE, key.name(), &ticket)?)
}

/// systemd calls the purpose of its signatures nothing.
const NO_REFERENCE: &[u8] = &[];

/// What stopped the opening: the TPM, or what it was to be told.
enum Stopped {
    Tpm(TpmError),
    Other(PinError),
}

impl From<TpmError> for Stopped {
    fn from(error: TpmError) -> Stopped {
        Stopped::Tpm(error)
    }
}

impl From<PinError> for Stopped {
    fn from(error: PinError) -> Stopped {
        Stopped::Other(error)
    }
}

impl Pin {
    /// The authorisation value: `SHA-256(PIN)`, or `SHA-256(BASE64(PBKDF2-HMAC-SHA256(PIN, salt, 10000)))`.
    fn value(&self, typed: &Secret) -> Secret {
        let digest = match self {
            Pin::Plain => HASH.digest(&[typed.expose()]),
            Pin::Salted(salt) => HASH.digest(&[base64(&tpm_pin::salted(typed, salt)).expose()]),
        };
        Secret::copied_from(digest.as_ref())
    }
}

/// The text of secret bytes, with padding.
fn base64(bytes: &Secret) -> Secret {
    Secret::filled_by(bytes.len().div_ceil(3) * 4, |text| {
        // It has exactly this length.
        let _ = STANDARD.encode_slice(bytes.expose(), text);
    })
}
