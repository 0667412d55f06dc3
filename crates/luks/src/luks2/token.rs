//! Token objects: how a passphrase may be found (LUKS2 on-disk format, section 3.5). What they say beyond their type and
//! their slots is for others to understand; it is kept as it is.

use crate::luks2::digest::slots;
use crate::slot::Slot;
use json::{Field, FieldError, Object};

/// One token.
#[derive(Clone, Debug)]
pub struct Token {
    /// Its type, such as `clevis`.
    pub kind: String,
    /// The slots it serves, each once, in ascending order.
    pub keyslots: Vec<Slot>,
    /// All of its members, these two included.
    pub members: Object,
}

impl Token {
    /// Reads the object of one token.
    pub(crate) fn parse(field: &Field<'_>) -> Result<Token, FieldError> {
        Ok(Token {
            kind: field.member("type")?.text()?.to_owned(),
            keyslots: slots(&field.member("keyslots")?)?,
            members: field.object()?.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use json::{Limits, parse};

    #[test]
    fn a_foreign_token_keeps_its_members() {
        let value = parse(br#"{"type":"x","keyslots":["1"],"y":{"z":null}}"#, &Limits::SMALL).unwrap();
        let token = Token::parse(&value.field("tokens.0")).unwrap();
        assert_eq!((token.kind.as_str(), token.keyslots.as_slice()), ("x", [Slot::new(1).unwrap()].as_slice()));
        assert!(token.members.get("y").is_some());
    }
}
