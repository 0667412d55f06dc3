//! Members in the order of their names, as the original writes every document (jansson's `JSON_SORT_KEYS`).

use json::{Object, Value};

/// The same object with the members of it, and of every object inside it, in the byte order of their names.
pub(crate) fn sorted(object: &Object) -> Object {
    let mut members: Vec<(&str, &Value)> = object.iter().collect();
    members.sort_unstable_by_key(|(name, _)| *name);
    members.into_iter().fold(Object::new(), |done, (name, value)| done.with(name, sorted_value(value)))
}

fn sorted_value(value: &Value) -> Value {
    match value {
        Value::Object(object) => Value::Object(sorted(object)),
        Value::Array(items) => Value::Array(items.iter().map(sorted_value).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn inner_objects_are_sorted_and_arrays_are_not() {
        let read = |text: &str| json::parse(text.as_bytes(), &json::Limits::SMALL).unwrap();
        let value = read(r#"{"b":[{"z":1,"y":2},3],"a":{"d":null,"c":true},"B":""}"#);
        let done = Value::Object(sorted(value.as_object().unwrap()));
        assert_eq!(done.to_compact().as_str(), r#"{"B":"","a":{"c":true,"d":null},"b":[{"y":2,"z":1},3]}"#);
    }
}
