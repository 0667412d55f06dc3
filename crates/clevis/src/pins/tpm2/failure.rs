//! What a TPM's refusal means for whatever it has sealed.

use crate::error::{BindingError, PinError};
use ::tpm2::{DictionaryAttack, Meaning, PcrSelection, Tpm, TpmError};

/// A refusal that has nothing to do with what a binding says.
pub(crate) fn failed(source: TpmError) -> PinError {
    if source.is_cancelled() { PinError::Cancelled } else { PinError::Tpm { source, protection: None } }
}

/// As [`failed`], of what `pin` has sealed for these PCRs; a TPM that says why is asked for the rest of it.
pub(crate) fn refused(pin: &'static str, pcrs: Option<PcrSelection>, source: TpmError, tpm: &Tpm<'_>) -> PinError {
    match (source.meaning(), pcrs) {
        (Some(Meaning::PolicyFailed), Some(selection)) => PinError::PcrMismatch { selection, source },
        // It is the sealed object that the TPM cannot make sense of: the header was damaged.
        (Some(Meaning::Other), _) if matches!(source, TpmError::Refused { command: "TPM2_Load", .. }) => {
            PinError::BadBinding { pin, source: BindingError::Sealed(source) }
        }
        (Some(Meaning::LockedOut), _) => PinError::Tpm { source, protection: tpm.dictionary_attack().ok() },
        (Some(Meaning::WrongValue), _) => {
            let protection = tpm.dictionary_attack().ok();
            PinError::WrongPin { left: protection.as_ref().and_then(DictionaryAttack::tries_left) }
        }
        _ => failed(source),
    }
}
