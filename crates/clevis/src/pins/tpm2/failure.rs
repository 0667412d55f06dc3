//! What a TPM's refusal means for a binding.

use super::binding::Binding;
use crate::error::PinError;
use ::tpm2::{Meaning, Tpm, TpmError};

/// A refusal that has nothing to do with what a binding says.
pub(super) fn failed(source: TpmError) -> PinError {
    if source.is_cancelled() { PinError::Cancelled } else { PinError::Tpm { source, protection: None } }
}

/// As [`failed`]; a TPM that says why is asked for the rest of it.
pub(super) fn failed_with(source: TpmError, binding: &Binding, tpm: &Tpm<'_>) -> PinError {
    match (source.meaning(), &binding.pcrs) {
        (Some(Meaning::PolicyFailed), Some((selection, _))) => PinError::PcrMismatch { selection: *selection, source },
        (Some(Meaning::LockedOut), _) => PinError::Tpm { source, protection: tpm.dictionary_attack().ok() },
        _ => failed(source),
    }
}
