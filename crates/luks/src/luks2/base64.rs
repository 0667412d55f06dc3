//! Binary members of the JSON: base64 with padding (LUKS2 on-disk format, section 3.1), read strictly.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use json::{Field, FieldError};

/// Longest salt or digest that is taken. cryptsetup writes 32 bytes of salt and digests of at most 64.
const LONGEST: usize = 1024;

/// The bytes that this string stands for.
pub(crate) fn bytes(field: &Field<'_>) -> Result<Vec<u8>, FieldError> {
    let text = field.text()?;
    if text.len() > LONGEST {
        return Err(field.wrong_value("at most 1024 characters long"));
    }
    STANDARD.decode(text).map_err(|_| field.wrong_value("base64"))
}

/// The string that stands for these bytes.
pub(crate) fn text(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}
