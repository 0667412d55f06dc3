//! The PIN of something that a TPM has sealed: asked for as often as the TPM takes wrong ones, and made into what the TPM compares.

use crate::error::PinError;
use crate::pin::Ports;
use crate::pins::tpm2::{begin, failed};
use crate::ports::PersonError;
use crypto::{Hash, Secret, kdf};
use std::num::NonZeroU32;

/// How often a person is asked.
const MOST_QUESTIONS: u32 = 3;
/// A PIN is short and the TPM counts wrong ones; this is for whoever has taken the TPM apart. systemd has the same number.
const ITERATIONS: NonZeroU32 = NonZeroU32::MIN.saturating_add(9_999);

/// What `attempt` gives for the right PIN. Nobody holds the TPM while its person types.
pub(crate) fn ask_until_right(
    attempt: &dyn Fn(&Secret) -> Result<Secret, PinError>,
    ports: &Ports<'_>,
) -> Result<Secret, PinError> {
    let mut wrong = None;
    for _ in 0..MOST_QUESTIONS {
        let left = tries_left(ports)?;
        if left == 0 {
            // Nobody types for nothing: a TPM that is locked says so before it looks at a value.
            return attempt(&Secret::new(Vec::new())).map_err(|error| locked_by(wrong, error));
        }
        match attempt(&ask_for(left, wrong, ports)?) {
            Err(PinError::WrongPin { left }) => wrong = left,
            result => return result,
        }
    }
    Err(PinError::WrongPin { left: tries_left(ports).ok() })
}

/// After a wrong PIN of this person that is what there is to say, and not that the TPM is locked.
fn locked_by(wrong: Option<u32>, error: PinError) -> PinError {
    match wrong {
        Some(_) => PinError::WrongPin { left: Some(0) },
        None => error,
    }
}

/// How many wrong PINs the TPM takes yet. One that is locked says so when it is asked.
fn tries_left(ports: &Ports<'_>) -> Result<u32, PinError> {
    let cancelled = || ports.cancel.is_cancelled();
    let protection = begin(ports, &cancelled)?.dictionary_attack().map_err(failed)?;
    Ok(protection.most_failures.saturating_sub(protection.failures))
}

/// The PIN, when the TPM takes so many wrong ones before it locks.
fn ask_for(left: u32, after: Option<u32>, ports: &Ports<'_>) -> Result<Secret, PinError> {
    let wrong = if after.is_some() { "Wrong PIN. " } else { "" };
    let tries = if left == 1 { "the last try before the TPM locks".into() } else { format!("{left} tries") };
    ask(&format!("{wrong}PIN for the TPM ({tries}): "), ports)
}

/// What is typed behind the question.
pub(crate) fn ask(question: &str, ports: &Ports<'_>) -> Result<Secret, PinError> {
    let cancelled = |source| match source {
        _ if ports.cancel.is_cancelled() => PinError::Cancelled,
        source @ (PersonError::NoTerminal | PersonError::Terminal { .. }) => PinError::NobodyForPin { source },
    };
    ports.person.pin(question, ports.cancel).map_err(cancelled)
}

/// `PBKDF2-HMAC-SHA256(PIN, salt, 10000)`, 32 bytes.
pub(crate) fn salted(pin: &Secret, salt: &[u8]) -> Secret {
    let hash = Hash::Sha256;
    Secret::filled_by(hash.len(), |into| kdf::pbkdf2(hash, pin.expose(), salt, ITERATIONS, into))
}
