//! The server's public key for exchanges, as an advertisement or a binding has it.

use crate::error::TangError;
use crypto::ec::{Curve, Point};
use jose::{Jwk, KeyOperation, Required, Thumbprint, ThumbprintHash};
use json::{Field, Value};

/// A public exchange key, S in the formulas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExchangeKey {
    point: Point,
    thumbprint: Thumbprint,
}

impl ExchangeKey {
    /// The key that a binding names, out of the set that it carries: `set` is a JWK set or a single JWK, `kid` an S256 or
    /// an S1 thumbprint.
    ///
    /// # Errors
    /// [`TangError::NoSuchKey`]; keys of other kinds in the set are passed over.
    pub fn find(set: &Field<'_>, kid: &str) -> Result<ExchangeKey, TangError> {
        let keys: Vec<Field<'_>> = match set.optional("keys")? {
            Some(keys) => keys.items()?.collect(),
            None => vec![set.clone()],
        };
        let readable: Vec<Jwk> = keys.iter().filter_map(|key| Jwk::public_from_field(key).ok()).collect();
        [ThumbprintHash::S256, ThumbprintHash::S1]
            .into_iter()
            .find_map(|hash| readable.iter().find(|key| key.thumbprint(hash).as_str() == kid))
            .and_then(ExchangeKey::of)
            .ok_or_else(|| TangError::NoSuchKey { kid: kid.to_owned() })
    }

    /// The first key of an advertised set that says explicitly that it is for exchanges.
    pub(crate) fn first(keys: &[(Field<'_>, Option<Jwk>)]) -> Result<ExchangeKey, TangError> {
        let says_so = |key: &&Jwk| key.permits(KeyOperation::DeriveKey, Required::Explicit);
        let mut candidates = keys.iter().filter_map(|(_, key)| key.as_ref()).filter(says_so);
        candidates.next().and_then(ExchangeKey::of).ok_or(TangError::NoExchangeKey)
    }

    fn of(key: &Jwk) -> Option<ExchangeKey> {
        let point = key.point()?.clone();
        Some(ExchangeKey { point, thumbprint: key.thumbprint(ThumbprintHash::S256) })
    }

    /// The point.
    pub fn point(&self) -> &Point {
        &self.point
    }

    /// Its curve.
    pub fn curve(&self) -> Curve {
        self.point.curve()
    }

    /// Its S256 thumbprint, which a new binding keeps as `kid` and a recovery puts into the request.
    pub fn thumbprint(&self) -> &Thumbprint {
        &self.thumbprint
    }

    /// `crv`, `kty`, `x`, `y` alone.
    pub fn to_json(&self) -> Value {
        Jwk::from_point(&self.point).public_json().into()
    }
}
