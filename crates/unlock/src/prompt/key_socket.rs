//! The key socket of crypttab (systemd 248 and later): systemd-cryptsetup reads the key of a volume from a socket that it connects to, and says
//! for which volume by the address that it connects from (`crypttab(5)`, "AF_UNIX KEY FILES").

/// Digits of the random number in the address.
const DIGITS: usize = 16;

/// The volume, as crypttab names it, of a caller from the abstract address `NUMBER/cryptsetup/VOLUME` (without the zero byte in front of
/// it); `None` for whoever else calls.
pub fn volume_of_caller(address: &[u8]) -> Option<&str> {
    let (number, rest) = str::from_utf8(address).ok()?.split_once('/')?;
    let is_number = number.len() == DIGITS && number.bytes().all(|byte| byte.is_ascii_hexdigit());
    let name = rest.strip_prefix("cryptsetup/").filter(|_| is_number)?;
    let is_name = !name.is_empty() && !name.contains(['/', '\0']);
    is_name.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_names_the_volume() {
        assert_eq!(volume_of_caller(b"2a8c5a4a0e9d5c6c/cryptsetup/data x"), Some("data x"));
        for other in [
            &b""[..],
            b"2a8c5a4a0e9d5c6c/cryptsetup/",
            b"2a8c5a4a0e9d5c6/cryptsetup/x",
            b"2a8c5a4a0e9d5c6g/cryptsetup/x",
            b"2a8c5a4a0e9d5c6c/veritysetup/x",
            b"2a8c5a4a0e9d5c6c/cryptsetup/a/b",
            b"2a8c5a4a0e9d5c6c/cryptsetup/\xff",
            b"/run/x",
        ] {
            assert_eq!(volume_of_caller(other), None, "{other:?}");
        }
    }
}
