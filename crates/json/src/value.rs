//! A JSON document as a value, and how it is written.

use indexmap::IndexMap;
use std::fmt;
use zeroize::Zeroizing;

/// A JSON value. All text in it is wiped when the value is dropped.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string.
    Text(Text),
    /// An array.
    Array(Vec<Value>),
    /// An object; no member stands twice in it.
    Object(Object),
}

/// A JSON string, wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Text(Zeroizing<String>);

/// A JSON number. Integers of 64 bits are values; anything else keeps its text, for whoever wrote it knows what it means.
#[derive(Clone, PartialEq, Eq)]
pub enum Number {
    /// A whole number that is not negative.
    Unsigned(u64),
    /// A negative whole number.
    Negative(i64),
    /// A number with a fraction or an exponent, or beyond 64 bits, or the negative zero: as it was written.
    Real(Text),
}

/// The members of a JSON object, in the order in which they were written.
#[derive(Clone, Default, PartialEq)]
pub struct Object(IndexMap<String, Value>);

impl Text {
    pub(crate) fn new(text: &str) -> Text {
        Text(Zeroizing::new(text.to_owned()))
    }

    /// The characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(Text::new(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(Text(Zeroizing::new(text)))
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Bool(value)
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Value {
        Value::Number(Number::Unsigned(value))
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Value {
        u64::from(value).into()
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Value {
        Value::Object(object)
    }
}

impl<V: Into<Value>> From<Vec<V>> for Value {
    fn from(items: Vec<V>) -> Value {
        Value::Array(items.into_iter().map(Into::into).collect())
    }
}

impl Object {
    /// An object without members.
    pub fn new() -> Object {
        Object::default()
    }

    /// The same object with one more member, or another value for one it has.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Object {
        self.insert(name, value);
        self
    }

    /// Sets a member; one that was there keeps its place.
    pub fn insert(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// Takes a member out; the order of the others stays.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        self.0.shift_remove(name)
    }

    /// The value of a member.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// The value of a member, to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.0.get_mut(name)
    }

    /// All members in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Value {
    /// The members, if this is an object.
    pub fn as_object(&self) -> Option<&Object> {
        if let Value::Object(object) = self { Some(object) } else { None }
    }

    /// The members, to be changed, if this is an object.
    pub fn as_object_mut(&mut self) -> Option<&mut Object> {
        if let Value::Object(object) = self { Some(object) } else { None }
    }

    /// The characters, if this is a string.
    pub fn as_str(&self) -> Option<&str> {
        if let Value::Text(text) = self { Some(text.as_str()) } else { None }
    }

    /// The document in its shortest form: no white space, members in their order, UTF-8.
    pub fn to_compact(&self) -> Zeroizing<String> {
        let mut out = Zeroizing::new(String::with_capacity(self.text_size()));
        write_value(self, Layout::Compact, 0, &mut out);
        out
    }

    /// The document for a person: a member a line, two spaces of indent, no newline at the end.
    pub fn to_pretty(&self) -> Zeroizing<String> {
        let mut out = Zeroizing::new(String::with_capacity(2 * self.text_size()));
        write_value(self, Layout::Pretty, 0, &mut out);
        out
    }

    /// An upper bound of the compact form's length for text without escapes, so that a secret is not left behind by a
    /// buffer that had to grow.
    fn text_size(&self) -> usize {
        match self {
            Value::Null | Value::Bool(_) => 6,
            Value::Number(Number::Real(text)) => text.as_str().len() + 1,
            Value::Number(_) => 26,
            Value::Text(text) => text.as_str().len() + 3,
            Value::Array(items) => 3 + items.iter().map(Value::text_size).sum::<usize>(),
            Value::Object(object) => 3 + object.iter().map(|(n, v)| n.len() + 4 + v.text_size()).sum::<usize>(),
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Layout {
    Compact,
    Pretty,
}

fn write_value(value: &Value, layout: Layout, depth: usize, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::Text(text) => write_text(text.as_str(), out),
        Value::Array(items) => write_list(b"[]", items.iter().map(|v| (None, v)), layout, depth, out),
        Value::Object(object) => write_list(b"{}", object.iter().map(|(n, v)| (Some(n), v)), layout, depth, out),
    }
}

fn write_list<'a>(
    brackets: &[u8; 2],
    items: impl Iterator<Item = (Option<&'a str>, &'a Value)>,
    layout: Layout,
    depth: usize,
    out: &mut String,
) {
    let [open, close] = brackets.map(char::from);
    out.push(open);
    let mut any = false;
    for (name, value) in items {
        if any {
            out.push(',');
        }
        any = true;
        new_line(layout, depth + 1, out);
        if let Some(name) = name {
            write_text(name, out);
            out.push_str(if layout == Layout::Pretty { ": " } else { ":" });
        }
        write_value(value, layout, depth + 1, out);
    }
    if any {
        new_line(layout, depth, out);
    }
    out.push(close);
}

fn new_line(layout: Layout, depth: usize, out: &mut String) {
    if layout == Layout::Pretty {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    }
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Unsigned(n) => write!(f, "{n}"),
            Number::Negative(n) => write!(f, "{n}"),
            Number::Real(text) => f.write_str(text.as_str()),
        }
    }
}

/// Values may hold secrets: only the kind is shown.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Value::Null => "Null",
            Value::Bool(_) => "Bool(..)",
            Value::Number(_) => "Number(..)",
            Value::Text(_) => "Text(..)",
            Value::Array(_) => "Array(..)",
            Value::Object(_) => "Object(..)",
        })
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{Limits, parse};

    #[test]
    fn writing_and_reading_give_the_same_document() {
        let text = r#"{"b":[1,-2,2.5,1e+30,true,false,null],"a":{"x":"\"\\\n\r\t\u0001é"},"e":{},"f":[]}"#;
        let value = parse(text.as_bytes(), &Limits::SMALL).unwrap();
        let again = parse(value.to_compact().as_bytes(), &Limits::SMALL).unwrap();
        assert!(value == again);
        assert!(parse(value.to_pretty().as_bytes(), &Limits::SMALL).unwrap() == value);
    }

    #[test]
    fn numbers_keep_their_text() {
        let text = concat!(
            r#"{"a":[0,-0,1.50,1e2,1E+2,-1.0e-007,0.1000000000000000055511151231257827,-0.0,18446744073709551615],"#,
            r#""1.5\"2.5":"3.50,\\","b":{"4.0":-9223372036854775809,"c":[[],{"d":18446744073709551616}]},"e":1e308,"#,
            r#""f":-9223372036854775808}"#
        );
        let value = parse(text.as_bytes(), &Limits::SMALL).unwrap();
        assert_eq!(value.to_compact().as_str(), text);
        let spaced = text.replace(",", " , ").replace(":", "\n:\t").replace("3.50 , ", "3.50,");
        assert_eq!(parse(spaced.as_bytes(), &Limits::SMALL).unwrap().to_compact().as_str(), text);
        assert_eq!(parse(b" 1.00 ", &Limits::SMALL).unwrap().to_compact().as_str(), "1.00");
    }

    #[test]
    fn members_keep_their_order() {
        let value = parse(br#"{"url":"u","thp":"t","adv":{}}"#, &Limits::SMALL).unwrap();
        assert_eq!(value.to_compact().as_str(), r#"{"url":"u","thp":"t","adv":{}}"#);
    }

    #[test]
    fn debug_shows_no_text() {
        let value: Value = "planted".into();
        assert!(!format!("{value:?} {:?}", Object::new().with("k", "planted")).contains("planted"));
    }
}
