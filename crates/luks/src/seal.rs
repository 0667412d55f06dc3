//! The seal: message authentication codes over a header, made with a key that only the volume key gives.
//!
//! It tells after opening a volume, and before its data is used, whether somebody without the volume key has changed the header.
//! It cannot tell that the whole header is an older one that was sealed too, nor that there should be a seal and is none: for
//! that each binding says under which epoch it was made. Who puts back header and bindings together is found out only where the
//! epoch is also held outside of the disk, and then only as far as epochs go: the epoch grows with each new seal, and with each
//! change by who holds the volume key that takes away or replaces something sealed, a passphrase above all. It does not grow
//! when slots or tokens are added, so that the header from before that is as good as the one after. A change without the key
//! cannot make it grow: until the header is sealed again, a header from before it passes for the latest.
//!
//! With `K` = HMAC-SHA256(volume key, "cotter header seal v1" ‖ UUID, 16 bytes), each code is HMAC-SHA256(K, text), where the text
//! is compact JSON with sorted members that names what it is about. One code is over what decides how the data is read
//! (`header`, with the epoch), one over the flags of the mapping, one over each keyslot with its digests, one over each token but
//! the seal, and the last (`mac`) over the object that holds them all. Left out are the seal itself, sequence number, checksums,
//! salts of the header copies, and labels.
//!
//! LUKS2 keeps them in a token of type `cotter-seal`. LUKS1 has no tokens; there they stand in the protected header of each
//! binding, as the same object.

use crate::fingerprint;
use crate::slot::{Slot, TokenId};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto::{Hash, Secret, VolumeKey, hmac};
use json::{Field, FieldError, Object, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use uuid::Uuid;

/// The type of the token.
pub(crate) const TOKEN_KIND: &str = "cotter-seal";
/// The version of all this.
const VERSION: u64 = 1;
/// A part's code.
type Mac = [u8; 32];

/// What the seal tells about a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SealState {
    /// There is none: nothing is known.
    Unsealed,
    /// What decides how the data is read is as it was sealed.
    Sealed {
        /// Which seal it is: it grows when the volume is sealed again, and when something sealed is taken away or replaced.
        epoch: u64,
        /// What has been changed since by somebody without the volume key, or by a program that knows no seal. None: nothing.
        differences: Vec<Difference>,
    },
    /// The seal is not right, or what decides how the data is read has been changed: the volume must not be used.
    Broken(SealBroken),
}

/// One thing about a header that is not as it was sealed. Programs that know no seal make such differences too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // the names say it
pub enum Difference {
    SlotAdded(Slot),
    SlotRemoved(Slot),
    SlotChanged(Slot),
    TokenAdded(TokenId),
    TokenRemoved(TokenId),
    TokenChanged(TokenId),
    /// The flags with which the volume is mapped.
    FlagsChanged,
}

/// Why a seal is no good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SealBroken {
    /// The seal cannot be read.
    Malformed {
        /// What is wrong with it.
        source: FieldError,
    },
    /// It is of a version that is not known here.
    Version {
        /// The version.
        found: u64,
    },
    /// There are several.
    Several,
    /// The seal was not made with this volume key, or has been changed.
    Forged,
    /// Segments, digests, requirements or the like are not those that were sealed.
    Header,
}

/// What is sealed, as canonical values. Each version of the format says what stands in them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SealParts {
    pub(crate) uuid: Uuid,
    pub(crate) header: Value,
    pub(crate) flags: Value,
    pub(crate) slots: BTreeMap<Slot, Value>,
    pub(crate) tokens: BTreeMap<TokenId, Value>,
}

/// What a change has made, or replaced as a whole: nothing of it is somebody else's.
#[derive(Clone, Debug, Default)]
pub(crate) struct Own {
    pub(crate) slots: BTreeSet<Slot>,
    pub(crate) tokens: BTreeSet<TokenId>,
    pub(crate) flags: bool,
}

/// The key of the codes of one volume.
pub(crate) struct SealKey(Secret);

/// The codes of one header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SealValues {
    pub(crate) epoch: u64,
    header: Mac,
    flags: Mac,
    slots: BTreeMap<Slot, Mac>,
    tokens: BTreeMap<TokenId, Mac>,
}

impl SealKey {
    /// `HMAC-SHA256(volume key, "cotter header seal v1" ‖ UUID)`
    pub(crate) fn of(key: &VolumeKey, uuid: Uuid) -> SealKey {
        let mac = hmac(Hash::Sha256, key.expose(), &[b"cotter header seal v1", uuid.as_bytes()]);
        SealKey(Secret::copied_from(mac.as_ref()))
    }

    /// The code of `value`, which is `part` of the header; `name` tells parts of one kind apart.
    fn mac(&self, part: &str, name: impl fmt::Display, value: &Value) -> Mac {
        let text = Object::new().with("name", name.to_string()).with("part", part).with("value", value.clone());
        let text = canonical(&text.into()).to_compact();
        fingerprint::bytes(&hmac(Hash::Sha256, self.0.expose(), &[text.as_bytes()]))
    }
}

impl SealValues {
    /// Seals all of it.
    pub(crate) fn of(parts: &SealParts, key: &SealKey, epoch: u64) -> SealValues {
        SealValues {
            epoch,
            header: key.mac("header", epoch, &parts.header),
            flags: key.mac("flags", "", &parts.flags),
            slots: parts.slots.iter().map(|(slot, value)| (*slot, key.mac("slot", slot, value))).collect(),
            tokens: parts.tokens.iter().map(|(token, value)| (*token, key.mac("token", token, value))).collect(),
        }
    }

    /// Whether something that `before` had is gone in `after`, or another.
    fn takes_away(before: &SealParts, after: &SealParts) -> bool {
        let slots = before.slots.iter().any(|(slot, value)| after.slots.get(slot) != Some(value));
        let tokens = before.tokens.iter().any(|(token, value)| after.tokens.get(token) != Some(value));
        slots || tokens || before.flags != after.flags
    }

    /// As [`SealValues::renewed`], and in the next epoch if something goes that was there: with it the header before could be put
    /// back unseen. `None` if there is no next one. The header's own part must be as it was sealed.
    pub(crate) fn advanced(
        &self,
        before: &SealParts,
        after: &SealParts,
        own: &Own,
        key: &SealKey,
    ) -> Option<SealValues> {
        let renewed = self.renewed(before, after, own, key);
        if !SealValues::takes_away(before, after) {
            return Some(renewed);
        }
        let epoch = self.epoch.checked_add(1)?;
        Some(SealValues { epoch, header: key.mac("header", epoch, &before.header), ..renewed })
    }

    /// Seals what differs between `before` and `after`, as far as that is ours: what `before` said was as it was sealed, or `own`
    /// has replaced it as a whole. What was said about the rest stays, right or wrong: a change that somebody else made is not
    /// hidden by one of ours, not even by one to the same slot or token.
    pub(crate) fn renewed(&self, before: &SealParts, after: &SealParts, own: &Own, key: &SealKey) -> SealValues {
        let flags = |value: &Value| key.mac("flags", "", value);
        let vouched = own.flags || before.flags != after.flags && same(&flags(&before.flags), &self.flags);
        let slot = |slot, value: &Value| key.mac("slot", slot, value);
        let token = |token, value: &Value| key.mac("token", token, value);
        SealValues {
            epoch: self.epoch,
            header: self.header,
            flags: if vouched { flags(&after.flags) } else { self.flags },
            slots: renewed(&self.slots, &before.slots, &after.slots, &own.slots, slot),
            tokens: renewed(&self.tokens, &before.tokens, &after.tokens, &own.tokens, token),
        }
    }

    /// What of `parts` is not as it was sealed.
    pub(crate) fn compare(&self, parts: &SealParts, key: &SealKey) -> SealState {
        let now = SealValues::of(parts, key, self.epoch);
        if !same(&now.header, &self.header) {
            return SealState::Broken(SealBroken::Header);
        }
        let mut differences = Vec::new();
        let slots: [fn(Slot) -> Difference; 3] =
            [Difference::SlotAdded, Difference::SlotRemoved, Difference::SlotChanged];
        let tokens: [fn(TokenId) -> Difference; 3] =
            [Difference::TokenAdded, Difference::TokenRemoved, Difference::TokenChanged];
        differ(&self.slots, &now.slots, slots, &mut differences);
        differ(&self.tokens, &now.tokens, tokens, &mut differences);
        if !same(&now.flags, &self.flags) {
            differences.push(Difference::FlagsChanged);
        }
        SealState::Sealed { epoch: self.epoch, differences }
    }

    /// The members of `object`, those of the seal, and the code over all of them.
    pub(crate) fn to_object(&self, object: Object, key: &SealKey) -> Object {
        let object = object
            .with("version", VERSION)
            .with("epoch", self.epoch.to_string())
            .with("header", text(&self.header))
            .with("flags", text(&self.flags))
            .with("slots", texts(&self.slots))
            .with("tokens", texts(&self.tokens));
        let mac = key.mac("seal", "", &object.clone().into());
        object.with("mac", text(&mac))
    }

    /// Reads what [`SealValues::to_object`] wrote with this key.
    pub(crate) fn read(object: &Object, key: &SealKey) -> Result<SealValues, SealBroken> {
        let value = Value::from(object.clone());
        let (version, values, said) =
            SealValues::parse(&value.field("seal")).map_err(|source| SealBroken::Malformed { source })?;
        if version != VERSION {
            return Err(SealBroken::Version { found: version });
        }
        let mut covered = object.clone();
        covered.remove("mac");
        if same(&key.mac("seal", "", &covered.into()), &said) { Ok(values) } else { Err(SealBroken::Forged) }
    }

    fn parse(field: &Field<'_>) -> Result<(u64, SealValues, Mac), FieldError> {
        let values = SealValues {
            epoch: field.member("epoch")?.integer_text()?,
            header: mac(&field.member("header")?)?,
            flags: mac(&field.member("flags")?)?,
            slots: macs(&field.member("slots")?, Slot::from_name)?,
            tokens: macs(&field.member("tokens")?, TokenId::from_name)?,
        };
        Ok((field.member("version")?.integer()?, values, mac(&field.member("mac")?)?))
    }
}

/// What is there now and was not sealed, the other way round, and what is another.
fn differ<K: Ord + Copy>(
    sealed: &BTreeMap<K, Mac>,
    now: &BTreeMap<K, Mac>,
    [added, removed, changed]: [fn(K) -> Difference; 3],
    found: &mut Vec<Difference>,
) {
    for name in sealed.keys().chain(now.keys()).collect::<BTreeSet<_>>() {
        match (sealed.get(name), now.get(name)) {
            (Some(sealed), Some(now)) if same(sealed, now) => {}
            (Some(_), Some(_)) => found.push(changed(*name)),
            (Some(_), None) => found.push(removed(*name)),
            (None, _) => found.push(added(*name)),
        }
    }
}

fn renewed<K: Ord + Copy>(
    sealed: &BTreeMap<K, Mac>,
    before: &BTreeMap<K, Value>,
    after: &BTreeMap<K, Value>,
    own: &BTreeSet<K>,
    mac: impl Fn(K, &Value) -> Mac,
) -> BTreeMap<K, Mac> {
    // What was removed before this change stays missing.
    let missing = sealed.iter().filter(|(name, _)| !before.contains_key(name));
    let mut values: BTreeMap<K, Mac> = missing.map(|(name, mac)| (*name, *mac)).collect();
    for (name, value) in after {
        let said = sealed.get(name);
        let was = before.get(name);
        let is_right = || said.zip(was).is_some_and(|(said, was)| same(said, &mac(*name, was)));
        let vouched = own.contains(name) || was != Some(value) && is_right();
        let known = if vouched { Some(mac(*name, value)) } else { said.copied() };
        values.extend(known.map(|mac| (*name, mac)));
    }
    values
}

/// The value with the members of all its objects sorted, so that whoever writes it anew changes nothing.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(canonical).collect()),
        Value::Object(object) => {
            let sorted: BTreeMap<&str, &Value> = object.iter().collect();
            let members = sorted.into_iter();
            members.fold(Object::new(), |object, (name, value)| object.with(name, canonical(value))).into()
        }
        simple => simple.clone(),
    }
}

/// The array of texts as a set: in order, each once.
pub(crate) fn as_set(value: &Value) -> Value {
    let Value::Array(items) = value else { return value.clone() };
    let set: BTreeSet<&str> = items.iter().filter_map(Value::as_str).collect();
    Value::from(set.into_iter().collect::<Vec<_>>())
}

fn same(one: &Mac, other: &Mac) -> bool {
    Secret::copied_from(one).ct_eq(other)
}

fn text(mac: &Mac) -> String {
    STANDARD.encode(mac)
}

fn texts<K: fmt::Display>(macs: &BTreeMap<K, Mac>) -> Object {
    macs.iter().fold(Object::new(), |object, (name, mac)| object.with(&name.to_string(), text(mac)))
}

fn mac(field: &Field<'_>) -> Result<Mac, FieldError> {
    let bytes = STANDARD.decode(field.text()?).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| field.wrong_value("the base64 of 32 bytes"))
}

fn macs<K: Ord>(field: &Field<'_>, name: impl Fn(&str) -> Option<K>) -> Result<BTreeMap<K, Mac>, FieldError> {
    let read = |(key, field): (&str, Field<'_>)| {
        Ok((name(key).ok_or_else(|| field.wrong_value("named by a number below 32"))?, mac(&field)?))
    };
    field.members()?.map(read).collect()
}

impl SealState {
    /// Whether there is something that a person should look at.
    pub fn is_clean(&self) -> bool {
        matches!(self, SealState::Sealed { differences, .. } if differences.is_empty())
    }
}

impl fmt::Display for SealState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SealState::Unsealed => f.write_str("the header is not sealed"),
            SealState::Sealed { epoch, differences } if differences.is_empty() => {
                write!(f, "the header is as it was sealed (epoch {epoch})")
            }
            SealState::Sealed { epoch, differences } => {
                let list: Vec<String> = differences.iter().map(ToString::to_string).collect();
                write!(f, "the header has been changed since it was sealed (epoch {epoch}): {}", list.join(", "))
            }
            SealState::Broken(reason) => reason.fmt(f),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::SlotAdded(slot) => write!(f, "keyslot {slot} was added"),
            Difference::SlotRemoved(slot) => write!(f, "keyslot {slot} was removed"),
            Difference::SlotChanged(slot) => write!(f, "keyslot {slot} was changed"),
            Difference::TokenAdded(token) => write!(f, "token {token} was added"),
            Difference::TokenRemoved(token) => write!(f, "token {token} was removed"),
            Difference::TokenChanged(token) => write!(f, "token {token} was changed"),
            Difference::FlagsChanged => f.write_str("the flags of the mapping were changed"),
        }
    }
}

impl fmt::Display for SealBroken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SealBroken::Malformed { .. } => f.write_str("the seal of the header cannot be read"),
            SealBroken::Version { found } => write!(f, "the seal of the header is of the unknown version {found}"),
            SealBroken::Several => f.write_str("the header has several seals"),
            SealBroken::Forged => f.write_str("the seal of the header was changed, or made without the volume key"),
            SealBroken::Header => {
                f.write_str("segments, digests or requirements of the header are not those that were sealed")
            }
        }
    }
}

impl SealBroken {
    /// What a person can do next.
    pub fn hint(&self) -> &'static str {
        match self {
            SealBroken::Version { .. } => "a newer program may know it",
            _ => {
                "somebody may have changed this header: compare it with a backup (`cotter luks dump`); if it is right as it is, `cotter luks seal`"
            }
        }
    }
}

impl std::error::Error for SealBroken {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if let SealBroken::Malformed { source } = self { Some(source) } else { None }
    }
}
