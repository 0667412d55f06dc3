//! Bytes to [`Value`], within limits.

use crate::value::{Number, Object, Text, Value};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::cell::Cell;
use std::fmt;

/// What a document may cost before it is refused.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest document, in bytes.
    pub bytes: usize,
    /// Deepest nesting of arrays and objects; the outermost is 1.
    pub depth: usize,
    /// Most values in it, counting each array, object and scalar.
    pub values: usize,
}

impl Limits {
    /// Keys, advertisements, configurations, JWE headers: 64 KiB, as the key server takes them.
    pub const SMALL: Limits = Limits { bytes: 64 << 10, depth: 16, values: 4096 };
    /// A JWE or a token that may nest whole policies (`sss` in `sss`), and the configuration of one two levels down: 1 MiB.
    pub const POLICY: Limits = Limits { bytes: 1 << 20, depth: 20, values: 16 << 10 };
    /// The JSON area of a LUKS2 header: 4 MiB.
    pub const LUKS2: Limits = Limits { bytes: 4 << 20, depth: 32, values: 64 << 10 };
}

/// Why a document was not read.
#[derive(Debug)]
pub enum JsonError {
    /// Longer than allowed.
    TooLong {
        /// Its length in bytes.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Not JSON, too deep, too many values, or a member twice. The text has line and column and quotes nothing.
    Malformed {
        /// What the grammar says.
        source: serde_json::Error,
    },
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JsonError::TooLong { bytes, limit } => write!(f, "JSON of {bytes} bytes is longer than {limit}"),
            JsonError::Malformed { .. } => f.write_str("not the JSON that was expected"),
        }
    }
}

impl std::error::Error for JsonError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            JsonError::TooLong { .. } => None,
            JsonError::Malformed { source } => Some(source),
        }
    }
}

/// Reads exactly one JSON document; white space may surround it, nothing else.
///
/// Refuses documents beyond `limits`, a member that stands twice in one object, and text that is not UTF-8.
pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Value, JsonError> {
    if bytes.len() > limits.bytes {
        return Err(JsonError::TooLong { bytes: bytes.len(), limit: limits.bytes });
    }
    let left = Cell::new(limits.values);
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let numbers = Cell::new(bytes);
    let read = Seed { depth: limits.depth, left: &left, numbers: &numbers }.deserialize(&mut reader);
    read.and_then(|value| reader.end().map(|()| value)).map_err(|source| JsonError::Malformed { source })
}

/// The first number in text that begins between two tokens of a JSON document, and what is behind it.
fn first_number(mut text: &[u8]) -> Option<(&[u8], &[u8])> {
    loop {
        let (first, rest) = text.split_first()?;
        match first {
            b'"' => text = behind_string(rest)?,
            b'-' | b'0'..=b'9' => {
                let in_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
                let end = text.iter().position(|byte| !in_number(byte)).unwrap_or(text.len());
                return text.split_at_checked(end);
            }
            _ => text = rest,
        }
    }
}

/// What is behind the string whose inside begins here.
fn behind_string(mut text: &[u8]) -> Option<&[u8]> {
    loop {
        let (first, rest) = text.split_first()?;
        match first {
            b'"' => return Some(rest),
            b'\\' => text = rest.get(1..)?,
            _ => text = rest,
        }
    }
}

#[derive(Clone, Copy)]
struct Seed<'a> {
    depth: usize,
    left: &'a Cell<usize>,
    /// The document from behind the last number on.
    numbers: &'a Cell<&'a [u8]>,
}

impl Seed<'_> {
    /// The text of the number that has just been read. They come in the order in which they stand.
    fn number(&self) -> Option<Text> {
        let (number, rest) = first_number(self.numbers.get())?;
        self.numbers.set(rest);
        std::str::from_utf8(number).ok().map(Text::new)
    }

    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        let depth = self.depth.checked_sub(1).ok_or_else(|| E::custom("nested too deeply"))?;
        Ok(Seed { depth, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        let left = self.left.get().checked_sub(1).ok_or_else(|| de::Error::custom("too many values"))?;
        self.left.set(left);
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        self.number();
        Ok(Value::Number(Number::Unsigned(value)))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        self.number();
        Ok(Value::Number(u64::try_from(value).map_or(Number::Negative(value), Number::Unsigned)))
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Value, E> {
        let text = self.number().ok_or_else(|| E::custom("a number without text"))?;
        Ok(Value::Number(Number::Real(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut object = Object::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.get(&name).is_some() {
                return Err(de::Error::custom("a member stands twice in one object"));
            }
            object.insert(&name, members.next_value_seed(inner)?);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const TINY: Limits = Limits { bytes: 40, depth: 3, values: 6 };

    fn refused(text: &str) -> String {
        let error = parse(text.as_bytes(), &TINY).unwrap_err();
        format!("{error}: {}", std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default())
    }

    #[test]
    fn limits_hold() {
        assert!(parse(b"[[[1]]]", &TINY).is_ok());
        assert!(refused("[[[[1]]]]").contains("nested too deeply"));
        assert!(parse(b"[1,2,3,4,5]", &TINY).is_ok());
        assert!(refused("[1,2,3,4,5,6]").contains("too many values"));
        assert!(refused(&format!("\"{}\"", "x".repeat(40))).contains("longer than 40"));
    }

    #[test]
    fn deep_nesting_does_not_exhaust_the_stack() {
        let deep = "[".repeat(60_000);
        assert!(parse(deep.as_bytes(), &Limits::SMALL).is_err());
        assert!(parse(deep.as_bytes(), &Limits { depth: usize::MAX, ..Limits::SMALL }).is_err());
    }

    #[test]
    fn a_member_may_stand_once() {
        assert!(refused(r#"{"a":1,"a":2}"#).contains("stands twice"));
        assert!(refused(r#"{"a":1,"\u0061":2}"#).contains("stands twice"));
    }

    #[test]
    fn only_one_document_and_nothing_behind_it() {
        assert!(parse(b" {} \n", &TINY).is_ok());
        for bad in ["", " ", "{} x", "{}{}", "{\"a\"}", "[1,]", "nul", "\"\\x\"", "01", "'a'"] {
            refused(bad);
        }
        assert!(parse(b"\"\xff\"", &TINY).is_err());
    }

    #[test]
    fn numbers_of_any_size_are_read_or_refused() {
        for (text, number) in [
            ("18446744073709551615", Some(Number::Unsigned(u64::MAX))),
            ("-9223372036854775808", Some(Number::Negative(i64::MIN))),
            ("18446744073709551616", Some(Number::Real(Text::new("18446744073709551616")))),
            ("1e400", None),
        ] {
            match (parse(text.as_bytes(), &TINY), number) {
                (Ok(Value::Number(found)), Some(number)) => assert!(found == number, "{text}"),
                (Err(_), None) => {}
                (other, _) => panic!("{text}: {other:?}"),
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes, &Limits::SMALL);
        }
    }
}
