//! Names of network interfaces.

use std::fmt;

/// The name of an interface, as the kernel allows it: 1 to 15 bytes, no white space, no slash, no colon, not `.` or `..`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkName(String);

impl LinkName {
    /// `None` if no interface can be called that. More than the kernel refuses is refused here: control characters and what is not ASCII.
    pub fn new(text: &str) -> Option<LinkName> {
        let fits = (1..=15).contains(&text.len()) && !matches!(text, "." | "..");
        let allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':' | b'\'' | b'"' | b'\\');
        (fits && text.bytes().all(allowed)).then(|| LinkName(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_would_refuse_is_no_name() {
        for good in ["eth0", "enp0s31f6", "bond0.100", "br-lan", "vlan0005", "123456789012345"] {
            assert!(LinkName::new(good).is_some(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "eth0:1", "a b", "1234567890123456", "a\tb", "\u{e9}th0"] {
            assert!(LinkName::new(bad).is_none(), "{bad}");
        }
    }
}
