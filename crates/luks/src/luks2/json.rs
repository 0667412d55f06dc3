//! The JSON area: the metadata as values, and the document they were read from (LUKS2 on-disk format, section 3).
//!
//! The document is kept as it was read, so that an edit leaves alone what it does not understand: unknown members, and
//! tokens of other programs. The values are always those of the document.
//!
//! What is checked here is what the specification and cryptsetup demand of every header, whatever it is used for. Stricter
//! than cryptsetup on purpose: no member may stand twice in one object, and no slot or token may have a number over 31.

use crate::area::Area;
use crate::luks2::binary_header::HeaderSize;
use crate::luks2::digest::{Digest, DigestKind};
use crate::luks2::keyslot::{Keyslot, KeyslotKind};
use crate::luks2::segment::{Segment, texts};
use crate::luks2::token::Token;
use crate::slot::{Slot, TokenId};
use block::Bytes;
use json::{Field, FieldError, JsonError, Limits, Value};
use std::collections::BTreeMap;
use std::fmt;

/// Largest keyslots area (the limit of cryptsetup).
const LARGEST_KEYSLOTS_AREA: u64 = 128 << 20;

/// The metadata of a LUKS2 header.
#[derive(Clone, Debug)]
pub struct Metadata {
    document: Value,
    size: HeaderSize,
    /// The keyslots.
    pub keyslots: BTreeMap<Slot, Keyslot>,
    /// The tokens.
    pub tokens: BTreeMap<TokenId, Token>,
    /// The segments, by their names; never empty.
    pub segments: BTreeMap<String, Segment>,
    /// The digests, by their names.
    pub digests: BTreeMap<String, Digest>,
    /// What concerns the whole header.
    pub config: Config,
}

/// The `config` object.
#[derive(Clone, Debug)]
pub struct Config {
    /// Size of the area behind both header copies that holds the key material.
    pub keyslots_size: Bytes,
    /// Flags that make a difference to how the volume is mapped, such as `allow-discards`.
    pub flags: Vec<String>,
    /// What a program must understand to use this header.
    pub requirements: Vec<String>,
}

/// Why metadata was not read.
#[derive(Debug)]
pub enum MetadataError {
    /// The area does not begin with an object, has no NUL behind it, or something other than NULs there.
    Area {
        /// What is wrong, in words.
        problem: &'static str,
    },
    /// It is not JSON.
    Json {
        /// What the grammar says.
        source: JsonError,
    },
    /// It is JSON, but not LUKS2 metadata.
    Field {
        /// What is wrong, and where.
        source: FieldError,
    },
    /// `config.json_size` is not what the binary header says.
    JsonSize {
        /// What it is.
        said: u64,
        /// What it should be.
        expected: u64,
    },
    /// The key material of a slot lies where it must not.
    Misplaced {
        /// The slot.
        slot: Slot,
        /// What is wrong, in words.
        problem: Misplaced,
    },
    /// The disk ends in the keyslots area.
    KeyslotsAreaOutsideDisk {
        /// Where the area ends.
        end: Bytes,
        /// How long the disk is.
        disk: Bytes,
    },
    /// The headers and the keyslots area reach into the data.
    KeyslotsArea {
        /// Where they end.
        end: Bytes,
        /// Where the data begins.
        data: Bytes,
    },
}

/// What is wrong with an area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misplaced {
    /// It is not wholly in the keyslots area.
    OutsideKeyslotsArea,
    /// It is not wholly on the disk.
    OutsideDisk,
    /// It has bytes in common with another slot's.
    Overlaps(Slot),
    /// It is too small for the stripes of the key.
    TooSmall,
}

impl From<FieldError> for MetadataError {
    fn from(source: FieldError) -> MetadataError {
        MetadataError::Field { source }
    }
}

impl Metadata {
    /// Reads the JSON area of a header copy of this size.
    pub(crate) fn parse(area: &[u8], size: HeaderSize) -> Result<Metadata, MetadataError> {
        let document = json::parse(text(area)?, &Limits::LUKS2).map_err(|source| MetadataError::Json { source })?;
        Metadata::from_document(document, size)
    }

    /// Takes a document as metadata, checking all of it.
    pub(crate) fn from_document(document: Value, size: HeaderSize) -> Result<Metadata, MetadataError> {
        let root = document.field("metadata");
        let keyslots = objects(&root, "keyslots", Slot::from_name, Keyslot::parse)?;
        let tokens = objects(&root, "tokens", TokenId::from_name, Token::parse)?;
        let segments = objects(&root, "segments", number, Segment::parse)?;
        let digests = objects(&root, "digests", number, Digest::parse)?;
        let config = Config::parse(&root.member("config")?, size)?;
        let metadata = Metadata { size, keyslots, tokens, segments, digests, config, document };
        metadata.check_references()?;
        metadata.check_areas()?;
        Ok(metadata)
    }

    /// The JSON area that holds the document, NULs to its end; `None` if it does not fit.
    pub(crate) fn to_area(&self) -> Option<Vec<u8>> {
        let text = self.document.to_compact();
        let mut area = vec![0; self.size.json_len()];
        // A NUL must follow, so the text is shorter than the area.
        if text.len() >= area.len() {
            return None;
        }
        area.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
        Some(area)
    }

    /// The document, for whoever wants what is not understood here, or all of it: `to_compact` gives the text as it stands on
    /// the disk.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// Where key material may lie; `None` if there is no room for any.
    pub(crate) fn keyslots_area(&self) -> Option<Area> {
        Area::new(self.size.both(), self.config.keyslots_size)
    }

    /// Whether both say by the same digests what the key of the data is. One that is not understood proves nothing.
    pub(crate) fn has_data_key_of(&self, other: &Metadata) -> bool {
        let digests = |metadata: &Metadata| {
            let digests = metadata.digests.values().filter(|digest| !digest.segments.is_empty());
            digests.map(|digest| digest.kind.clone()).collect::<Vec<_>>()
        };
        let (one, other) = (digests(self), digests(other));
        let understood = |kind: &DigestKind| matches!(kind, DigestKind::Pbkdf2(_));
        !one.is_empty() && one == other && one.iter().all(understood)
    }

    /// Refuses areas that reach behind the end of the disk.
    pub(crate) fn check_disk(&self, disk: Bytes) -> Result<(), MetadataError> {
        if let Some((slot, _)) = self.keyslots.iter().find(|(_, keyslot)| keyslot.area.end() > disk) {
            return Err(MetadataError::Misplaced { slot: *slot, problem: Misplaced::OutsideDisk });
        }
        let end = Bytes(self.size.both().0.saturating_add(self.config.keyslots_size.0));
        if end > disk { Err(MetadataError::KeyslotsAreaOutsideDisk { end, disk }) } else { Ok(()) }
    }

    fn check_references(&self) -> Result<(), FieldError> {
        let missing = |place: String, expected| Err(FieldError::WrongValue { place, expected });
        let known = |slots: &[Slot]| slots.iter().all(|slot| self.keyslots.contains_key(slot));
        for (id, token) in &self.tokens {
            if !known(&token.keyslots) {
                return missing(format!("metadata.tokens.{id}.keyslots"), "a list of keyslots that exist");
            }
        }
        for (name, digest) in &self.digests {
            if !known(&digest.keyslots) {
                return missing(format!("metadata.digests.{name}.keyslots"), "a list of keyslots that exist");
            }
            if !digest.segments.iter().all(|segment| self.segments.contains_key(segment)) {
                return missing(format!("metadata.digests.{name}.segments"), "a list of segments that exist");
            }
        }
        if self.segments.is_empty() {
            return missing("metadata.segments".into(), "at least one segment");
        }
        Ok(())
    }

    fn check_areas(&self) -> Result<(), MetadataError> {
        let room = self.keyslots_area();
        for (slot, keyslot) in &self.keyslots {
            let misplaced = |problem| Err(MetadataError::Misplaced { slot: *slot, problem });
            if !room.is_some_and(|room| room.contains(&keyslot.area)) {
                return misplaced(Misplaced::OutsideKeyslotsArea);
            }
            if let Some((other, _)) = self.keyslots.range(..slot).find(|(_, k)| k.area.overlaps(&keyslot.area)) {
                return misplaced(Misplaced::Overlaps(*other));
            }
            if let KeyslotKind::Luks2(luks2) = &keyslot.kind
                && keyslot.area.size().0 < u64::from(keyslot.key_size) * u64::from(luks2.af_stripes)
            {
                return misplaced(Misplaced::TooSmall);
            }
        }
        let end = Bytes(self.size.both().0.saturating_add(self.config.keyslots_size.0));
        // A segment at 0 belongs to a header that is kept apart from its data.
        let crypt = self.segments.values().filter(|s| s.as_crypt().is_some() && s.offset > Bytes(0));
        match crypt.map(|s| s.offset).min() {
            Some(data) if data < end => Err(MetadataError::KeyslotsArea { end, data }),
            _ => Ok(()),
        }
    }
}

impl Config {
    fn parse(field: &Field<'_>, size: HeaderSize) -> Result<Config, MetadataError> {
        let said = field.member("json_size")?.integer_text()?;
        let expected = Bytes::from(size.json_len()).0;
        if said != expected {
            return Err(MetadataError::JsonSize { said, expected });
        }
        let member = field.member("keyslots_size")?;
        let keyslots_size = Bytes(member.integer_text()?);
        if !keyslots_size.is_multiple_of(4096) || keyslots_size.0 > LARGEST_KEYSLOTS_AREA {
            return Err(member.wrong_value("a multiple of 4096, at most 128 MiB").into());
        }
        let requirements = match field.optional("requirements")? {
            Some(requirements) => texts(&requirements, "mandatory")?,
            None => Vec::new(),
        };
        Ok(Config { keyslots_size, flags: texts(field, "flags")?, requirements })
    }
}

/// The text of the area: what stands before the first NUL. Behind it there are only NULs.
fn text(area: &[u8]) -> Result<&[u8], MetadataError> {
    let problem = |problem| Err(MetadataError::Area { problem });
    if area.first() != Some(&b'{') {
        return problem("does not begin with {");
    }
    let Some(end) = area.iter().position(|b| *b == 0) else { return problem("has no NUL at its end") };
    let (text, rest) = area.split_at(end);
    if rest.iter().any(|b| *b != 0) {
        return problem("has something behind the NUL that ends it");
    }
    Ok(text)
}

fn number(name: &str) -> Option<String> {
    let number: u32 = name.parse().ok()?;
    (number.to_string() == name).then(|| name.to_owned())
}

/// The objects of one section, by what their names mean.
fn objects<K: Ord, V>(
    root: &Field<'_>,
    section: &str,
    name: impl Fn(&str) -> Option<K>,
    parse: impl Fn(&Field<'_>) -> Result<V, FieldError>,
) -> Result<BTreeMap<K, V>, FieldError> {
    let read = |(key, field): (&str, Field<'_>)| {
        let key = name(key).ok_or_else(|| field.wrong_value("named by a number that is allowed here"))?;
        Ok((key, parse(&field)?))
    };
    root.member(section)?.members()?.map(read).collect()
}

impl fmt::Display for MetadataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MetadataError::Area { problem } => write!(f, "the JSON area {problem}"),
            MetadataError::Json { .. } => f.write_str("the JSON area is not JSON that can be read"),
            MetadataError::Field { .. } => f.write_str("the JSON is not LUKS2 metadata"),
            MetadataError::JsonSize { said, expected } => {
                write!(f, "metadata.config.json_size is {said}, the binary header says {expected}")
            }
            MetadataError::Misplaced { slot, problem } => write!(f, "the key material of slot {slot} {problem}"),
            MetadataError::KeyslotsAreaOutsideDisk { end, disk } => {
                write!(f, "the keyslots area ends at {}, behind the end of the disk at {}", end.0, disk.0)
            }
            MetadataError::KeyslotsArea { end, data } => {
                write!(f, "the keyslots area ends at {}, behind the beginning of the data at {}", end.0, data.0)
            }
        }
    }
}

impl fmt::Display for Misplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Misplaced::OutsideKeyslotsArea => f.write_str("does not lie in the keyslots area"),
            Misplaced::OutsideDisk => f.write_str("reaches behind the end of the disk"),
            Misplaced::Overlaps(other) => write!(f, "overlaps that of slot {other}"),
            Misplaced::TooSmall => f.write_str("has an area too small for its stripes"),
        }
    }
}

impl std::error::Error for MetadataError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            MetadataError::Json { source } => Some(source),
            MetadataError::Field { source } => Some(source),
            _ => None,
        }
    }
}
