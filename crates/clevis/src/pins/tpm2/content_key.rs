//! The content key as the original seals it, and what it opens.

use crate::error::{BindingError, PinError};
use crate::pin::{Opened, Ports};
use crypto::Secret;
use jose::{Jwe, Jwk};

/// Bytes of it.
const KEY_LEN: usize = 32;

/// A new one.
pub(in crate::pins) fn new_key(ports: &Ports<'_>) -> Result<Secret, PinError> {
    Secret::try_filled_by(KEY_LEN, |bytes| ports.random.fill(bytes)).map_err(PinError::Random)
}

/// What the original seals: a JWK and a newline, 112 bytes of the 128 that a TPM takes.
pub(in crate::pins) fn key_text(key: &Secret) -> Secret {
    let text = Jwk::content_key(Secret::copied_from(key.expose())).private_json();
    Secret::filled_by(text.len() + 1, |bytes| {
        bytes.iter_mut().zip(text.bytes().chain([b'\n'])).for_each(|(to, from)| *to = from);
    })
}

/// The content of a JWE of this pin, by the text that was sealed for it.
pub(in crate::pins) fn open_by(pin: &'static str, jwe: &Jwe, text: &Secret) -> Result<Opened, PinError> {
    let bad = |source| PinError::BadBinding { pin, source: BindingError::Key(source) };
    let key = Jwk::parse(text.expose()).map_err(bad)?;
    let secret = jwe.decrypt_with(&key).map_err(|source| PinError::WrongKey { pin, source })?;
    let bytes = key.oct_key().map_or(&[][..], Secret::expose);
    Ok(Opened::new(secret, Secret::copied_from(bytes)))
}
