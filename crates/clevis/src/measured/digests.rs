//! Values of PCRs in JSON: an object of PCR numbers and hexadecimal digests, `{"7":"65ca…"}`.

use json::{Field, FieldError, Object};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What some PCRs of one bank hold.
pub type PcrDigests = BTreeMap<u8, Vec<u8>>;

/// PCRs that there are.
const PCRS: u8 = 24;

/// Reads them; every digest must be `len` bytes long.
///
/// # Errors
/// [`FieldError`].
pub fn read_digests(field: &Field<'_>, len: usize) -> Result<PcrDigests, FieldError> {
    let one = |(name, digest): (&str, Field<'_>)| {
        let wrong = || digest.wrong_value("the digest of a PCR in hexadecimal, under its number");
        let pcr = name.parse().ok().filter(|pcr: &u8| *pcr < PCRS && pcr.to_string() == name).ok_or_else(wrong)?;
        let bytes = from_hex(digest.text()?).filter(|bytes| bytes.len() == len).ok_or_else(wrong)?;
        Ok((pcr, bytes))
    };
    field.members()?.map(one).collect()
}

/// Writes them.
pub fn digests_to_json(digests: &PcrDigests) -> Object {
    digests.iter().fold(Object::new(), |json, (pcr, digest)| json.with(&pcr.to_string(), to_hex(digest)))
}

/// Small letters.
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a text does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Both letters.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.chars().map(|c| c.to_digit(16)?.try_into().ok()).collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use json::Limits;

    #[test]
    fn digests_are_read_as_they_are_written_and_nothing_else_is() {
        let read = |text: &str| {
            let value = json::parse(text.as_bytes(), &Limits::POLICY).unwrap();
            read_digests(&value.field("pcrs"), 2)
        };
        let both = read(r#"{"7":"00fF","12":"abcd"}"#).unwrap();
        assert_eq!(digests_to_json(&both), Object::new().with("7", "00ff").with("12", "abcd"));
        for bad in [r#"{"24":"00ff"}"#, r#"{"07":"00ff"}"#, r#"{"7":"00"}"#, r#"{"7":"0ff"}"#, r#"{"7":"é0ff"}"#, "[]"]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
