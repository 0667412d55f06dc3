//! The pin `null`.

use crate::scripted::World;
use crate::{config, forged, open, round_trip, secret, story};
use clevis::PinError;

#[test]
fn a_secret_comes_back_unless_told_otherwise() {
    let world = World::new();
    round_trip(&world, "null", "{}");
    round_trip(&world, "null", r#"{"fail":false}"#);
    let jwe = clevis::encrypt("null", &config(r#"{"fail":true}"#), &secret(), &world.ports()).unwrap();
    assert!(matches!(open(&world, &jwe), Err(PinError::ToldToFail)));
}

#[test]
fn options_are_strict() {
    for bad in [r#"{"fail":"yes"}"#, r#"{"fail":1}"#, r#"{"fial":true}"#] {
        let error = clevis::encrypt("null", &config(bad), &secret(), &World::new().ports()).unwrap_err();
        assert!(matches!(error, PinError::Config(_)), "{bad}: {error:?}");
    }
}

#[test]
fn forged_headers_are_refused() {
    let check = |header: &str, expected: &str| {
        let story = story(&open(&World::new(), &forged(header)).unwrap_err());
        assert!(story.contains(expected), "{header}: {story}");
    };
    check(r#"{"clevis":{"pin":"null"}}"#, "header.clevis.null is missing");
    check(r#"{"clevis":{"pin":"null","null":[]}}"#, "header.clevis.null is not an object");
    check(r#"{"clevis":{"pin":"null","null":{"jwk":{"kty":"oct","k":"AAAA"}}}}"#, "does not open the JWE");
    check(r#"{"clevis":{"pin":"null","null":{"jwk":{"kty":"oct","k":"!"}}}}"#, "the key in it cannot be read");
    check(r#"{"clevis":{"pin":"null","null":{"jwk":7}}}"#, "the key in it cannot be read");
    let other_key =
        format!(r#"{{"clevis":{{"pin":"null","null":{{"jwk":{{"kty":"oct","k":"{}"}}}}}}}}"#, "B".repeat(42) + "A");
    check(&other_key, "does not open the JWE");
    check(r#"{"clevis":{"pin":"tpm9"}}"#, "there is no pin tpm9");
    check(r#"{"clevis":{"pin":["null"]}}"#, "header.clevis.pin is not a string");
    check(r#"{"clevis":"null"}"#, "header.clevis is not an object");
    check("{}", "header.clevis is missing");
}
