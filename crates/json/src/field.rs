//! Walking a document: each step knows where it is, so that an error can say it.

use crate::value::{Number, Object, Value};
use std::fmt;

/// A value together with its place in the document, such as `keyslots.0.kdf.salt`.
#[derive(Clone, Debug)]
pub struct Field<'a> {
    value: &'a Value,
    place: String,
}

/// What a value was expected to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An object.
    Object,
    /// An array.
    Array,
    /// A string.
    Text,
    /// `true` or `false`.
    Bool,
    /// A whole number from 0 to 2^64 - 1.
    Integer,
    /// A whole number from 0 to 2^64 - 1 written as a string, as LUKS2 does.
    IntegerText,
}

/// A document that is JSON, but not the JSON that was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldError {
    /// A member that must be there is not.
    Missing {
        /// Where it should be.
        place: String,
    },
    /// A value of another kind.
    WrongKind {
        /// Where it is.
        place: String,
        /// What it should be.
        expected: Kind,
    },
    /// A value of the right kind that means nothing here.
    WrongValue {
        /// Where it is.
        place: String,
        /// What is allowed, in words.
        expected: &'static str,
    },
}

impl Value {
    /// Starts a walk; `name` is what errors call the document.
    pub fn field(&self, name: &str) -> Field<'_> {
        Field { value: self, place: name.to_owned() }
    }
}

impl<'a> Field<'a> {
    /// The value itself.
    pub fn value(&self) -> &'a Value {
        self.value
    }

    /// Where it is.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The member `name` of this object.
    pub fn member(&self, name: &str) -> Result<Field<'a>, FieldError> {
        self.optional(name)?.ok_or_else(|| FieldError::Missing { place: self.inner(name) })
    }

    /// The member `name` of this object, if it has one.
    pub fn optional(&self, name: &str) -> Result<Option<Field<'a>>, FieldError> {
        Ok(self.object()?.get(name).map(|value| Field { value, place: self.inner(name) }))
    }

    /// All members of this object, with their names.
    pub fn members(&self) -> Result<impl Iterator<Item = (&'a str, Field<'a>)>, FieldError> {
        let place = self.place.clone();
        Ok(self.object()?.iter().map(move |(name, value)| (name, Field { value, place: format!("{place}.{name}") })))
    }

    /// All items of this array.
    pub fn items(&self) -> Result<impl ExactSizeIterator<Item = Field<'a>>, FieldError> {
        let Value::Array(items) = self.value else { return Err(self.wrong_kind(Kind::Array)) };
        let place = self.place.clone();
        Ok(items.iter().enumerate().map(move |(i, value)| Field { value, place: format!("{place}.{i}") }))
    }

    /// This object.
    pub fn object(&self) -> Result<&'a Object, FieldError> {
        self.value.as_object().ok_or_else(|| self.wrong_kind(Kind::Object))
    }

    /// This string.
    pub fn text(&self) -> Result<&'a str, FieldError> {
        self.value.as_str().ok_or_else(|| self.wrong_kind(Kind::Text))
    }

    /// This truth value.
    pub fn bool(&self) -> Result<bool, FieldError> {
        if let Value::Bool(value) = self.value { Ok(*value) } else { Err(self.wrong_kind(Kind::Bool)) }
    }

    /// This whole number.
    pub fn integer(&self) -> Result<u64, FieldError> {
        match self.value {
            Value::Number(Number::Unsigned(n)) => Ok(*n),
            _ => Err(self.wrong_kind(Kind::Integer)),
        }
    }

    /// This whole number written as a decimal string without sign or spaces (LUKS2 on-disk format, section 3: numbers beyond
    /// 32 bits are strings).
    pub fn integer_text(&self) -> Result<u64, FieldError> {
        let text = self.value.as_str().ok_or_else(|| self.wrong_kind(Kind::IntegerText))?;
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|_| digits).ok_or_else(|| self.wrong_kind(Kind::IntegerText))
    }

    /// An error that says this value means nothing here; `expected` tells what would.
    pub fn wrong_value(&self, expected: &'static str) -> FieldError {
        FieldError::WrongValue { place: self.place.clone(), expected }
    }

    fn wrong_kind(&self, expected: Kind) -> FieldError {
        FieldError::WrongKind { place: self.place.clone(), expected }
    }

    fn inner(&self, name: &str) -> String {
        format!("{}.{name}", self.place)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Object => "an object",
            Kind::Array => "an array",
            Kind::Text => "a string",
            Kind::Bool => "true or false",
            Kind::Integer => "a whole number",
            Kind::IntegerText => "a whole number written as a string",
        })
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FieldError::Missing { place } => write!(f, "{place} is missing"),
            FieldError::WrongKind { place, expected } => write!(f, "{place} is not {expected}"),
            FieldError::WrongValue { place, expected } => write!(f, "{place} is not {expected}"),
        }
    }
}

impl std::error::Error for FieldError {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{Limits, parse};

    fn walk<T>(text: &str, step: impl FnOnce(Field<'_>) -> Result<T, FieldError>) -> Result<T, String> {
        let value = parse(text.as_bytes(), &Limits::SMALL).unwrap();
        step(value.field("header")).map_err(|e| e.to_string())
    }

    #[test]
    fn errors_name_the_place() {
        assert_eq!(walk("{}", |f| f.member("kdf").map(|_| ())).unwrap_err(), "header.kdf is missing");
        assert_eq!(
            walk(r#"{"a":{"b":1}}"#, |f| f.member("a")?.member("b")?.text().map(|_| ())).unwrap_err(),
            "header.a.b is not a string"
        );
        assert_eq!(
            walk("[[1]]", |f| f.items()?.next().unwrap().object().map(|_| ())).unwrap_err(),
            "header.0 is not an object"
        );
    }

    #[test]
    fn integers_are_whole_and_not_negative() {
        assert_eq!(walk("7", |f| f.integer()), Ok(7));
        for bad in ["-7", "7.0", "1e3", "\"7\"", "18446744073709551616"] {
            assert!(walk(bad, |f| f.integer()).is_err(), "{bad}");
        }
        assert_eq!(walk("\"16384\"", |f| f.integer_text()), Ok(16384));
        for bad in ["\"+7\"", "\" 7\"", "\"\"", "\"-1\"", "7", "\"18446744073709551616\"", "\"0x10\""] {
            assert!(walk(bad, |f| f.integer_text()).is_err(), "{bad}");
        }
    }
}
