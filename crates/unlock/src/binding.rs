//! Which keyslots are bound, and to what: the tokens of type `clevis` in a LUKS2 header.
//!
//! `{"type":"clevis","keyslots":["N"],"jwe":{…}}`, the JWE flattened with all of its five members. The original finds a token
//! only by its first keyslot and writes one keyslot into each; here every listed keyslot counts.

use jose::{Jwe, JweError};
use json::{FieldError, Value};
use luks::{Header, Slot, Token, TokenId};
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

/// A token of type `clevis` that makes no sense.
#[derive(Debug)]
pub struct Unreadable {
    /// The token.
    pub token: TokenId,
    /// The keyslots it is said to serve.
    pub slots: Vec<Slot>,
    /// What is wrong with it.
    pub why: TokenError,
}

/// Why a token of type `clevis` makes no sense.
#[derive(Debug)]
pub enum TokenError {
    /// There is no JWE in it.
    NoJwe(FieldError),
    /// The JWE cannot be read.
    Jwe(JweError),
}

impl Binding {
    /// Whether it is this very binding, to the last byte.
    pub fn is_same(&self, other: &Binding) -> bool {
        (self.slot, self.token) == (other.slot, other.token) && self.jwe.to_flattened() == other.jwe.to_flattened()
    }
}

/// All bindings of a header, in ascending order of their keyslots; tokens that cannot be read are passed over, see
/// [`unreadable`].
pub fn bindings(header: &Header) -> Vec<Binding> {
    let mut found = Vec::new();
    for (id, token) in tokens(header) {
        let Ok(jwe) = read(token) else { continue };
        // A hostile token may list a slot ten thousand times.
        let slots: BTreeSet<Slot> = token.keyslots.iter().copied().collect();
        found.extend(slots.into_iter().map(|slot| Binding { slot, token: Some(id), jwe: jwe.clone() }));
    }
    found.sort_by_key(|binding| (binding.slot, binding.token));
    found
}

/// The tokens that say they are bindings and cannot be read as one.
pub fn unreadable(header: &Header) -> Vec<Unreadable> {
    let broken = |(id, token): (TokenId, &Token)| {
        read(token).err().map(|why| Unreadable { token: id, slots: token.keyslots.clone(), why })
    };
    tokens(header).filter_map(broken).collect()
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
            TokenError::Jwe(_) => f.write_str("the token's JWE cannot be read"),
        }
    }
}

impl std::error::Error for TokenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            TokenError::NoJwe(source) => Some(source),
            TokenError::Jwe(source) => Some(source),
        }
    }
}
