//! Something that lies in the TPM until it is flushed.

use crate::conversation::Tpm;

/// A transient object or a session; flushed when dropped.
pub(crate) struct Handle<'t, 'a> {
    tpm: &'t Tpm<'a>,
    value: Option<u32>,
}

impl<'t, 'a> Handle<'t, 'a> {
    pub(crate) fn new(tpm: &'t Tpm<'a>, value: u32) -> Handle<'t, 'a> {
        Handle { tpm, value: Some(value) }
    }

    /// Of something that was there before and stays: nothing is flushed.
    pub(crate) fn of_what_stays(tpm: &'t Tpm<'a>) -> Handle<'t, 'a> {
        Handle { tpm, value: None }
    }

    /// The TPM has flushed it by itself.
    pub(crate) fn is_gone(&mut self) {
        self.value = None;
    }
}

impl Drop for Handle<'_, '_> {
    fn drop(&mut self) {
        if let Some(handle) = self.value {
            self.tpm.flush(handle);
        }
    }
}
