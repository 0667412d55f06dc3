//! Which keyslots are bound, and to what: the tokens of type `clevis` in a LUKS2 header, and the LUKSMeta of a LUKS1 volume.
//!
//! `{"type":"clevis","keyslots":["N"],"jwe":{…}}`, the JWE flattened with all of its five members. The original finds a token
//! only by its first keyslot and writes one keyslot into each; here every listed keyslot counts. In LUKSMeta the compact JWE of
//! keyslot N is the data of slot N, under a UUID of Clevis's own.

use crate::enrolled;
use clevis::BindingError;
use jose::{Jwe, JweError};
use json::{FieldError, Value};
use luks::{CLEVIS_UUID, Header, Luks1, MetaError, MetaState, Slot, Token, TokenId};
use std::collections::BTreeSet;
use std::fmt;

/// The type of the original's tokens.
pub const CLEVIS: &str = "clevis";

/// A keyslot and the policy that brings its passphrase back.
#[derive(Clone, Debug)]
pub struct Binding {
    /// The keyslot.
    pub slot: Slot,
    /// The token that says so; LUKS1 has none.
    pub token: Option<TokenId>,
    /// The passphrase, encrypted to a policy.
    pub jwe: Jwe,
}

/// What says it is a binding and makes no sense.
#[derive(Debug)]
pub struct Unreadable {
    /// The token; LUKS1 has none.
    pub token: Option<TokenId>,
    /// The keyslots it is said to serve.
    pub slots: Vec<Slot>,
    /// What is wrong with it.
    pub why: TokenError,
}

/// Why it makes no sense.
#[derive(Debug)]
pub enum TokenError {
    /// The data in LUKSMeta cannot be read.
    Meta(MetaError),
    /// The data in LUKSMeta are longer than any JWE.
    TooLong {
        /// How long they are.
        bytes: u32,
    },
    /// There is no JWE in it.
    NoJwe(FieldError),
    /// The JWE cannot be read.
    Jwe(JweError),
    /// What systemd has enrolled cannot be read.
    Systemd(BindingError),
}

impl Binding {
    /// Whether it is this very binding, to the last byte.
    pub fn is_same(&self, other: &Binding) -> bool {
        (self.slot, self.token) == (other.slot, other.token) && self.jwe.to_flattened() == other.jwe.to_flattened()
    }
}

impl Unreadable {
    /// Where it stands, for a message: `token 3`, or `LUKSMeta of keyslot 1`.
    pub fn place(&self) -> String {
        match (self.token, self.slots.as_slice()) {
            (Some(token), _) => format!("token {token}"),
            (None, [slot]) => format!("LUKSMeta of keyslot {slot}"),
            (None, _) => "LUKSMeta".to_owned(),
        }
    }
}

/// All bindings of a header, in ascending order of their keyslots; what cannot be read is passed over, see [`unreadable`].
pub fn bindings(header: &Header) -> Vec<Binding> {
    let mut found: Vec<Binding> = match header {
        Header::Luks1(header) => in_meta(header).filter_map(Result::ok).collect(),
        Header::Luks2(_) => tokens(header).flat_map(|(id, token)| in_token(id, token)).collect(),
    };
    found.sort_by_key(|binding| (binding.slot, binding.token));
    found
}

/// What says it is a binding and cannot be read as one.
pub fn unreadable(header: &Header) -> Vec<Unreadable> {
    let broken = |id, token: &Token| {
        let why = match token.kind.as_str() {
            CLEVIS => read(token).err(),
            _ => enrolled::read(token).and_then(Result::err).map(TokenError::Systemd),
        };
        why.map(|why| Unreadable { token: Some(id), slots: token.keyslots.clone(), why })
    };
    match header {
        Header::Luks1(header) => match header.meta() {
            MetaState::Damaged(error) => vec![all_of_meta(header, error)],
            _ => in_meta(header).filter_map(Result::err).collect(),
        },
        Header::Luks2(header) => header.metadata().tokens.iter().filter_map(|(id, token)| broken(*id, token)).collect(),
    }
}

/// A damaged table may have bound any keyslot.
fn all_of_meta(header: &Luks1, error: &MetaError) -> Unreadable {
    let active = Slot::all().zip(&header.slots).filter(|(_, entry)| entry.active);
    Unreadable { token: None, slots: active.map(|(slot, _)| slot).collect(), why: TokenError::Meta(error.clone()) }
}

/// The bindings of one token, one for each keyslot that it serves.
fn in_token(id: TokenId, token: &Token) -> Vec<Binding> {
    let Ok(jwe) = read(token) else { return Vec::new() };
    // A hostile token may list a slot ten thousand times.
    let slots: BTreeSet<Slot> = token.keyslots.iter().copied().collect();
    slots.into_iter().map(|slot| Binding { slot, token: Some(id), jwe: jwe.clone() }).collect()
}

/// The bindings in LUKSMeta of keyslots that are in use.
fn in_meta(header: &Luks1) -> impl Iterator<Item = Result<Binding, Unreadable>> {
    let meta = header.meta().present();
    let entries = meta.into_iter().flat_map(move |meta| meta.slots().map(move |(slot, entry)| (meta, slot, entry)));
    let active = |slot: Slot| header.slots.get(usize::from(slot.number())).is_some_and(|slot| slot.active);
    entries.filter(move |(_, slot, entry)| entry.uuid == CLEVIS_UUID && active(*slot)).map(|(meta, slot, entry)| {
        let jwe = match meta.data(slot) {
            Some(Ok(data)) => Jwe::parse_compact(data).map_err(TokenError::Jwe),
            Some(Err(source)) => Err(TokenError::Meta(source.clone())),
            None => Err(TokenError::TooLong { bytes: entry.length }),
        };
        match jwe {
            Ok(jwe) => Ok(Binding { slot, token: None, jwe }),
            Err(why) => Err(Unreadable { token: None, slots: vec![slot], why }),
        }
    })
}

/// Tokens of type `clevis` with their numbers.
pub(crate) fn tokens(header: &Header) -> impl Iterator<Item = (TokenId, &Token)> {
    let all = header.as_luks2().into_iter().flat_map(|header| &header.metadata().tokens);
    all.filter(|(_, token)| token.kind == CLEVIS).map(|(id, token)| (*id, token))
}

fn read(token: &Token) -> Result<Jwe, TokenError> {
    let missing = || TokenError::NoJwe(FieldError::Missing { place: "token.jwe".into() });
    let jwe: &Value = token.members.get("jwe").ok_or_else(missing)?;
    Jwe::from_flattened(&jwe.field("token.jwe")).map_err(TokenError::Jwe)
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TokenError::NoJwe(_) => f.write_str("the token has no JWE"),
            TokenError::Jwe(_) => f.write_str("its JWE cannot be read"),
            TokenError::Systemd(_) => f.write_str("what systemd has enrolled cannot be read"),
            TokenError::Meta(_) => f.write_str("its data in LUKSMeta cannot be read"),
            TokenError::TooLong { bytes } => write!(f, "its data in LUKSMeta, {bytes} bytes, are longer than any JWE"),
        }
    }
}

impl std::error::Error for TokenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            TokenError::NoJwe(source) => Some(source),
            TokenError::Jwe(source) => Some(source),
            TokenError::Systemd(source) => Some(source),
            TokenError::Meta(source) => Some(source),
            TokenError::TooLong { .. } => None,
        }
    }
}
