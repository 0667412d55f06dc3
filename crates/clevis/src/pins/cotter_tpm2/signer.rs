//! The key that approves, out of a file: a JWK, or a PEM as `openssl pkey -pubout` writes it.

use super::settings::{Signed, SignerKey};
use crate::config::ConfigError;
use crate::error::PinError;
use crate::pin::Ports;
use crypto::ec::{Curve, Point};
use jose::Jwk;
use json::{FieldError, Limits};

/// The public key.
pub(super) fn key(signed: &Signed, ports: &Ports<'_>) -> Result<Point, PinError> {
    let path = match &signed.key {
        SignerKey::Given(key) => return Ok(key.clone()),
        SignerKey::File(path) => path,
    };
    let failed = |source| PinError::File { path: path.clone(), source };
    let text = ports.files.read(path).map_err(failed)?;
    let wrong = || {
        let expected = "the name of a file with a key on P-256, as a JWK or a public PEM";
        let error = FieldError::WrongValue { place: "configuration.signed.key".into(), expected };
        PinError::Config(ConfigError::Option(error))
    };
    from_jwk(text.expose()).or_else(|| from_pem(text.expose())).ok_or_else(wrong)
}

/// The public half, also of a private key.
fn from_jwk(text: &[u8]) -> Option<Point> {
    let value = json::parse(text, &Limits::POLICY).ok()?;
    let point = Jwk::from_field(&value.field("key")).ok()?.point()?.clone();
    (point.curve() == Curve::P256).then_some(point)
}

/// `SubjectPublicKeyInfo` of a key on P-256 up to its point, uncompressed (RFC 5480, sections 2 and 2.2).
const BEFORE_POINT: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];

fn from_pem(text: &[u8]) -> Option<Point> {
    let text = std::str::from_utf8(text).ok()?;
    let (_, rest) = text.split_once("-----BEGIN PUBLIC KEY-----")?;
    let (body, _) = rest.split_once("-----END PUBLIC KEY-----")?;
    let url = |c: char| match c {
        '+' => Some('-'),
        '/' => Some('_'),
        '=' => None,
        c if c.is_whitespace() => None,
        c => Some(c),
    };
    let body: String = body.chars().filter_map(url).collect();
    let der = jose::b64::decode(&body).ok()?;
    let point = der.strip_prefix(&BEFORE_POINT)?;
    let (x, y) = point.split_at_checked(32)?;
    Point::from_coordinates(Curve::P256, x, y).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crypto::SystemRandom;

    /// `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 | openssl pkey -pubout`
    const PEM: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEA/+sZjvGnci8sFeIITmXziOfZzWe
iLfprfKscoxH5gvAMGm6RAJOy8OFJ0dUgT8hW3I51oRsrwcV3DH7vFKfuQ==
-----END PUBLIC KEY-----
";

    #[test]
    fn a_key_is_read_from_jwk_and_pem() {
        let key = Jwk::signing(Curve::P256, &SystemRandom).unwrap();
        let same = |text: &[u8]| from_jwk(text) == key.point().cloned();
        assert!(same(key.private_json().as_bytes()));
        assert!(from_jwk(&key.private_json().as_bytes()[1..]).is_none());
        assert_eq!(from_pem(PEM.as_bytes()).unwrap().x()[..4], [0x03, 0xff, 0xac, 0x66]);
        for wrong in ["", "-----BEGIN PUBLIC KEY-----", &PEM.replace("MFk", "MFo"), &PEM.replace("BEGIN", "BEGAN")] {
            assert!(from_pem(wrong.as_bytes()).is_none(), "{wrong}");
        }
        let p521 = Jwk::signing(Curve::P521, &SystemRandom).unwrap();
        assert!(from_jwk(p521.private_json().as_bytes()).is_none());
    }
}
