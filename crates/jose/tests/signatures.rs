//! Signatures: vectors of RFC 7515, what is refused, and what a changed byte does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // also in helpers of tests

use crypto::SystemRandom;
use crypto::ec::{self, Curve};
use jose::{Jwk, Jws, b64, jws};
use json::{Limits, Object, Value};
use proptest::prelude::*;

const A3_KEY: &str = include_str!("../vectors/rfc7515_a3.jwk");
const A3: &str = include_str!("../vectors/rfc7515_a3.jws");
const A4_KEY: &str = include_str!("../vectors/rfc7515_a4.jwk");
const A4: &str = include_str!("../vectors/rfc7515_a4.jws");
const A6_4: &str = include_str!("../vectors/rfc7515_a6_4.json");
const A7: &str = include_str!("../vectors/rfc7515_a7.json");

const CLAIMS: &[u8] = b"{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}";

fn key(text: &str) -> Jwk {
    Jwk::parse(text.as_bytes()).unwrap()
}

fn signing(curve: Curve) -> Jwk {
    Jwk::signing(curve, &SystemRandom).unwrap()
}

fn compact(jws: &Jws) -> String {
    Value::Object(jws.to_json()).to_compact().to_string()
}

fn told(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {}", told(source)))
}

fn refused(text: &str) -> String {
    told(&Jws::parse(text.as_bytes()).unwrap_err())
}

/// A JWS whose protected header is `header`, with a signature of zeros.
fn with_header(header: &str, rest: &str) -> String {
    let (protected, signature) = (b64::encode(header.as_bytes()), b64::encode(&[0; 64]));
    format!(r#"{{"payload":"","protected":"{protected}","signature":"{signature}"{rest}}}"#)
}

/// RFC 7515 appendices A.3 (ES256) and A.4 (ES512), in the compact form.
#[test]
fn compact_vectors_verify() {
    let (a3, a4) = (Jws::parse_compact(A3.as_bytes()).unwrap(), Jws::parse_compact(A4.as_bytes()).unwrap());
    assert_eq!(a3.payload(), CLAIMS);
    assert_eq!(a4.payload(), b"Payload");
    assert!(a3.verified_by(&key(A3_KEY)) && a4.verified_by(&key(A4_KEY)));
    assert!(!a3.verified_by(&key(A4_KEY)) && !a4.verified_by(&key(A3_KEY)));
}

/// RFC 7515 appendices A.6.4 (general, the first signature by RSA) and A.7 (flattened), both with unprotected headers.
#[test]
fn json_vectors_verify() {
    for (text, signatures) in [(A6_4, 2), (A7, 1)] {
        let jws = Jws::parse(text.as_bytes()).unwrap();
        assert_eq!(jws.signatures().len(), signatures);
        assert_eq!(jws.payload(), CLAIMS);
        assert!(jws.verified_by(&key(A3_KEY)));
        assert!(!jws.verified_by(&key(A4_KEY)));
        let written = json::parse(compact(&jws).as_bytes(), &Limits::SMALL).unwrap();
        let first_in_order = written.as_object().unwrap().iter().map(|(name, _)| name).next();
        assert_eq!(first_in_order, Some("payload"));
        assert!(Jws::from_field(&written.field("jws")).unwrap().verified_by(&key(A3_KEY)));
    }
}

#[test]
fn each_key_verifies_its_own_signature() {
    let keys: Vec<Jwk> = Curve::ALL.into_iter().map(signing).collect();
    let header = Object::new().with("cty", "jwk-set+json");
    for count in 1..=keys.len() {
        let signers: Vec<&Jwk> = keys.iter().take(count).collect();
        let jws = Jws::sign(b"{}".to_vec(), &header, &signers).unwrap();
        let read = Jws::parse(compact(&jws).as_bytes()).unwrap();
        assert_eq!(compact(&read).contains("signatures"), count > 1);
        for (i, key) in keys.iter().enumerate() {
            assert_eq!(read.verified_by(key), i < count);
        }
    }
}

#[test]
fn a_protected_header_is_sorted_and_compact() {
    let header = Object::new().with("cty", "jwk-set+json").with("alg", "HS256");
    let jws = Jws::sign(Vec::new(), &header, &[&signing(Curve::P521)]).unwrap();
    let expected = b64::encode(br#"{"alg":"ES512","cty":"jwk-set+json"}"#);
    assert!(compact(&jws).contains(&format!(r#""protected":"{expected}""#)));
    assert_eq!(jws.signatures()[0].header().get("cty").and_then(Value::as_str), Some("jwk-set+json"));
}

/// A key for something else neither signs nor verifies; one that says nothing does both.
#[test]
fn a_key_is_used_for_what_it_says() {
    let whole = signing(Curve::P256);
    let with = |name: &str, value: Value| key(&Value::Object(whole.private_members().with(name, value)).to_compact());
    let jws = Jws::sign(b"x".to_vec(), &Object::new(), &[&whole]).unwrap();
    let sign = |key: &Jwk| Jws::sign(b"x".to_vec(), &Object::new(), &[key]);
    for (key, signs, verifies) in [
        (with("key_ops", vec!["sign"].into()), true, false),
        (with("key_ops", vec!["verify"].into()), false, true),
        (with("key_ops", vec!["deriveKey"].into()), false, false),
        (with("alg", "ES384".into()), false, false),
        (with("alg", "ECMR".into()), false, false),
        (Jwk::from_point(whole.point().unwrap()), false, true),
        (Jwk::oct(crypto::Secret::new(vec![1; 32])), false, false),
    ] {
        assert_eq!((sign(&key).is_ok(), jws.verified_by(&key)), (signs, verifies), "{key:?}");
    }
}

/// A JWS by `signer` over a header that says what it likes.
fn signed_with(signer: &Jwk, header: &str) -> String {
    let protected = b64::encode(header.as_bytes());
    let signature = ec::sign(signer.private().unwrap(), format!("{protected}.eA").as_bytes()).unwrap();
    format!(r#"{{"payload":"eA","protected":"{protected}","signature":"{}"}}"#, b64::encode(&signature))
}

/// The signature itself is sound each time; the algorithm must be the one of the key's curve, and stand in the protected header.
#[test]
fn a_header_that_lies_about_the_algorithm_is_not_believed() {
    let signer = signing(Curve::P256);
    let verified = |header: &str| Jws::parse(signed_with(&signer, header).as_bytes()).unwrap().verified_by(&signer);
    assert!(verified(r#"{"alg":"ES256"}"#));
    for alg in ["ES384", "ES512", "HS256", "none", "es256", ""] {
        assert!(!verified(&format!(r#"{{"alg":"{alg}"}}"#)), "{alg}");
    }
    let unprotected = signed_with(&signer, "{}").replace('}', r#","header":{"alg":"ES256"}}"#);
    assert_eq!(refused(&unprotected), "not a JWS: jws.protected.alg is missing");
}

#[test]
fn documents_that_are_no_signatures_are_refused() {
    assert!(Jws::parse(with_header(r#"{"alg":"ES256"}"#, "").as_bytes()).is_ok());
    for (text, expected) in [
        ("[]".to_owned(), "not a JWS: jws is not an object"),
        ("{}".to_owned(), "not a JWS: jws.payload is missing"),
        (r#"{"payload":"A"}"#.to_owned(), "jws.payload is not base64url: 1 characters are no whole bytes of base64url"),
        (r#"{"payload":""}"#.to_owned(), "not a JWS: jws.protected is missing"),
        (r#"{"payload":"","signatures":[]}"#.to_owned(), "0 signatures where 1 to 64 may be"),
        (r#"{"payload":"","signatures":{}}"#.to_owned(), "not a JWS: jws.signatures is not an array"),
        (r#"{"payload":"","signatures":[{}]}"#.to_owned(), "not a JWS: jws.signatures.0.protected is missing"),
        (r#"{"payload":"","protected":"e30"}"#.to_owned(), "not a JWS: jws.signature is missing"),
        (with_header(r#"{"alg":1}"#, ""), "not a JWS: jws.protected.alg is not a string"),
        (with_header("[]", ""), "not a JWS: jws.protected is not an object"),
        (with_header(r#"{"alg":"ES256"}"#, r#","header":1"#), "not a JWS: jws.header is not an object"),
        (
            with_header(r#"{"alg":"ES256"}"#, r#","header":{"alg":"ES256"}"#),
            "`alg` stands in two headers of one signature",
        ),
        (
            with_header(r#"{"alg":"ES256","b64":false,"crit":["b64"]}"#, ""),
            "jws.protected demands extensions (`crit`), and none is supported",
        ),
        (
            with_header(r#"{"alg":"ES256"}"#, r#","header":{"crit":[]}"#),
            "jws.protected demands extensions (`crit`), and none is supported",
        ),
    ] {
        assert_eq!(refused(&text), expected, "{text}");
    }
    assert!(refused("{").starts_with("jws is not JSON: "));
    assert!(refused(&with_header("nothing", "")).starts_with("jws.protected is not JSON: "));
    assert!(refused(&format!(r#"{{"payload":"{}"}}"#, "A".repeat(1 << 20))).contains("longer than 1048576"));
    let many = vec![r#"{"protected":"e30","signature":""}"#; jws::MOST_SIGNATURES + 1].join(",");
    assert_eq!(refused(&format!(r#"{{"payload":"","signatures":[{many}]}}"#)), "65 signatures where 1 to 64 may be");
}

#[test]
fn compact_forms_that_are_no_signatures_are_refused() {
    let refused = |text: &[u8]| told(&Jws::parse_compact(text).unwrap_err());
    assert!(Jws::parse_compact(format!(" \t{A3}\n").as_bytes()).is_ok());
    for (text, expected) in [
        (&b""[..], "a compact JWS has 3 parts, not 1"),
        (b"a.b.c.d", "a compact JWS has 3 parts, not 4"),
        (b"e30..", "not a JWS: jws.protected.alg is missing"),
        (b"\xff..", "jws.protected is not base64url: character 0 is not one of base64url"),
        (b"eyJhbGciOiIifQ.A A.", "jws.payload is not base64url: character 1 is not one of base64url"),
        (b"eyJhbGciOiIifQ..=", "jws.signature is not base64url: character 0 is not one of base64url"),
    ] {
        assert_eq!(refused(text), expected, "{text:?}");
    }
    assert_eq!(refused(&[b'.'; 1048577]), "a JWS of 1048577 bytes is longer than 1048576");
}

#[test]
fn nothing_is_signed_without_a_key_or_with_an_extension() {
    let nobody = Jws::sign(Vec::new(), &Object::new(), &[]).unwrap_err();
    assert_eq!(nobody.to_string(), "0 signatures where 1 to 64 may be");
    let public = Jwk::from_point(signing(Curve::P256).point().unwrap());
    assert_eq!(Jws::sign(Vec::new(), &Object::new(), &[&public]).unwrap_err().to_string(), "the key cannot sign");
    let header = Object::new().with("crit", vec!["exp"]);
    let extended = Jws::sign(Vec::new(), &header, &[&signing(Curve::P256)]).unwrap_err();
    assert!(extended.to_string().contains("crit"));
}

/// Whatever byte is changed to whatever: not read, not verified, or the very same payload and header.
#[test]
fn a_changed_byte_is_seen() {
    let signer = signing(Curve::P256);
    let jws = Jws::sign(b"payload".to_vec(), &Object::new(), &[&signer]).unwrap();
    let text = compact(&jws);
    for at in 0..text.len() {
        for change in [1, 2, 4, 8, 16, 32, 64, 128] {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] ^= change;
            if let Ok(read) = Jws::parse(&bytes) {
                assert!(!read.verified_by(&signer), "byte {at} ^ {change}");
            }
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Jws::parse(&bytes);
        let _ = Jws::parse_compact(&bytes);
    }

    #[test]
    fn a_document_with_changed_bytes_is_read_or_refused(
        base in proptest::sample::select(vec![A3, A4, A6_4, A7]),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = base.as_bytes().to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        for jws in [Jws::parse(&bytes), Jws::parse_compact(&bytes)].into_iter().flatten() {
            let again = Jws::parse(compact(&jws).as_bytes()).unwrap();
            prop_assert_eq!(again.payload(), jws.payload());
            prop_assert_eq!(compact(&again), compact(&jws));
        }
    }
}
