//! The client half of one exchange.

use crate::error::TangError;
use crate::exchange_key::ExchangeKey;
use crate::{Method, Request};
use crypto::ec::{Point, Scalar};
use jose::{Jwk, ecmr};
use json::{Limits, Object};

/// Client half of one McCallum-Relyea recovery: blind the bound point, ask, unblind.
#[derive(Debug)]
pub struct Recovery {
    blind: Scalar,
    server: ExchangeKey,
}

impl Recovery {
    /// Blinds `bound` (the JWE's `epk`, C) and returns the one request to send: `X = C + e·G` to `/rec/{thumbprint}`.
    ///
    /// # Errors
    /// [`TangError::OtherCurve`] if point, key and blind are not on one curve.
    pub fn start(bound: &Point, server: &ExchangeKey, blind: Scalar) -> Result<(Recovery, Request), TangError> {
        if bound.curve() != server.curve() {
            return Err(TangError::OtherCurve);
        }
        let blinded = ecmr::blind(bound, &blind)?;
        let request = Request {
            method: Method::Post,
            path: format!("/rec/{}", server.thumbprint()),
            content_type: Some("application/jwk+json"),
            body: ecmr_key(&blinded).to_compact().as_bytes().to_vec(),
        };
        Ok((Recovery { blind, server: server.clone() }, request))
    }

    /// Unblinds the answer: `K = Y - e·S`. Takes `self`: a blind is never used twice.
    ///
    /// # Errors
    /// [`TangError`] if the answer is no EC key on the same curve.
    pub fn finish(self, answer: &[u8]) -> Result<Point, TangError> {
        let document = json::parse(answer, &Limits::SMALL)?;
        let field = document.field("answer");
        let bad_key = |source| TangError::BadKey { place: field.place().to_owned(), source };
        let key = Jwk::public_from_field(&field).map_err(bad_key)?;
        let point = key.point().ok_or_else(|| field.wrong_value("an EC key"))?;
        if point.curve() != self.server.curve() {
            return Err(TangError::OtherCurve);
        }
        Ok(ecmr::unblind(point, &self.blind, self.server.point())?)
    }
}

/// `{"alg":"ECMR","crv","kty","x","y"}`: what the original client sends.
fn ecmr_key(point: &Point) -> json::Value {
    let bare = Jwk::from_point(point).public_json();
    let mut key = Object::new().with("alg", "ECMR");
    for (name, value) in bare.iter() {
        key.insert(name, value.clone());
    }
    key.into()
}
