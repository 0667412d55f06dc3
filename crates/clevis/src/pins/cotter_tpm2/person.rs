//! A new PIN.

use crate::error::PinError;
use crate::pin::Ports;
use crate::tpm_pin::ask;
use crypto::Secret;

/// Bytes of a salt.
pub(super) const SALT_LEN: usize = 32;

/// A new PIN, typed twice.
pub(super) fn choose(ports: &Ports<'_>) -> Result<Secret, PinError> {
    let first = ask("New PIN for the TPM: ", ports)?;
    if first.is_empty() {
        return Err(PinError::PinNotSet { why: "it is empty" });
    }
    let again = ask("The same PIN again: ", ports)?;
    if again.ct_eq(first.expose()) { Ok(first) } else { Err(PinError::PinNotSet { why: "the two differ" }) }
}
