//! The PIN: asked for, and made into what the TPM compares.

use super::binding::HASH;
use crate::error::PinError;
use crate::pin::Ports;
use crate::ports::PersonError;
use crypto::{Secret, kdf};
use std::num::NonZeroU32;

/// Bytes of a salt.
pub(super) const SALT_LEN: usize = 32;
/// A PIN is short and the TPM counts wrong ones; this is for whoever has taken the TPM apart.
const ITERATIONS: NonZeroU32 = NonZeroU32::MIN.saturating_add(9_999);

/// A new PIN, typed twice.
pub(super) fn choose(ports: &Ports<'_>) -> Result<Secret, PinError> {
    let first = ask("New PIN for the TPM: ", ports)?;
    if first.is_empty() {
        return Err(PinError::PinNotSet { why: "it is empty" });
    }
    let again = ask("The same PIN again: ", ports)?;
    if again.ct_eq(first.expose()) { Ok(first) } else { Err(PinError::PinNotSet { why: "the two differ" }) }
}

/// The PIN of a binding, when the TPM takes so many wrong ones before it locks.
pub(super) fn ask_for(left: u32, after: Option<u32>, ports: &Ports<'_>) -> Result<Secret, PinError> {
    let wrong = if after.is_some() { "Wrong PIN. " } else { "" };
    let tries = if left == 1 { "the last try before the TPM locks".into() } else { format!("{left} tries") };
    ask(&format!("{wrong}PIN for the TPM ({tries}): "), ports)
}

fn ask(question: &str, ports: &Ports<'_>) -> Result<Secret, PinError> {
    let cancelled = |source| match source {
        _ if ports.cancel.is_cancelled() => PinError::Cancelled,
        source @ (PersonError::NoTerminal | PersonError::Terminal { .. }) => PinError::NobodyForPin { source },
    };
    ports.person.pin(question, ports.cancel).map_err(cancelled)
}

/// The authorisation value: `PBKDF2-HMAC-SHA256(PIN, salt, 10000)`, 32 bytes.
pub(super) fn value(pin: &Secret, salt: &[u8]) -> Secret {
    Secret::filled_by(HASH.len(), |into| kdf::pbkdf2(HASH, pin.expose(), salt, ITERATIONS, into))
}
