//! Strict base64url without padding (RFC 4648 section 5, as RFC 7515 section 2 wants it).
//!
//! One text for each sequence of bytes: no padding, no `+` or `/`, no white space, no length of 1 modulo 4, and no bit set
//! that no byte uses. So a thumbprint over a decoded key is the thumbprint of the text, and a changed character is seen.

use base64::engine::{Engine as _, general_purpose::URL_SAFE_NO_PAD};
use crypto::Secret;
use std::fmt;
use zeroize::Zeroizing;

/// Why a text is not base64url. It quotes nothing of the text, which may have been a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum B64Error {
    /// A character outside the alphabet `A-Z a-z 0-9 - _`.
    Character {
        /// Its place, from 0.
        offset: usize,
    },
    /// No number of bytes is written in this many characters.
    Length {
        /// How many there are.
        characters: usize,
    },
    /// The last character has bits set that belong to no byte.
    StrayBits,
}

/// The text of `bytes`.
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The text of secret bytes; it is wiped when dropped.
pub fn encode_secret(bytes: &[u8]) -> Zeroizing<String> {
    // Straight into its place: the library's way to a `String` goes through a buffer on the stack that nobody wipes.
    let mut text = Zeroizing::new(vec![0; (bytes.len() * 4).div_ceil(3)]);
    match URL_SAFE_NO_PAD.encode_slice(bytes, &mut text).map(|_| String::from_utf8(std::mem::take(&mut text))) {
        Ok(Ok(text)) => Zeroizing::new(text),
        Ok(Err(_)) | Err(_) => unreachable!("base64 is ASCII, four characters for three bytes"),
    }
}

/// The bytes of `text`.
///
/// # Errors
/// [`B64Error`], with the first thing that is wrong.
pub fn decode(text: &str) -> Result<Vec<u8>, B64Error> {
    let mut bytes = vec![0; decoded_len(text)];
    decode_into(text, &mut bytes).map(|()| bytes)
}

/// The secret bytes of `text`.
///
/// # Errors
/// As [`decode`].
pub fn decode_secret(text: &str) -> Result<Secret, B64Error> {
    Secret::try_filled_by(decoded_len(text), |bytes| decode_into(text, bytes))
}

/// Four characters are three bytes, two are one, three are two; one alone is nothing, and is refused when it is decoded.
fn decoded_len(text: &str) -> usize {
    text.len() / 4 * 3 + (text.len() % 4).saturating_sub(1)
}

fn decode_into(text: &str, bytes: &mut [u8]) -> Result<(), B64Error> {
    match URL_SAFE_NO_PAD.decode_slice(text, bytes) {
        Ok(_) => Ok(()),
        Err(_) => Err(fault(text)),
    }
}

/// What is wrong with a text that was not decoded. The library's own errors quote characters and treat `=` apart.
fn fault(text: &str) -> B64Error {
    let strange = |byte: u8| !byte.is_ascii_alphanumeric() && byte != b'-' && byte != b'_';
    match text.bytes().position(strange) {
        Some(offset) => B64Error::Character { offset },
        None if text.len() % 4 == 1 => B64Error::Length { characters: text.len() },
        None => B64Error::StrayBits,
    }
}

impl fmt::Display for B64Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            B64Error::Character { offset } => write!(f, "character {offset} is not one of base64url"),
            B64Error::Length { characters } => write!(f, "{characters} characters are no whole bytes of base64url"),
            B64Error::StrayBits => f.write_str("the last character has bits that belong to no byte"),
        }
    }
}

impl std::error::Error for B64Error {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    /// RFC 4648 section 10, in the alphabet of its section 5 and without padding; RFC 7515 appendix C.
    #[test]
    fn known_answers() {
        for (bytes, text) in [
            (&b""[..], ""),
            (b"f", "Zg"),
            (b"fo", "Zm8"),
            (b"foo", "Zm9v"),
            (b"foob", "Zm9vYg"),
            (b"fooba", "Zm9vYmE"),
            (b"foobar", "Zm9vYmFy"),
            (&[3, 236, 255, 224, 193], "A-z_4ME"),
        ] {
            assert_eq!(encode(bytes), text);
            assert_eq!(decode(text).unwrap(), bytes);
            assert_eq!(encode_secret(bytes).as_str(), text);
            assert!(decode_secret(text).unwrap().ct_eq(bytes));
        }
    }

    #[test]
    fn anything_but_the_one_text_is_refused() {
        for (text, error) in [
            ("Zg==", B64Error::Character { offset: 2 }),
            ("Zm8=", B64Error::Character { offset: 3 }),
            ("A+z_", B64Error::Character { offset: 1 }),
            ("A-z/", B64Error::Character { offset: 3 }),
            ("Zm9v\n", B64Error::Character { offset: 4 }),
            (" Zm9", B64Error::Character { offset: 0 }),
            ("Zm9v Zg", B64Error::Character { offset: 4 }),
            ("Zh", B64Error::StrayBits),
            ("Zm9", B64Error::StrayBits),
            ("Z", B64Error::Length { characters: 1 }),
            ("Zm9vZ", B64Error::Length { characters: 5 }),
            ("Zm\u{e9}", B64Error::Character { offset: 2 }),
        ] {
            assert_eq!(decode(text), Err(error), "{text:?}");
            assert_eq!(decode_secret(text).unwrap_err(), error, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(encode_secret(&bytes).to_string(), encode(&bytes));
            prop_assert_eq!(decode(&encode(&bytes)).unwrap(), bytes);
        }

        #[test]
        fn a_text_that_is_read_is_the_one_that_is_written(text in "[A-Za-z0-9_-]{0,12}") {
            if let Ok(bytes) = decode(&text) {
                prop_assert_eq!(encode(&bytes), text);
            }
        }
    }
}
