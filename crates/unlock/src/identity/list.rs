//! The list of expected volumes as a file: `{"volumes": [{"uuid": …, "key": …, "name": …, "parents": […]}, …], "others": "refuse"}`.
//!
//! `key` is the fingerprint that `cotter luks fingerprint --open` prints, 64 hexadecimal digits; `parents` are the names of keys in the TPM,
//! in hexadecimal. `name` may be absent, `parents`, which are then any, and `others` too, which is then `allow`. A list that is not understood to the last member is none: what it was meant to forbid is not known.

use super::{Expectation, Expected, Others, ParentName};
use json::{Field, FieldError, JsonError, Limits, Object, Value};
use luks::KeyFingerprint;
use std::collections::BTreeMap;
use std::fmt;
use uuid::Uuid;

/// Why a list of expected volumes is not followed.
#[derive(Debug)]
pub enum ListError {
    /// Not JSON, or too much of it: at most 64 KiB and 4096 values.
    NotJson(JsonError),
    /// Something is missing, of the wrong kind, or means nothing.
    Field(FieldError),
    /// A member that there is not.
    Unknown {
        /// Where it stands.
        place: String,
    },
    /// A UUID stands in it twice.
    Twice {
        /// The UUID.
        uuid: Uuid,
    },
}

impl Expected {
    /// As it stands in a list.
    pub fn to_object(&self) -> Object {
        let object = Object::new().with("uuid", self.uuid.to_string()).with("key", self.key.to_string());
        let object = match &self.name {
            Some(name) => object.with("name", name.as_str()),
            None => object,
        };
        match &self.parents {
            Some(parents) => {
                let parents: Vec<Value> = parents.iter().map(|parent| parent.to_string().into()).collect();
                object.with("parents", parents)
            }
            None => object,
        }
    }
}

impl Expectation {
    /// Reads a list.
    ///
    /// # Errors
    /// [`ListError`].
    pub fn parse(text: &[u8]) -> Result<Expectation, ListError> {
        let value = json::parse(text, &Limits::SMALL).map_err(ListError::NotJson)?;
        let list = value.field("list");
        only(&list, &["volumes", "others"])?;
        let others = match list.optional("others")? {
            None => Others::Allow,
            Some(others) => match others.text()? {
                "allow" => Others::Allow,
                "refuse" => Others::Refuse,
                _ => return Err(others.wrong_value("allow or refuse").into()),
            },
        };
        let mut expected = Expectation { volumes: BTreeMap::new(), others };
        for volume in list.member("volumes")?.items()? {
            if let Some(Expected { uuid, .. }) = expected.insert(read(&volume)?) {
                return Err(ListError::Twice { uuid });
            }
        }
        Ok(expected)
    }

    /// The list as text, one volume a line, in ascending order of UUIDs.
    pub fn to_text(&self) -> String {
        let line = |volume: &Expected| Value::from(volume.to_object()).to_compact().as_str().to_owned();
        let lines: Vec<String> = self.volumes.values().map(line).collect();
        let others = match self.others {
            Others::Allow => "",
            Others::Refuse => r#","others":"refuse""#,
        };
        format!("{{\"volumes\":[\n{}\n]{others}}}\n", lines.join(",\n"))
    }
}

fn read(volume: &Field<'_>) -> Result<Expected, ListError> {
    only(volume, &["uuid", "key", "name", "parents"])?;
    let (uuid, key) = identity(volume)?;
    let name = volume.optional("name")?.map(|name| name.text().map(str::to_owned)).transpose()?;
    let parents = volume.optional("parents")?.map(|parents| parents.items()?.map(|name| parent(&name)).collect());
    Ok(Expected { uuid, key, name, parents: parents.transpose()? })
}

fn parent(name: &Field<'_>) -> Result<ParentName, FieldError> {
    ParentName::parse(name.text()?).ok_or_else(|| name.wrong_value("44 to 132 hexadecimal digits"))
}

/// The members `uuid` and `key`.
pub(super) fn identity(volume: &Field<'_>) -> Result<(Uuid, KeyFingerprint), FieldError> {
    let (uuid, key) = (volume.member("uuid")?, volume.member("key")?);
    let uuid = Uuid::try_parse(uuid.text()?).map_err(|_| uuid.wrong_value("a UUID"))?;
    let key = KeyFingerprint::parse(key.text()?).ok_or_else(|| key.wrong_value("64 hexadecimal digits"))?;
    Ok((uuid, key))
}

fn only(field: &Field<'_>, known: &[&str]) -> Result<(), ListError> {
    let unknown = field.members()?.find(|(name, _)| !known.contains(name));
    unknown.map_or(Ok(()), |(_, member)| Err(ListError::Unknown { place: member.place().to_owned() }))
}

impl From<FieldError> for ListError {
    fn from(source: FieldError) -> ListError {
        ListError::Field(source)
    }
}

impl ListError {
    /// One thing to do about it.
    pub fn hint(&self) -> &'static str {
        "a list is `{\"volumes\":[{\"uuid\":…,\"key\":…,\"name\":…,\"parents\":[…]},…],\"others\":\"refuse\"}`; to make one: \
         `cotter luks identity -d DEVICE --add FILE`"
    }
}

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListError::NotJson(_) | ListError::Field(_) => f.write_str("it is no list of expected volumes"),
            ListError::Unknown { place } => write!(f, "{place} is not known"),
            ListError::Twice { uuid } => write!(f, "the volume {uuid} stands in it twice"),
        }
    }
}

impl std::error::Error for ListError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ListError::NotJson(source) => Some(source),
            ListError::Field(source) => Some(source),
            ListError::Unknown { .. } | ListError::Twice { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "3f9f4ab4-0f2c-4a0e-9d5c-6c8f4b0a1d2e";

    fn volume(uuid: &str, rest: &str) -> String {
        format!(r#"{{"uuid":"{uuid}","key":"{}"{rest}}}"#, "0a".repeat(32))
    }

    fn list(volumes: &str, rest: &str) -> Result<Expectation, ListError> {
        Expectation::parse(format!(r#"{{"volumes":[{volumes}]{rest}}}"#).as_bytes())
    }

    #[test]
    fn a_list_is_read_as_it_was_written() {
        let other = "00000000-0f2c-4a0e-9d5c-6c8f4b0a1d2e";
        let volumes = format!("{},{}", volume(UUID, r#","name":"root \"x\"""#), volume(other, ""));
        let read = list(&volumes, r#","others":"refuse""#).unwrap();
        assert_eq!(read.of(Uuid::try_parse(UUID).unwrap()).unwrap().name.as_deref(), Some(r#"root "x""#));
        assert_eq!(read.others, Others::Refuse);
        assert_eq!(Expectation::parse(read.to_text().as_bytes()).unwrap(), read);
        let empty = list("", "").unwrap();
        assert!(empty.is_empty() && Expectation::parse(empty.to_text().as_bytes()).unwrap().is_empty());
        assert!(!list("", r#","others":"refuse""#).unwrap().is_empty());
        // Nothing said of parents is any of them; none of them is none.
        let parent = format!("000b{}", "c3".repeat(32));
        let [any, none, one] = ["", r#","parents":[]"#, &format!(r#","parents":["{parent}","{parent}"]"#)]
            .map(|rest| list(&volume(UUID, rest), "").unwrap());
        let of = |list: &Expectation| list.of(Uuid::try_parse(UUID).unwrap()).unwrap().parents.clone();
        assert_eq!((of(&any), of(&none)), (None, Some(std::collections::BTreeSet::new())));
        assert_eq!(of(&one), Some([ParentName::parse(&parent).unwrap()].into()));
        for read in [any, none, one] {
            assert_eq!(Expectation::parse(read.to_text().as_bytes()).unwrap(), read);
        }
        // As a header may spell it.
        assert_eq!(list(&volume(&UUID.to_uppercase(), ""), "").unwrap(), list(&volume(UUID, ""), "").unwrap());
    }

    #[test]
    fn what_is_not_understood_is_no_list() {
        let refused = |volumes: &str, rest: &str| list(volumes, rest).unwrap_err().to_string();
        let once = volume(UUID, "");
        for (volumes, rest, expected) in [
            (format!("{once},{once}"), "", "stands in it twice"),
            (volume(UUID, r#","kye":1"#), "", "kye is not known"),
            (once.clone(), r#","other":"refuse""#, "list.other is not known"),
            (once.clone(), r#","others":"maybe""#, "no list"),
            (volume(UUID, r#","parents":"000b""#), "", "no list"),
            (volume(UUID, r#","parents":["000b"]"#), "", "no list"),
            (volume(UUID, r#","parents":[1]"#), "", "no list"),
            (volume("root", ""), "", "no list"),
            (format!(r#"{{"uuid":"{UUID}"}}"#), "", "no list"),
            (once.replace("0a0a", "0a0"), "", "no list"),
            (once.replace("0a0a", "0+0a"), "", "no list"),
            ("{}".to_owned() + &",{}".repeat(5000), "", "no list"),
        ] {
            let found = refused(&volumes, rest);
            assert!(found.contains(expected), "{found} for {expected}");
        }
        for text in ["", "[]", "{}", r#"{"volumes":{}}"#] {
            assert!(Expectation::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
