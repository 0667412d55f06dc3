//! What a TPM's refusal means for a binding.

use super::binding::{Binding, NAME};
use crate::error::{BindingError, PinError};
use ::tpm2::{Meaning, Tpm, TpmError};

/// A refusal that has nothing to do with what a binding says.
pub(crate) fn failed(source: TpmError) -> PinError {
    if source.is_cancelled() { PinError::Cancelled } else { PinError::Tpm { source, protection: None } }
}

/// As [`failed`]; a TPM that says why is asked for the rest of it.
pub(super) fn failed_with(source: TpmError, binding: &Binding, tpm: &Tpm<'_>) -> PinError {
    match (source.meaning(), &binding.pcrs) {
        (Some(Meaning::PolicyFailed), Some((selection, _))) => PinError::PcrMismatch { selection: *selection, source },
        // It is the sealed object that the TPM cannot make sense of: the header was damaged.
        (Some(Meaning::Other), _) if matches!(source, TpmError::Refused { command: "TPM2_Load", .. }) => {
            PinError::BadBinding { pin: NAME, source: BindingError::Sealed(source) }
        }
        (Some(Meaning::LockedOut), _) => PinError::Tpm { source, protection: tpm.dictionary_attack().ok() },
        _ => failed(source),
    }
}
