//! What a key in a TPM is called.

use clevis::measured::{from_hex, to_hex};
use std::fmt;
use std::ops::RangeInclusive;

/// The name of a key in a TPM: two bytes of its hash algorithm, big-endian, and the digest of its public area (TPM 2.0 Library, Part 1,
/// section 16).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ParentName(Vec<u8>);

/// Bytes of a name: with SHA-1 and with SHA-512.
const LENGTHS: RangeInclusive<usize> = 22..=66;

impl ParentName {
    /// One of the length of a name.
    pub fn of(bytes: &[u8]) -> Option<ParentName> {
        LENGTHS.contains(&bytes.len()).then(|| ParentName(bytes.to_vec()))
    }

    /// One that was printed: 44 to 132 hexadecimal digits.
    pub fn parse(text: &str) -> Option<ParentName> {
        from_hex(text).and_then(|bytes| ParentName::of(&bytes))
    }
}

impl fmt::Display for ParentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_printed() {
        let text = format!("000b{}", "a7".repeat(32));
        let name = ParentName::parse(&text).unwrap();
        assert_eq!(name.to_string(), text);
        assert_eq!(ParentName::parse(&text.to_uppercase()), Some(name));
        for bad in ["", "000b", &text[1..], &text.replace("a7a7", "+7a7"), &"00".repeat(21), &"00".repeat(67)] {
            assert_eq!(ParentName::parse(bad), None, "{bad}");
        }
    }
}
