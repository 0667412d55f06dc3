//! What is answered, in the original's order of checks.

use super::keys::KeySet;
use super::response::Response;
use super::route::{Route, ServerRequest, route};
use jose::{Jwk, KeyOperation, Required, ecmr};
use json::{Field, Limits, Value};
use std::error::Error;

impl KeySet {
    /// Answers one request; [`answer`] with keys that could be loaded.
    pub fn answer(&self, request: &ServerRequest<'_>) -> Response {
        answer(Ok(self), request)
    }
}

/// Answers one request. Paths and methods are judged before the keys are looked at, so `keys` may be the reason, in words, why
/// there are none: that is a 500, for those requests that need them.
pub fn answer(keys: Result<&KeySet, &str>, request: &ServerRequest<'_>) -> Response {
    let asked = match route(request) {
        Ok(asked) => asked,
        Err(refusal) => return refusal,
    };
    match asked {
        Route::Advertisement => keys.map_or_else(no_keys, |keys| Response::advertisement(keys.advertisement())),
        Route::SignedAdvertisement(thumbprint) => match keys.map(|keys| keys.advertisement_signed_by(thumbprint)) {
            Ok(Ok(Some(body))) => Response::advertisement(body),
            Ok(Ok(None)) => Response::refusal(404, "no such signing key"),
            Ok(Err(error)) => no_keys(&in_full(&error)),
            Err(reason) => no_keys(reason),
        },
        Route::Recovery(thumbprint) => recover(keys, thumbprint, request.body).unwrap_or_else(|refusal| refusal),
    }
}

fn no_keys(reason: &str) -> Response {
    Response::refusal(500, reason.to_owned())
}

/// One exchange: `Y = s·X`.
fn recover(keys: Result<&KeySet, &str>, thumbprint: &str, body: &[u8]) -> Result<Response, Response> {
    // The original handles a body as a C string.
    let body = body.split(|byte| *byte == 0).next().unwrap_or_default();
    let document = json::parse(body, &Limits::SMALL).map_err(|e| bad_request(&e))?;
    let asked = document.field("key");
    check_request(&asked)?;
    let key = keys.map_err(no_keys)?.find(thumbprint).ok_or_else(|| Response::refusal(404, "no such key"))?;
    let private = key
        .private()
        .filter(|_| key.permits(KeyOperation::DeriveKey, Required::Explicit))
        .filter(|_| key.alg().is_none_or(|alg| alg == "ECMR"))
        .ok_or_else(|| Response::refusal(403, "the key is not for exchanges"))?;
    let asked = Jwk::public_from_field(&asked).map_err(|e| bad_request(&e))?;
    let point = asked.point().ok_or_else(|| Response::refusal(400, "the request is not an EC key"))?;
    ecmr::answer(private, point).map(|point| Response::recovery(&point)).map_err(|e| bad_request(&e))
}

fn bad_request(error: &dyn Error) -> Response {
    Response::refusal(400, in_full(error))
}

/// An error and what led to it, on one line: an answer goes to the log, where nobody can ask for its source.
fn in_full(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |error: &&dyn Error| (*error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Whether the request is for this operation, before any arithmetic: 403 if its key is for something else, 400 if it is no
/// EC key for ECMR.
fn check_request(key: &Field<'_>) -> Result<(), Response> {
    let member = |name| key.value().as_object().and_then(|object| object.get(name));
    let listed =
        matches!(member("key_ops"), Some(Value::Array(names)) if names.iter().any(|n| n.as_str() == Some("deriveKey")));
    if (member("use").is_some() || member("key_ops").is_some()) && !listed {
        return Err(Response::refusal(403, "the request's key is not for exchanges"));
    }
    if member("kty").and_then(Value::as_str) != Some("EC") {
        return Err(Response::refusal(400, "the request is not an EC key"));
    }
    match member("alg").map(Value::as_str) {
        None | Some(Some("ECMR")) => Ok(()),
        Some(_) => Err(Response::refusal(400, "the request's key is for another algorithm")),
    }
}
