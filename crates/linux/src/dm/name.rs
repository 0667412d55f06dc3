//! Names of mappings, and the UUIDs that tell what they are.
//!
//! Both are written for the kernel as libdevmapper writes them, so that `dmsetup`, `cryptsetup` and udev find them: what is not
//! a letter, a digit or one of `#+-.:=@_` becomes `\x` and two hexadecimal digits. No document says so; it is what
//! libdevmapper 1.02.185 was seen to do.

use std::fmt;

/// Longest name in the kernel's form, in bytes (`DM_NAME_LEN` less its zero).
const LONGEST_NAME: usize = 127;
/// Longest UUID in the kernel's form, in bytes (`DM_UUID_LEN` less its zero).
const LONGEST_UUID: usize = 128;
/// What every UUID of libcryptsetup begins with.
const CRYPT: &str = "CRYPT-";

/// The name of a mapping, in the kernel's form, which is also the name of its node in `/dev/mapper`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MappingName(String);

impl MappingName {
    /// The name as a person writes it, or already in the kernel's form.
    ///
    /// # Errors
    /// [`NameError`].
    pub fn new(text: &str) -> Result<MappingName, NameError> {
        let bad = |why| NameError { name: text.to_owned(), why };
        if text.is_empty() {
            return Err(bad(BadName::Empty));
        }
        if text.contains(['/', '\0']) {
            return Err(bad(BadName::Slash));
        }
        if matches!(text, "." | ".." | "control") {
            return Err(bad(BadName::Reserved));
        }
        let name = mangled(text).ok_or_else(|| bad(BadName::Mixed))?;
        if name.len() > LONGEST_NAME { Err(bad(BadName::TooLong { bytes: name.len() })) } else { Ok(MappingName(name)) }
    }

    /// What the kernel says is a name.
    pub(super) fn from_kernel(text: &str) -> MappingName {
        MappingName(text.to_owned())
    }

    /// The kernel's form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MappingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a mapping is and whose, in the kernel's form: any text, by convention who made it and for what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MappingUuid(String);

impl MappingUuid {
    /// `CRYPT-FORMAT-VOLUME-NAME`, by which libcryptsetup knows the mapping of an encrypted volume: its format (`LUKS1`,
    /// `LUKS2`), its own UUID without dashes, and the mapping's name. What is too long is cut off, as there.
    pub fn of_crypt(format: &str, volume: &str, name: &MappingName) -> MappingUuid {
        let volume: String = volume.chars().filter(char::is_ascii_alphanumeric).collect();
        let mut text = format!("{CRYPT}{format}-{volume}-{name}");
        while text.len() > LONGEST_UUID {
            text.pop();
        }
        MappingUuid(text)
    }

    /// What the kernel says is a UUID; `None` if there is none.
    pub(super) fn from_kernel(text: &str) -> Option<MappingUuid> {
        Some(text).filter(|text| !text.is_empty()).map(|text| MappingUuid(text.to_owned()))
    }

    /// The kernel's form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The format of the encrypted volume, such as `LUKS2`; `None` if the mapping is of another kind.
    pub fn crypt_format(&self) -> Option<&str> {
        self.0.strip_prefix(CRYPT)?.split('-').next()
    }
}

impl fmt::Display for MappingUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The kernel's form of `text`; `None` if part of it is in that form and part cannot be.
fn mangled(text: &str) -> Option<String> {
    let mut rest = text.as_bytes();
    let (mut plain, mut written) = (true, false);
    while let Some((first, after)) = rest.split_first() {
        rest = match rest {
            [b'\\', b'x', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                written = true;
                after
            }
            _ => {
                plain &= is_plain(*first);
                after
            }
        };
    }
    match (plain, written) {
        (true, _) => Some(text.to_owned()),
        (false, true) => None,
        (false, false) => Some(text.bytes().map(written_out).collect()),
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"#+-.:=@_".contains(&byte)
}

fn written_out(byte: u8) -> String {
    if is_plain(byte) { char::from(byte).to_string() } else { format!("\\x{byte:02x}") }
}

/// A name that no mapping can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameError {
    name: String,
    why: BadName,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum BadName {
    Empty,
    Slash,
    Reserved,
    Mixed,
    TooLong { bytes: usize },
}

impl NameError {
    /// What a person can do.
    pub fn hint(&self) -> String {
        "choose a name of letters, digits and # + - . : = @ _, such as luks-home".to_owned()
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match self.why {
            BadName::Empty => f.write_str("a mapping needs a name"),
            BadName::Slash => write!(f, "{name:?} cannot be the name of a mapping: it has a slash or a zero in it"),
            BadName::Reserved => write!(f, "{name:?} cannot be the name of a mapping: /dev/mapper has it already"),
            BadName::Mixed => {
                write!(
                    f,
                    "{name:?} cannot be the name of a mapping: part of it is written out as \\x.. and part is not"
                )
            }
            BadName::TooLong { bytes } => {
                write!(f, "{name:?} cannot be the name of a mapping: {bytes} bytes, where {LONGEST_NAME} are the most")
            }
        }
    }
}

impl std::error::Error for NameError {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_are_written_as_libdevmapper_writes_them() {
        let check = |text: &str, expected: &str| assert_eq!(MappingName::new(text).unwrap().as_str(), expected);
        check("luks-7e6a1f1e-0000-4000-8000-000000000000", "luks-7e6a1f1e-0000-4000-8000-000000000000");
        check("a#+-.:=@_9", "a#+-.:=@_9");
        check("a b", r"a\x20b");
        check("straße", r"stra\xc3\x9fe");
        check(r"a\b", r"a\x5cb");
        check(r"a\x20b", r"a\x20b");
        check(r"a\x2", r"a\x5cx2");
        check(&"n".repeat(127), &"n".repeat(127));
    }

    #[test]
    fn a_name_that_cannot_be_is_refused_and_said_why() {
        let check = |text: &str, why: BadName| assert_eq!(MappingName::new(text).unwrap_err().why, why, "{text}");
        check("", BadName::Empty);
        check("a/b", BadName::Slash);
        check("../etc", BadName::Slash);
        check("a\0", BadName::Slash);
        check("..", BadName::Reserved);
        check("control", BadName::Reserved);
        check(r"a\x20b c", BadName::Mixed);
        check(&"n".repeat(128), BadName::TooLong { bytes: 128 });
        check(&" ".repeat(32), BadName::TooLong { bytes: 128 });
        let shown = MappingName::new("a/b\n").unwrap_err();
        assert!(shown.to_string().starts_with(r#""a/b\n" cannot be"#), "{shown}");
    }

    #[test]
    fn uuids_are_those_of_libcryptsetup() {
        let name = MappingName::new("a b").unwrap();
        let uuid = MappingUuid::of_crypt("LUKS1", "376e5357-1288-4fed-8874-8aa4434af08d", &name);
        assert_eq!(uuid.as_str(), r"CRYPT-LUKS1-376e535712884fed88748aa4434af08d-a\x20b");
        assert_eq!(uuid.crypt_format(), Some("LUKS1"));
        let long = MappingName::new(&"n".repeat(127)).unwrap();
        assert_eq!(MappingUuid::of_crypt("LUKS2", "40f0136c-be52-483b-9f66-b2e9d62f6e14", &long).as_str().len(), 128);
        let lvm = MappingUuid::from_kernel("LVM-abc").unwrap();
        assert_eq!((lvm.crypt_format(), MappingUuid::from_kernel("")), (None, None));
    }
}
