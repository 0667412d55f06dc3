//! The PIN of something that a TPM has sealed: asked for as often as the TPM takes wrong ones, and made into what the TPM compares.

use crate::error::PinError;
use crate::pin::Ports;
use crate::pins::tpm2::{begin, failed};
use crate::ports::PersonError;
use crypto::{Hash, Secret, kdf};
use std::num::NonZeroU32;
use tpm2::{DictionaryAttack, TpmError};

/// How often a person is asked.
const MOST_QUESTIONS: u32 = 3;
/// A PIN is short and the TPM counts wrong ones; this is for whoever has taken the TPM apart. systemd has the same number.
const ITERATIONS: NonZeroU32 = NonZeroU32::MIN.saturating_add(9_999);

/// What `attempt` gives for the right PIN. Nobody holds the TPM while its person types, and no value is tried that nobody typed: what a TPM
/// says of its lock is believed no further than not to ask.
pub(crate) fn ask_until_right(
    attempt: &dyn Fn(&Secret) -> Result<Secret, PinError>,
    ports: &Ports<'_>,
) -> Result<Secret, PinError> {
    let mut wrong = None;
    for _ in 0..MOST_QUESTIONS {
        let protection = match protection(ports) {
            Ok(protection) => protection,
            Err(error) => return Err(telling(wrong, error)),
        };
        if protection.locked_out {
            // Nobody types for nothing. After a wrong PIN of this person that is what there is to say.
            let locked = PinError::Tpm { source: TpmError::LockedOut, protection: Some(protection) };
            return Err(wrong.map_or(locked, |_| PinError::WrongPin { left: Some(0) }));
        }
        let tried = ask_for(protection.tries_left(), wrong.is_some(), ports).and_then(|typed| attempt(&typed));
        match tried {
            Err(error @ PinError::WrongPin { .. }) => wrong = Some(error),
            result => return result.map_err(|error| telling(wrong, error)),
        }
    }
    Err(wrong.unwrap_or(PinError::WrongPin { left: None }))
}

/// A TPM that does not answer, or a person who is gone, must not hide that a wrong PIN was counted before.
fn telling(wrong: Option<PinError>, error: PinError) -> PinError {
    let says_nothing = match &error {
        PinError::Tpm { source, .. } => source.may_pass(),
        PinError::NobodyForPin { .. } => true,
        _ => false,
    };
    wrong.filter(|_| says_nothing).unwrap_or(error)
}

/// What the TPM says of its protection from those who guess.
pub(crate) fn protection(ports: &Ports<'_>) -> Result<DictionaryAttack, PinError> {
    let cancelled = || ports.cancel.is_cancelled();
    begin(ports, &cancelled)?.dictionary_attack().map_err(failed)
}

/// The PIN, when the TPM says that it takes so many wrong ones before it locks.
fn ask_for(left: Option<u32>, is_again: bool, ports: &Ports<'_>) -> Result<Secret, PinError> {
    let wrong = if is_again { "Wrong PIN. " } else { "" };
    let tries = match left {
        Some(1) => " (the last try before the TPM locks)".into(),
        Some(left) => format!(" ({left} tries)"),
        None => String::new(),
    };
    ask(&format!("{wrong}PIN for the TPM{tries}: "), ports)
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
