//! The parts of a word, with colons between them.

use super::fault::{Part, WordError};
use crate::link_name::LinkName;
use crate::mac::Mac;
use crate::subnet::parse_address;
use std::net::IpAddr;

/// Splits at the colons outside of brackets. An empty text is one empty part.
pub(super) fn split(text: &str) -> Vec<&str> {
    let mut inside = false;
    let separates = |character: char| {
        match character {
            '[' => inside = true,
            ']' => inside = false,
            _ => {}
        }
        character == ':' && !inside
    };
    text.split(separates).collect()
}

/// One part, which may be missing at the end of the word.
pub(super) fn part<'a>(fields: &[&'a str], at: usize) -> Option<&'a str> {
    fields.get(at).copied().filter(|field| !field.is_empty())
}

pub(super) fn wrong(part: Part, found: &str) -> WordError {
    WordError::Part { part, found: found.to_owned() }
}

pub(super) fn address(text: &str, part: Part) -> Result<IpAddr, WordError> {
    parse_address(text).ok_or_else(|| wrong(part, text))
}

pub(super) fn link(text: &str) -> Result<LinkName, WordError> {
    LinkName::new(text).ok_or_else(|| wrong(Part::Link, text))
}

pub(super) fn mtu(text: &str) -> Result<u32, WordError> {
    number(text).filter(|mtu| (68..=65535).contains(mtu)).ok_or_else(|| wrong(Part::Mtu, text))
}

/// A hardware address with dashes in one part, or with colons in six. `None` if there is none.
pub(super) fn mac(fields: &[&str]) -> Result<Option<Mac>, WordError> {
    let text = fields.join(":");
    if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(|_| wrong(Part::Mac, &text)) }
}

/// A decimal number without a sign.
pub(super) fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_protect_colons() {
        assert_eq!(split(""), [""]);
        assert_eq!(split("a::b:"), ["a", "", "b", ""]);
        assert_eq!(split("[2001:db8::1]::[fe80::1]:64"), ["[2001:db8::1]", "", "[fe80::1]", "64"]);
        assert_eq!(split("[2001:db8::1]/64:x"), ["[2001:db8::1]/64", "x"]);
        assert_eq!(split("a:[b:c"), ["a", "[b:c"]);
    }
}
