//! Names of the domain name system, as text and on the wire (RFC 1035, sections 2.3.4, 3.1 and 4.1.4).

use crate::bytes::{Reader, Short};
use std::error::Error;
use std::fmt;

/// The longest name on the wire, its end included.
const LONGEST: usize = 255;
const LONGEST_LABEL: usize = 63;
/// A name has no more labels than that, and each may need a pointer; more are there to cost time.
const MOST_POINTERS: usize = 127;

/// An absolute name, in small letters: two names that differ in case alone are the same.
///
/// From the wire any bytes can come; [`Name::parse`] allows only what host names are made of.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// Each label behind a byte with its length; without the empty label at the end.
    labels: Vec<u8>,
}

/// Why there is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// The message ends within it.
    Short(Short),
    /// It is empty, or a label is: two dots in a row, or one in front.
    Empty,
    /// A label of more than 63 bytes, or a name of more than 255.
    TooLong,
    /// A character that host names do not have. International names are written in their `xn--` form.
    Character(char),
    /// A pointer that does not lead back, so that reading might never end, or one where there may be none.
    Pointer,
    /// A label of a kind that does not exist (the upper bits `01` or `10`).
    Kind,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameError::Short(short) => short.fmt(f),
            NameError::Empty => f.write_str("a name has an empty part"),
            NameError::TooLong => f.write_str("a name is longer than 255 bytes, or a part of it than 63"),
            NameError::Character(character) => write!(f, "{character:?} cannot stand in a host name"),
            NameError::Pointer => f.write_str("a compressed name does not lead back in the message"),
            NameError::Kind => f.write_str("a name has a label of an unknown kind"),
        }
    }
}

impl Error for NameError {}

impl From<Short> for NameError {
    fn from(short: Short) -> NameError {
        NameError::Short(short)
    }
}

/// Whether a name may end with a pointer to an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    Allowed,
    Refused,
}

impl Name {
    /// Reads a host name or a domain: letters, digits, `-`, `_`, with dots between them and perhaps one at the end.
    pub fn parse(text: &str) -> Result<Name, NameError> {
        let mut labels = Vec::with_capacity(text.len().min(LONGEST) + 1);
        for label in text.strip_suffix('.').unwrap_or(text).split('.') {
            if let Some(bad) = label.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_')) {
                return Err(NameError::Character(bad));
            }
            if label.is_empty() {
                return Err(NameError::Empty);
            }
            push(&mut labels, label.as_bytes())?;
        }
        Ok(Name { labels })
    }

    /// This name within `domain`.
    pub fn within(&self, domain: &Name) -> Result<Name, NameError> {
        let labels = [self.labels.as_slice(), &domain.labels].concat();
        if labels.len() < LONGEST { Ok(Name { labels }) } else { Err(NameError::TooLong) }
    }

    /// How many dots stand between its labels.
    pub fn dots(&self) -> usize {
        self.split().count().saturating_sub(1)
    }

    /// The labels, first to last.
    pub(crate) fn split(&self) -> impl Iterator<Item = &[u8]> {
        let mut reader = Reader::new(&self.labels);
        std::iter::from_fn(move || {
            let length = reader.u8("label").ok()?;
            reader.take(length.into(), "label").ok()
        })
    }

    /// As it goes onto the wire: 2 to 255 bytes, the empty label at the end included.
    pub(crate) fn to_wire(&self) -> Vec<u8> {
        [self.labels.as_slice(), &[0]].concat()
    }

    /// Reads the name at `at` of `message`; with it, where the next field begins.
    ///
    /// Each pointer has to lead before the place where the labels that it ends began, so reading ends.
    pub(crate) fn read(message: &[u8], at: usize, compression: Compression) -> Result<(Name, usize), NameError> {
        let (mut labels, mut next) = (Vec::new(), None);
        let (mut start, mut at, mut pointers) = (at, at, 0);
        loop {
            let mut reader = Reader::new(message.get(at..).unwrap_or_default());
            let first = reader.u8("a name")?;
            match first >> 6 {
                0 if first == 0 => return Ok((Name { labels }, next.unwrap_or(at + 1))),
                0 => {
                    push(&mut labels, reader.take(first.into(), "a name")?)?;
                    at += 1 + usize::from(first);
                }
                3 => {
                    let low = reader.u8("a name")?;
                    let to = usize::from(u16::from_be_bytes([first & 0x3f, low]));
                    pointers += 1;
                    if to >= start || compression == Compression::Refused || pointers > MOST_POINTERS {
                        return Err(NameError::Pointer);
                    }
                    next.get_or_insert(at + 2);
                    (start, at) = (to, to);
                }
                _ => return Err(NameError::Kind),
            }
        }
    }

    /// Reads names that follow each other to the end of `bytes`, as in DHCP and in router advertisements.
    ///
    /// `padded`: zeros at the end fill up (RFC 8106, section 5.2), and are no names.
    pub(crate) fn read_all(bytes: &[u8], compression: Compression, padded: bool) -> Result<Vec<Name>, NameError> {
        let (mut names, mut at) = (Vec::new(), 0);
        while at < bytes.len() {
            if padded && bytes.get(at) == Some(&0) {
                at += 1;
                continue;
            }
            let (name, next) = Name::read(bytes, at, compression)?;
            if name.labels.is_empty() {
                return Err(NameError::Empty);
            }
            names.push(name);
            at = next;
        }
        Ok(names)
    }
}

fn push(labels: &mut Vec<u8>, label: &[u8]) -> Result<(), NameError> {
    let length = u8::try_from(label.len()).ok().filter(|length| usize::from(*length) <= LONGEST_LABEL);
    labels.push(length.ok_or(NameError::TooLong)?);
    labels.extend(label.iter().map(u8::to_ascii_lowercase));
    if labels.len() < LONGEST { Ok(()) } else { Err(NameError::TooLong) }
}

/// Without the dot at the end. A byte that host names do not have is written as `\` and three decimal digits.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.labels.is_empty() {
            return f.write_str(".");
        }
        for (n, label) in self.split().enumerate() {
            f.write_str(if n == 0 { "" } else { "." })?;
            for byte in label {
                match byte {
                    b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => write!(f, "{}", char::from(*byte))?,
                    other => write!(f, "\\{other:03}")?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(message: &[u8], at: usize) -> Result<(String, usize), NameError> {
        Name::read(message, at, Compression::Allowed).map(|(name, next)| (name.to_string(), next))
    }

    /// The message of RFC 1035, section 4.1.4: F.ISI.ARPA at 20, FOO.F.ISI.ARPA at 40, ARPA at 64, the root at 92.
    #[test]
    fn compression_is_that_of_rfc_1035() {
        let mut message = vec![0xff; 100];
        message[20..32].copy_from_slice(b"\x01F\x03ISI\x04ARPA\0");
        message[40..46].copy_from_slice(b"\x03FOO\xc0\x14");
        message[64..66].copy_from_slice(b"\xc0\x1a");
        message[92] = 0;
        assert_eq!(read(&message, 20), Ok(("f.isi.arpa".into(), 32)));
        assert_eq!(read(&message, 40), Ok(("foo.f.isi.arpa".into(), 46)));
        assert_eq!(read(&message, 64), Ok(("arpa".into(), 66)));
        assert_eq!(read(&message, 92), Ok((".".into(), 93)));
    }

    #[test]
    fn a_pointer_leads_back_or_nowhere() {
        assert_eq!(read(b"\xc0\x00", 0), Err(NameError::Pointer));
        assert_eq!(read(b"\xc0\x02\x01a\0", 0), Err(NameError::Pointer));
        // Back into the labels that it ends: they would be read without end.
        assert_eq!(read(b"\x01a\x01b\xc0\x02", 0), Err(NameError::Pointer));
        assert_eq!(read(b"\x01a\xc0\x00\xc0\x00", 2), Err(NameError::Pointer));
        assert_eq!(read(b"\x01a\0\xc0\x00", 3), Ok(("a".into(), 5)));
        assert_eq!(Name::read(b"\x01a\0\xc0\x00", 3, Compression::Refused), Err(NameError::Pointer));
    }

    #[test]
    fn a_long_way_back_is_no_name() {
        let chain = |pointers: usize| {
            // The name, and behind it pointers, each to the one before.
            let mut message = vec![1, b'a', 0, 0, 0xc0, 0];
            message.extend((1..pointers).flat_map(|n| u16::try_from(0xc002 + 2 * n).unwrap().to_be_bytes()));
            let at = message.len() - 2;
            read(&message, at).map(|(name, _)| name)
        };
        assert_eq!((chain(1), chain(127)), (Ok("a".into()), Ok("a".into())));
        assert_eq!(chain(128), Err(NameError::Pointer));
    }

    #[test]
    fn what_is_no_name_on_the_wire() {
        assert_eq!(read(b"", 0), Err(NameError::Short(Short { field: "a name" })));
        assert_eq!(read(b"\x02a", 0), Err(NameError::Short(Short { field: "a name" })));
        assert_eq!(read(b"\x41a\0", 0), Err(NameError::Kind));
        assert_eq!(read(b"\x81a\0", 0), Err(NameError::Kind));
        let long = [[63; 64].as_slice(), &[63; 64], &[63; 64], &[63; 64], &[0]].concat();
        assert_eq!(read(&long, 0), Err(NameError::TooLong));
    }

    #[test]
    fn what_is_no_name_as_text() {
        assert_eq!(Name::parse(""), Err(NameError::Empty));
        assert_eq!(Name::parse("."), Err(NameError::Empty));
        assert_eq!(Name::parse("a..b"), Err(NameError::Empty));
        assert_eq!(Name::parse("a b"), Err(NameError::Character(' ')));
        assert_eq!(Name::parse("b\u{fc}cher.example"), Err(NameError::Character('\u{fc}')));
        assert_eq!(Name::parse(&"a".repeat(64)), Err(NameError::TooLong));
        assert_eq!(Name::parse(&["a"; 128].join(".")), Err(NameError::TooLong));
        assert!(Name::parse(&["a"; 127].join(".")).is_ok());
    }

    #[test]
    fn names_do_not_know_case() {
        let name = Name::parse("Tang.Example.").unwrap();
        assert_eq!(name, Name::parse("tang.example").unwrap());
        assert_eq!((name.to_string().as_str(), name.dots()), ("tang.example", 1));
        assert_eq!(Name::parse("a").unwrap().within(&name).unwrap().to_string(), "a.tang.example");
        let (odd, _) = Name::read(b"\x03a.\x1b\0", 0, Compression::Refused).unwrap();
        assert_eq!(odd.to_string(), "a\\046\\027");
    }

    #[test]
    fn padding_is_no_name() {
        let two = b"\x01a\0\x01b\0\0\0";
        assert_eq!(Name::read_all(two, Compression::Refused, true).unwrap().len(), 2);
        assert_eq!(Name::read_all(two, Compression::Refused, false), Err(NameError::Empty));
    }

    proptest! {
        #[test]
        fn what_was_written_reads_back(text in "[a-z0-9_-]{1,20}(\\.[a-z0-9-]{1,20}){0,6}", before in 0_usize..50) {
            let name = Name::parse(&text).unwrap();
            prop_assert_eq!(name.to_string(), text);
            let message = [vec![1; before], name.to_wire()].concat();
            prop_assert_eq!(Name::read(&message, before, Compression::Refused), Ok((name, message.len())));
        }

        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0_usize..300) {
            if let Ok((name, next)) = Name::read(&bytes, at, Compression::Allowed) {
                prop_assert!(name.to_wire().len() <= LONGEST && next <= bytes.len());
            }
        }
    }
}
