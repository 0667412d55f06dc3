//! A check value for each share, so that a wrong one is known by itself.
//!
//! `SHA-256("cotter sss share" ‖ p ‖ i ‖ x ‖ y)`, cut to 16 bytes: i is the number of the share, 4 bytes, big endian, from 0. It
//! tells nothing of the share, whose x and y are 256 bits of chance each, and finding another share with the same value takes
//! 2^128 tries. The values stand in the member `check` of our annotation, as base64url; bindings of the original have none.

use super::field::Modulus;
use crypto::{Hash, Secret};
use jose::b64;
use json::{Field, FieldError, Value};

/// The member of our annotation.
pub(super) const CHECK: &str = "check";

/// What is hashed first, so that no other use of SHA-256 gives the same value.
const LABEL: &[u8] = b"cotter sss share";

/// Bytes that are kept.
const LEN: usize = 16;

/// The check value of one share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check([u8; LEN]);

impl Check {
    /// Of the share with this number.
    pub(super) fn of(modulus: &Modulus, number: usize, share: &Secret) -> Check {
        let number = u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes();
        let digest = Hash::Sha256.digest(&[LABEL, &modulus.to_bytes(), &number, share.expose()]);
        let mut kept = [0; LEN];
        kept.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
        Check(kept)
    }

    /// As the header has it.
    pub(super) fn to_json(&self) -> Value {
        b64::encode(&self.0).into()
    }

    /// Reads the list of a header: one value for each of so many shares.
    pub(super) fn read_all(list: &Field<'_>, shares: usize) -> Result<Vec<Check>, FieldError> {
        let checks: Vec<Check> = list.items()?.map(|check| Check::read(&check)).collect::<Result<_, _>>()?;
        if checks.len() == shares { Ok(checks) } else { Err(list.wrong_value("one check value for each share")) }
    }

    fn read(check: &Field<'_>) -> Result<Check, FieldError> {
        let bytes = b64::decode(check.text()?).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Check).ok_or_else(|| check.wrong_value("16 bytes as base64url"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_value_depends_on_everything_that_it_is_of() {
        let modulus =
            |last: u8| Modulus::read(&std::array::from_fn::<u8, 32, _>(|i| if i == 31 { last } else { 1 })).unwrap();
        let of = |last, number, byte| Check::of(&modulus(last), number, &Secret::new(vec![byte; 64]));
        assert_eq!(of(3, 0, 7), of(3, 0, 7));
        for other in [of(5, 0, 7), of(3, 1, 7), of(3, 0, 8)] {
            assert_ne!(of(3, 0, 7), other);
        }
    }

    /// `printf 'cotter sss share' … | sha256sum`, with p of 31 bytes 1 and a 3, share 0 of 64 bytes 7.
    #[test]
    fn the_value_is_the_one_that_the_module_says() {
        let mut p = [1; 32];
        p[31] = 3;
        let check = Check::of(&Modulus::read(&p).unwrap(), 0, &Secret::new(vec![7; 64]));
        assert_eq!(check.to_json().as_str().unwrap(), "nOnfcZAcO14WWjtcQcnnbQ");
    }

    #[test]
    fn lists_are_read_strictly() {
        let read = |text: &str, shares| {
            let value = json::parse(text.as_bytes(), &json::Limits::POLICY).unwrap();
            Check::read_all(&value.field("check"), shares).map(|checks| checks.len()).map_err(|e| e.to_string())
        };
        let one = "\"AAAAAAAAAAAAAAAAAAAAAA\"";
        assert_eq!(read(&format!("[{one},{one}]"), 2), Ok(2));
        assert!(read(&format!("[{one}]"), 2).unwrap_err().contains("one check value for each share"));
        for bad in ["\"AAAA\"", "7", "\"!\"", "\"\""] {
            assert!(read(&format!("[{bad}]"), 1).is_err(), "{bad}");
        }
        assert!(read("{}", 0).is_err());
    }
}
