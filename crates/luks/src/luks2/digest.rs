//! Digest objects: how a volume key is known to be the right one (LUKS2 on-disk format, section 3.4).

use crate::kdf::LEAST_ITERATIONS;
use crate::luks2::base64;
use crate::luks2::keyslot::u32_member;
use crate::material::random_bytes;
use crate::slot::Slot;
use crypto::kdf::pbkdf2;
use crypto::{Hash, Random, RandomFailed, VolumeKey};
use json::{Field, FieldError, Object};
use std::collections::BTreeSet;

/// One digest.
#[derive(Clone, Debug)]
pub struct Digest {
    /// The slots whose key this is the digest of, each once, in ascending order.
    pub keyslots: Vec<Slot>,
    /// The segments that are encrypted with that key, by their names, each once, in the order of their letters.
    pub segments: Vec<String>,
    /// What kind of digest it is.
    pub kind: DigestKind,
}

/// The kinds of digests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DigestKind {
    /// `pbkdf2`
    Pbkdf2(Pbkdf2Digest),
    /// Any other.
    Other {
        /// The type.
        name: String,
    },
}

/// The members of a digest of type `pbkdf2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pbkdf2Digest {
    /// The hash.
    pub hash: String,
    /// How many rounds.
    pub iterations: u32,
    /// The salt.
    pub salt: Vec<u8>,
    /// PBKDF2 of the volume key.
    pub digest: Vec<u8>,
}

impl Digest {
    /// Reads the object of one digest.
    pub(crate) fn parse(field: &Field<'_>) -> Result<Digest, FieldError> {
        let kind = match field.member("type")?.text()? {
            "pbkdf2" => DigestKind::Pbkdf2(Pbkdf2Digest {
                hash: field.member("hash")?.text()?.to_owned(),
                iterations: u32_member(field, "iterations")?,
                salt: base64::bytes(&field.member("salt")?)?,
                digest: base64::bytes(&field.member("digest")?)?,
            }),
            name => DigestKind::Other { name: name.to_owned() },
        };
        let segments = field.member("segments")?;
        let segments = segments.items()?.map(|item| Ok(item.text()?.to_owned())).collect::<Result<BTreeSet<_>, _>>()?;
        Ok(Digest { keyslots: slots(&field.member("keyslots")?)?, segments: segments.into_iter().collect(), kind })
    }
}

impl Digest {
    /// Salt and value, if the kind is known.
    pub(crate) fn value(&self) -> Option<(&[u8], &[u8])> {
        match &self.kind {
            DigestKind::Pbkdf2(digest) => Some((&digest.salt, &digest.digest)),
            DigestKind::Other { .. } => None,
        }
    }
}

impl Pbkdf2Digest {
    /// The digest of a new key. The fewest iterations do: nobody guesses a random key.
    pub(crate) fn of(key: &VolumeKey, hash: Hash, random: &dyn Random) -> Result<Pbkdf2Digest, RandomFailed> {
        let salt = random_bytes::<32>(random)?.to_vec();
        let mut digest = vec![0; hash.len()];
        pbkdf2(hash, key.expose(), &salt, LEAST_ITERATIONS, &mut digest);
        let (hash, iterations) = (hash.luks_name().to_owned(), LEAST_ITERATIONS.get());
        Ok(Pbkdf2Digest { hash, iterations, salt, digest })
    }

    /// The object of a digest over these slots and segments.
    pub(crate) fn to_json(&self, keyslots: &[Slot], segments: &[&str]) -> Object {
        Object::new()
            .with("type", "pbkdf2")
            .with("keyslots", keyslots.iter().map(ToString::to_string).collect::<Vec<_>>())
            .with("segments", segments.to_vec())
            .with("hash", self.hash.as_str())
            .with("iterations", self.iterations)
            .with("salt", base64::text(&self.salt))
            .with("digest", base64::text(&self.digest))
    }
}

/// An array of names of slots. A slot may stand in it many thousand times, as far as cryptsetup is concerned; the set of them
/// is what counts, and has at most 32 members.
pub(crate) fn slots(field: &Field<'_>) -> Result<Vec<Slot>, FieldError> {
    let slot =
        |item: Field<'_>| Slot::from_name(item.text()?).ok_or_else(|| item.wrong_value("the number of a keyslot"));
    let set = field.items()?.map(slot).collect::<Result<BTreeSet<_>, _>>()?;
    Ok(set.into_iter().collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use json::{Limits, Value, parse};

    const DIGEST: &str = r#"{"type":"pbkdf2","keyslots":[],"segments":["0"],"hash":"sha256","iterations":1000,"salt":"AQI=","digest":"AwQ="}"#;

    fn read(text: &str) -> Result<Digest, String> {
        let value = parse(text.as_bytes(), &Limits::SMALL).unwrap();
        Digest::parse(&value.field("digests.0")).map_err(|e| e.to_string())
    }

    #[test]
    fn what_is_written_is_read() {
        let DigestKind::Pbkdf2(digest) = read(DIGEST).unwrap().kind else { panic!("another kind") };
        assert_eq!(Value::from(digest.to_json(&[], &["0"])).to_compact().as_str(), DIGEST);
    }

    #[test]
    fn lists_are_read_as_sets() {
        let digest = DIGEST.replace("[]", r#"["3","0","3"]"#).replace(r#"["0"],"hash"#, r#"["1","0","1"],"hash"#);
        let digest = read(&digest).unwrap();
        assert_eq!(digest.keyslots, [0, 3].map(|n| Slot::new(n).unwrap()));
        assert_eq!(digest.segments, ["0", "1"]);
    }

    #[test]
    fn errors_name_the_member() {
        let check = |from: &str, to: &str, expected: &str| {
            assert_eq!(read(&DIGEST.replace(from, to)).unwrap_err(), format!("digests.0.{expected}"));
        };
        check("[]", "[\"32\"]", "keyslots.0 is not the number of a keyslot");
        check("[]", "[0]", "keyslots.0 is not a string");
        check("[\"0\"]", "\"0\"", "segments is not an array");
        check("AQI=", "AQI", "salt is not base64");
        check("AQI=", &"AAAA".repeat(257), "salt is not at most 1024 characters long");
    }
}
