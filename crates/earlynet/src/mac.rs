//! Hardware addresses of network cards.

use std::fmt;
use std::str::FromStr;

/// The address of an Ethernet card: six octets. Longer ones (InfiniBand) are not understood here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

/// No hardware address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotMac;

impl Mac {
    /// Reads what PXE boot loaders write, `01-52-54-00-12-34-56`, and the same without the type of hardware in front.
    pub fn from_bootif(text: &str) -> Result<Mac, NotMac> {
        text.strip_prefix("01-").or_else(|| text.strip_prefix("01:")).unwrap_or(text).parse()
    }
}

/// `52:54:00:12:34:56` or with dashes, in either case of letters.
impl FromStr for Mac {
    type Err = NotMac;

    fn from_str(text: &str) -> Result<Mac, NotMac> {
        let separator = if text.contains('-') { '-' } else { ':' };
        let mut octets = text.split(separator).map(octet);
        let mut mac = [0; 6];
        for place in &mut mac {
            *place = octets.next().ok_or(NotMac)??;
        }
        if octets.next().is_some() { Err(NotMac) } else { Ok(Mac(mac)) }
    }
}

fn octet(text: &str) -> Result<u8, NotMac> {
    if text.len() != 2 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(NotMac);
    }
    u8::from_str_radix(text, 16).map_err(|_| NotMac)
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = Mac([0x52, 0x54, 0, 0x12, 0xab, 0x56]);

    #[test]
    fn both_spellings_are_read() {
        assert_eq!("52:54:00:12:ab:56".parse(), Ok(MAC));
        assert_eq!("52-54-00-12-AB-56".parse(), Ok(MAC));
        assert_eq!(Mac::from_bootif("01-52-54-00-12-ab-56"), Ok(MAC));
        assert_eq!(Mac::from_bootif("52:54:00:12:ab:56"), Ok(MAC));
        assert_eq!(MAC.to_string(), "52:54:00:12:ab:56");
    }

    #[test]
    fn anything_else_is_none() {
        for text in [
            "",
            "52",
            "52:54:00:12:ab",
            "52:54:00:12:ab:56:00",
            "5:54:00:12:ab:56",
            "+2:54:00:12:ab:56",
            "52-54:00:12:ab:56",
        ] {
            assert_eq!(text.parse::<Mac>(), Err(NotMac), "{text}");
        }
    }
}
