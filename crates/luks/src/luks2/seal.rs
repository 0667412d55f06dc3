//! What of a LUKS2 header is sealed, and the token that holds the seal.

use crate::luks2::binary_header::BinaryHeader;
use crate::luks2::digest::Digest;
use crate::luks2::json::Metadata;
use crate::luks2::token::{Token, TokenKind};
use crate::seal::{Own, SealBroken, SealKey, SealParts, SealState, SealValues, TOKEN_KIND, as_set};
use crate::slot::TokenId;
use json::{Object, Value};

/// The parts of a header that is sealed: segments, digests of segments, config and whatever else is there decide how the data
/// is read; lists of slots are sets.
pub(crate) fn parts(binary: &BinaryHeader, metadata: &Metadata) -> SealParts {
    let empty = Object::new();
    let document = metadata.document().as_object().unwrap_or(&empty);
    let section = |name: &str| document.get(name).and_then(Value::as_object).unwrap_or(&empty);
    let flags = section("config").get("flags").map_or_else(|| Value::Array(Vec::new()), as_set);
    let object = |name: &str, key: String| section(name).get(&key).and_then(Value::as_object).cloned();
    let slots = metadata.keyslots.keys().map(|slot| {
        let keyslot = object("keyslots", slot.to_string()).unwrap_or_default();
        let digests = digests(section("digests"), metadata, |digest| digest.keyslots.contains(slot));
        (*slot, Object::new().with("digests", digests).with("keyslot", keyslot).into())
    });
    let covered = |token: &Token| !matches!(token.recognised(), TokenKind::CotterSeal | TokenKind::CotterApprovals);
    let tokens = metadata.tokens.iter().filter(|(_, token)| covered(token));
    let tokens = tokens.map(|(id, token)| {
        let listed = token.members.get("keyslots").map_or(Value::Null, as_set);
        (*id, token.members.clone().with("keyslots", listed).into())
    });
    SealParts {
        uuid: binary.uuid,
        header: header(binary, document, digests(section("digests"), metadata, |digest| !digest.segments.is_empty())),
        flags,
        slots: slots.collect(),
        tokens: tokens.collect(),
    }
}

/// All of the document but keyslots, tokens and flags.
fn header(binary: &BinaryHeader, document: &Object, digests: Object) -> Value {
    let mut document = document.clone();
    document.remove("keyslots");
    document.remove("tokens");
    document.insert("digests", digests);
    if let Some(config) = document.get_mut("config").and_then(Value::as_object_mut) {
        config.remove("flags");
    }
    let (uuid, size) = (binary.uuid.to_string(), binary.size.bytes().0);
    Object::new().with("document", document).with("size", size).with("uuid", uuid).with("version", "LUKS2").into()
}

/// Those digests that are wanted, without their lists of slots.
fn digests(objects: &Object, metadata: &Metadata, wanted: impl Fn(&Digest) -> bool) -> Object {
    let wanted = metadata.digests.iter().filter(|(_, digest)| wanted(digest));
    wanted.fold(Object::new(), |digests, (name, _)| {
        let mut digest = objects.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
        digest.remove("keyslots");
        digests.with(name, digest)
    })
}

/// The token that holds the seal; an error if there are several.
pub(crate) fn token(metadata: &Metadata) -> Result<Option<(TokenId, &Object)>, SealBroken> {
    let seals = metadata.tokens.iter().filter(|(_, token)| token.recognised() == TokenKind::CotterSeal);
    let mut seals = seals.map(|(id, token)| (*id, &token.members));
    match (seals.next(), seals.next()) {
        (_, Some(_)) => Err(SealBroken::Several),
        (first, None) => Ok(first),
    }
}

/// What the seal tells.
pub(crate) fn state(binary: &BinaryHeader, metadata: &Metadata, key: &SealKey) -> SealState {
    let values = match token(metadata) {
        Ok(None) => return SealState::Unsealed,
        Ok(Some((_, members))) => SealValues::read(members, key),
        Err(broken) => Err(broken),
    };
    match values {
        Ok(values) => values.compare(&parts(binary, metadata), key),
        Err(broken) => SealState::Broken(broken),
    }
}

/// A seal that is renewed with every further change.
pub(crate) struct Sealing {
    pub(crate) key: SealKey,
    pub(crate) token: TokenId,
    pub(crate) sealed: SealValues,
    /// The header that `sealed` was read with.
    pub(crate) before: SealParts,
    /// Whether this very edit has made the seal: its epoch is new already.
    pub(crate) is_new: bool,
}

impl Sealing {
    /// The token for the header that consists of these parts now; `None` if the epoch cannot grow.
    pub(crate) fn renewed(&self, after: &SealParts, own: &Own) -> Option<Object> {
        let token = Object::new().with("type", TOKEN_KIND).with("keyslots", Vec::<&str>::new());
        let values = if self.is_new {
            self.sealed.renewed(&self.before, after, own, &self.key)
        } else {
            self.sealed.advanced(&self.before, after, own, &self.key)?
        };
        Some(values.to_object(token, &self.key))
    }
}

/// The highest epoch that any seal claims, right or wrong.
pub(crate) fn claimed_epoch(metadata: &Metadata) -> u64 {
    let seals = metadata.tokens.values().filter(|token| token.recognised() == TokenKind::CotterSeal);
    let epochs = seals.filter_map(|token| token.members.get("epoch")?.as_str()?.parse().ok());
    epochs.max().unwrap_or(0)
}

/// The tokens that hold a seal.
pub(crate) fn seals(metadata: &Metadata) -> Vec<TokenId> {
    let seals = metadata.tokens.iter().filter(|(_, token)| token.recognised() == TokenKind::CotterSeal);
    seals.map(|(id, _)| *id).collect()
}
