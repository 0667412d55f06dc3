//! Keyslot objects as the JSON describes them (LUKS2 on-disk format, section 3.2). Names are text here: what may be used is
//! decided by `accept`.

use crate::area::Area;
use crate::luks2::base64;
use crate::slot::Priority;
use block::Bytes;
use json::{Field, FieldError, Object};

/// One keyslot.
#[derive(Clone, Debug)]
pub struct Keyslot {
    /// Length of the key it holds, in bytes.
    pub key_size: u32,
    /// Its place among the slots that are tried.
    pub priority: Priority,
    /// Where its key material lies.
    pub area: Area,
    /// What kind of keyslot it is.
    pub kind: KeyslotKind,
}

/// The kinds of keyslots.
#[derive(Clone, Debug)]
pub enum KeyslotKind {
    /// `luks2`: a key under a passphrase.
    Luks2(Luks2Keyslot),
    /// Any other, such as `reencrypt`. Only its area is understood.
    Other {
        /// The type.
        name: String,
    },
}

/// The members of a keyslot of type `luks2`.
#[derive(Clone, Debug)]
pub struct Luks2Keyslot {
    /// The area's cipher.
    pub encryption: String,
    /// Length of the area's key, in bytes.
    pub encryption_key_size: u32,
    /// The splitter's hash.
    pub af_hash: String,
    /// How many stripes.
    pub af_stripes: u32,
    /// The key derivation.
    pub kdf: KdfMember,
}

/// A `kdf` object.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // named by the specification
pub enum KdfMember {
    /// `pbkdf2`
    Pbkdf2 { hash: String, iterations: u32, salt: Vec<u8> },
    /// `argon2i` or `argon2id`; memory in KiB.
    Argon2 { name: String, time: u32, memory: u32, cpus: u32, salt: Vec<u8> },
}

/// A whole number of at most 32 bits.
pub(crate) fn u32_member(field: &Field<'_>, name: &str) -> Result<u32, FieldError> {
    let member = field.member(name)?;
    u32::try_from(member.integer()?).map_err(|_| member.wrong_value("below 2^32"))
}

fn text_member(field: &Field<'_>, name: &str) -> Result<String, FieldError> {
    Ok(field.member(name)?.text()?.to_owned())
}

impl Keyslot {
    /// Reads the object of one keyslot.
    pub(crate) fn parse(field: &Field<'_>) -> Result<Keyslot, FieldError> {
        let kind = match field.member("type")?.text()? {
            "luks2" => KeyslotKind::Luks2(Luks2Keyslot::parse(field)?),
            name => KeyslotKind::Other { name: name.to_owned() },
        };
        Ok(Keyslot {
            key_size: u32_member(field, "key_size")?,
            priority: parse_priority(field)?,
            area: parse_area(&field.member("area")?)?,
            kind,
        })
    }

    /// The keyslot, if it is one that a passphrase opens.
    pub fn as_luks2(&self) -> Option<&Luks2Keyslot> {
        if let KeyslotKind::Luks2(keyslot) = &self.kind { Some(keyslot) } else { None }
    }
}

impl Luks2Keyslot {
    fn parse(field: &Field<'_>) -> Result<Luks2Keyslot, FieldError> {
        let area = field.member("area")?;
        if area.member("type")?.text()? != "raw" {
            return Err(area.member("type")?.wrong_value("\"raw\""));
        }
        let af = field.member("af")?;
        if af.member("type")?.text()? != "luks1" {
            return Err(af.member("type")?.wrong_value("\"luks1\""));
        }
        Ok(Luks2Keyslot {
            encryption: text_member(&area, "encryption")?,
            encryption_key_size: u32_member(&area, "key_size")?,
            af_hash: text_member(&af, "hash")?,
            af_stripes: u32_member(&af, "stripes")?,
            kdf: KdfMember::parse(&field.member("kdf")?)?,
        })
    }
}

impl KdfMember {
    fn parse(field: &Field<'_>) -> Result<KdfMember, FieldError> {
        let kind = field.member("type")?;
        let member = field.member("salt")?;
        let salt = base64::bytes(&member)?;
        if salt.is_empty() {
            return Err(member.wrong_value("at least one byte"));
        }
        match kind.text()? {
            "pbkdf2" => Ok(KdfMember::Pbkdf2 {
                hash: text_member(field, "hash")?,
                iterations: u32_member(field, "iterations")?,
                salt,
            }),
            name @ ("argon2i" | "argon2id") => Ok(KdfMember::Argon2 {
                name: name.to_owned(),
                time: u32_member(field, "time")?,
                memory: u32_member(field, "memory")?,
                cpus: u32_member(field, "cpus")?,
                salt,
            }),
            _ => Err(kind.wrong_value("\"pbkdf2\", \"argon2i\" or \"argon2id\"")),
        }
    }

    /// The object that [`KdfMember::parse`] reads.
    pub(crate) fn to_json(&self) -> Object {
        match self {
            KdfMember::Pbkdf2 { hash, iterations, salt } => Object::new()
                .with("type", "pbkdf2")
                .with("hash", hash.as_str())
                .with("iterations", *iterations)
                .with("salt", base64::text(salt)),
            KdfMember::Argon2 { name, time, memory, cpus, salt } => Object::new()
                .with("type", name.as_str())
                .with("time", *time)
                .with("memory", *memory)
                .with("cpus", *cpus)
                .with("salt", base64::text(salt)),
        }
    }
}

impl Luks2Keyslot {
    /// The object of a keyslot with this key size and area, that [`Keyslot::parse`] reads.
    pub(crate) fn to_json(&self, key_size: u32, area: Area) -> Object {
        Object::new()
            .with("type", "luks2")
            .with("key_size", key_size)
            .with(
                "af",
                Object::new()
                    .with("type", "luks1")
                    .with("stripes", self.af_stripes)
                    .with("hash", self.af_hash.as_str()),
            )
            .with(
                "area",
                Object::new()
                    .with("type", "raw")
                    .with("offset", area.offset().0.to_string())
                    .with("size", area.size().0.to_string())
                    .with("encryption", self.encryption.as_str())
                    .with("key_size", self.encryption_key_size),
            )
            .with("kdf", self.kdf.to_json())
    }
}

fn parse_area(field: &Field<'_>) -> Result<Area, FieldError> {
    let offset = Bytes(field.member("offset")?.integer_text()?);
    let size = Bytes(field.member("size")?.integer_text()?);
    Area::new(offset, size).ok_or_else(|| field.wrong_value("a range of at least one byte that ends below 2^64"))
}

fn parse_priority(field: &Field<'_>) -> Result<Priority, FieldError> {
    let Some(member) = field.optional("priority")? else { return Ok(Priority::Normal) };
    match member.integer()? {
        0 => Ok(Priority::Ignore),
        1 => Ok(Priority::Normal),
        2 => Ok(Priority::Prefer),
        _ => Err(member.wrong_value("0, 1 or 2")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use json::{Limits, Value, parse};

    const SLOT: &str = r#"{"type":"luks2","key_size":64,"af":{"type":"luks1","stripes":4000,"hash":"sha256"},"area":{"type":"raw","offset":"32768","size":"258048","encryption":"aes-xts-plain64","key_size":64},"kdf":{"type":"argon2id","time":4,"memory":32,"cpus":1,"salt":"zI2a3zDQGd8Q1Lniyzq6wrR6Lt7ZJP+pq0LWIIsUJlg="}}"#;

    fn read(text: &str) -> Result<Keyslot, String> {
        let value = parse(text.as_bytes(), &Limits::SMALL).unwrap();
        Keyslot::parse(&value.field("keyslots.0")).map_err(|e| e.to_string())
    }

    #[test]
    fn what_cryptsetup_writes_is_read_and_written_alike() {
        let slot = read(SLOT).unwrap();
        assert_eq!((slot.key_size, slot.priority), (64, Priority::Normal));
        let json = slot.as_luks2().unwrap().to_json(slot.key_size, slot.area);
        assert_eq!(Value::from(json).to_compact().as_str(), SLOT);
    }

    #[test]
    fn errors_name_the_member() {
        let check = |from: &str, to: &str, expected: &str| {
            assert!(SLOT.contains(from));
            assert_eq!(read(&SLOT.replace(from, to)).unwrap_err(), expected);
        };
        check("\"key_size\":64,\"af\"", "\"key_size\":4294967296,\"af\"", "keyslots.0.key_size is not below 2^32");
        check("\"key_size\":64,\"af\"", "\"key_size\":-1,\"af\"", "keyslots.0.key_size is not a whole number");
        check("\"32768\"", "32768", "keyslots.0.area.offset is not a whole number written as a string");
        check("\"258048\"", "\"0\"", "keyslots.0.area is not a range of at least one byte that ends below 2^64");
        check(
            "\"32768\"",
            "\"18446744073709551615\"",
            "keyslots.0.area is not a range of at least one byte that ends below 2^64",
        );
        check("\"raw\"", "\"datashift\"", "keyslots.0.area.type is not \"raw\"");
        check("\"luks1\"", "\"none\"", "keyslots.0.af.type is not \"luks1\"");
        check("\"argon2id\"", "\"scrypt\"", "keyslots.0.kdf.type is not \"pbkdf2\", \"argon2i\" or \"argon2id\"");
        check("\"salt\":\"zI2a", "\"salt\":\"zI2", "keyslots.0.kdf.salt is not base64");
        check(",\"kdf\":{", ",\"fdk\":{", "keyslots.0.kdf is missing");
        check("{\"type\":\"luks2\",", "{\"type\":\"luks2\",\"priority\":3,", "keyslots.0.priority is not 0, 1 or 2");
    }

    #[test]
    fn an_unknown_kind_keeps_its_area() {
        let slot =
            read(r#"{"type":"reencrypt","key_size":1,"area":{"type":"none","offset":"32768","size":"4096"}}"#).unwrap();
        assert!(matches!(slot.kind, KeyslotKind::Other { ref name } if name == "reencrypt"));
        assert_eq!(slot.area.end(), Bytes(36864));
    }
}
