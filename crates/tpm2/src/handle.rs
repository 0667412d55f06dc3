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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::transport::{Conversation, Patience, Transport, TransportError};
    use crypto::SystemRandom;
    use std::sync::Mutex;
    use std::time::Duration;

    /// Never answers, and takes what is to be said later.
    struct Later(Mutex<Vec<Vec<u8>>>);

    impl Transport for Later {
        fn begin<'a>(&'a self, _: &Patience<'_>) -> Result<Box<dyn Conversation + 'a>, TransportError> {
            Ok(Box::new(Waiting(self)))
        }
    }

    struct Waiting<'a>(&'a Later);

    impl Conversation for Waiting<'_> {
        fn exchange(&mut self, _: &[u8], _: &Patience<'_>) -> Result<Vec<u8>, TransportError> {
            Err(TransportError::Cancelled)
        }

        fn say_later(&mut self, command: &[u8]) -> bool {
            self.0.0.lock().unwrap().push(command.to_vec());
            true
        }

        fn pause(&mut self, _: Duration, _: &Patience<'_>) -> Result<(), TransportError> {
            Ok(())
        }
    }

    #[test]
    fn all_that_is_left_when_a_command_was_given_up_is_flushed_later() {
        let later = Later(Mutex::default());
        let tpm =
            Tpm::begin(&later, Patience { until: None, at_most: None, cancelled: &|| false }, &SystemRandom).unwrap();
        let left = [0x0200_0001, 0x8000_0001].map(|handle| Handle::new(&tpm, handle));
        assert!(tpm.banks().is_err());
        drop(left);
        let flush = |handle: u32| [&b"\x80\x01\0\0\0\x0e\0\0\x01\x65"[..], &handle.to_be_bytes()].concat();
        assert_eq!(*later.0.lock().unwrap(), [flush(0x0200_0001), flush(0x8000_0001)]);
    }
}
