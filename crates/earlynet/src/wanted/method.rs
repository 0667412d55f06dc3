//! Ways to get an address.

use super::fault::{Part, WordError};
use super::fields::{number, wrong};

/// A way to get an address. Those of one rule run side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// DHCPv4.
    Dhcp4,
    /// DHCPv6 for an address.
    Dhcp6,
    /// What a router advertises: addresses of our own making, and DHCPv6 as far as the advertisement says.
    Auto6,
    /// What a router advertises, and DHCPv6 for an address if no router does.
    Either6,
    /// The link-local address alone.
    LinkLocal6,
}

/// An identifier for DHCP (option 61).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientId {
    /// Its type; 1 is for hardware addresses, 0 for anything else.
    pub kind: u8,
    /// The identifier: 1 to 253 bytes.
    pub value: Vec<u8>,
}

/// What stands in the place of a method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Methods {
    /// `none`, `off` and `static` are no method at all.
    pub(super) list: Vec<Method>,
    pub(super) client_id: Option<ClientId>,
}

/// Whether the words says that nothing is to be configured, if it says nothing else.
pub(super) fn is_off(text: &str) -> bool {
    matches!(text, "none" | "off" | "static")
}

/// Whether a part of a word begins with a method, understood or not.
pub(super) fn is_method(text: &str) -> bool {
    let first = text.split(',').next().unwrap_or_default();
    is_off(text) || matches!(one(first), Ok(_) | Err(WordError::Unsupported { .. }))
}

/// Reads `METHOD`, several with commas between them (dracut), or `dhcp,TYPE,TEXT` (the kernel).
pub(super) fn methods(text: &str) -> Result<Methods, WordError> {
    if is_off(text) {
        return Ok(Methods { list: Vec::new(), client_id: None });
    }
    if let Some(identifier) = text.strip_prefix("dhcp,").filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
        return Ok(Methods { list: vec![Method::Dhcp4], client_id: Some(client_id(identifier)?) });
    }
    let mut list = Vec::new();
    for word in text.split(',') {
        for method in one(word)? {
            if !list.contains(method) {
                list.push(*method);
            }
        }
    }
    Ok(Methods { list, client_id: None })
}

fn one(word: &str) -> Result<&'static [Method], WordError> {
    let unsupported = |what| WordError::Unsupported { what, instead: "dhcp" };
    match word {
        "dhcp" | "dhcp4" | "single-dhcp" => Ok(&[Method::Dhcp4]),
        // Whatever there is: the kernel means its own, which are of IPv4, systemd and NetworkManager both families.
        "on" | "any" => Ok(&[Method::Dhcp4, Method::Auto6]),
        "dhcp6" => Ok(&[Method::Dhcp6]),
        "auto6" => Ok(&[Method::Auto6]),
        "either6" => Ok(&[Method::Either6]),
        "link6" | "link-local" => Ok(&[Method::LinkLocal6]),
        "bootp" => Err(unsupported("bootp")),
        "rarp" => Err(unsupported("rarp")),
        "both" => Err(unsupported("bootp with rarp")),
        "ibft" => Err(unsupported("ibft")),
        _ => Err(wrong(Part::Method, word)),
    }
}

fn client_id(text: &str) -> Result<ClientId, WordError> {
    let read = || {
        let (kind, value) = text.split_once(',')?;
        let kind = u8::try_from(number(kind)?).ok()?;
        (1..=253).contains(&value.len()).then(|| ClientId { kind, value: value.into() })
    };
    read().ok_or_else(|| wrong(Part::ClientId, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[Method]) {
        assert_eq!(methods(text), Ok(Methods { list: expected.to_vec(), client_id: None }), "{text}");
    }

    #[test]
    fn words_of_both_worlds() {
        check("dhcp", &[Method::Dhcp4]);
        check("any", &[Method::Dhcp4, Method::Auto6]);
        check("dhcp,dhcp6", &[Method::Dhcp4, Method::Dhcp6]);
        check("on,dhcp", &[Method::Dhcp4, Method::Auto6]);
        check("either6", &[Method::Either6]);
        check("none", &[]);
        assert!(
            is_method("bootp") && is_method("dhcp,1,x") && is_method("off") && !is_method("") && !is_method("eth0")
        );
    }

    #[test]
    fn the_kernels_client_identifier() {
        let read = |text| methods(text).map(|methods| methods.client_id);
        assert_eq!(read("dhcp,0,ab"), Ok(Some(ClientId { kind: 0, value: b"ab".to_vec() })));
        for bad in ["dhcp,0", "dhcp,0,", "dhcp,256,a"] {
            assert!(matches!(read(bad), Err(WordError::Part { part: Part::ClientId, .. })), "{bad}");
        }
        assert!(matches!(read("dhcp,"), Err(WordError::Part { part: Part::Method, .. })));
        assert!(matches!(read("rarp"), Err(WordError::Unsupported { .. })));
    }
}
