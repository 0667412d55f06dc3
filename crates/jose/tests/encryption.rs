//! Encryption: round trips in both forms, what is refused by name, and what a changed byte does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // also in helpers of tests

use crypto::aead::AeadError;
use crypto::ec::{Curve, Point};
use crypto::{Random, RandomFailed, Secret, SystemRandom};
use jose::{Jwe, JweError, Jwk, b64, concat_kdf, jwe};
use json::{Limits, Object, Value};
use proptest::prelude::*;

const RSA_OAEP: &str = include_str!("../vectors/rfc7516_a1.jwe");
const SAID: &[u8] = b"The true sign of intelligence is not knowledge but imagination.";

fn content_key() -> Secret {
    Secret::new((0..32).collect())
}

fn said() -> Secret {
    Secret::copied_from(SAID)
}

fn dir(header: &Object) -> Jwe {
    Jwe::encrypt_dir(header, &content_key(), &said(), &SystemRandom).unwrap()
}

/// A private key, and a JWE to it.
fn agreed(header: &Object) -> (Jwk, Jwe) {
    let key = bare(&Jwk::exchange(Curve::P256, &SystemRandom).unwrap());
    let jwe = Jwe::encrypt_to_point(header, key.point().unwrap(), &said(), &SystemRandom).unwrap();
    (key, jwe)
}

/// The private key without `alg` and `key_ops`.
fn bare(key: &Jwk) -> Jwk {
    let mut members = key.private_members();
    members.remove("alg");
    members.remove("key_ops");
    Jwk::from_field(&Value::Object(members).field("key")).unwrap()
}

fn compact(object: Object) -> String {
    Value::Object(object).to_compact().to_string()
}

fn flattened(jwe: &Jwe) -> String {
    compact(jwe.to_flattened())
}

fn told(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {}", told(source)))
}

/// The error for a compact JWE with this protected header and otherwise sound parts.
fn refused_header(header: &str) -> String {
    let [iv, tag] = [12, 16].map(|len| b64::encode(&vec![0; len]));
    refused(&format!("{}..{iv}..{tag}", b64::encode(header.as_bytes())))
}

fn refused(compact: &str) -> String {
    told(&Jwe::parse_compact(compact.as_bytes()).unwrap_err())
}

fn refused_flattened(text: &str) -> String {
    told(&Jwe::parse_flattened(text.as_bytes()).unwrap_err())
}

#[test]
fn both_forms_decrypt_to_what_was_encrypted() {
    let header = Object::new().with("clevis", Object::new().with("pin", "null"));
    let jwe = dir(&header);
    let (key, to_point) = agreed(&header);
    for (jwe, key) in [(jwe, Jwk::oct(content_key())), (to_point, key)] {
        let compact = jwe.to_compact().unwrap();
        let from_compact = Jwe::parse_compact(compact.as_bytes()).unwrap();
        let from_flattened = Jwe::parse_flattened(flattened(&jwe).as_bytes()).unwrap();
        for read in [&jwe, &from_compact, &from_flattened] {
            assert!(read.decrypt_with(&key).unwrap().ct_eq(SAID));
            assert_eq!(read.to_compact().unwrap(), compact);
            assert_eq!(flattened(read), flattened(&jwe));
            assert!(read.header().get("clevis").is_some());
        }
    }
}

#[test]
fn nothing_is_a_plaintext_too() {
    let jwe = Jwe::encrypt_dir(&Object::new(), &content_key(), &Secret::new(Vec::new()), &SystemRandom).unwrap();
    assert!(
        Jwe::parse_compact(jwe.to_compact().unwrap().as_bytes()).unwrap().decrypt(&content_key()).unwrap().is_empty()
    );
}

/// Whoever finds the shared point decrypts: the sender's side and the recipient's, and a server's help (in `exchange.rs`).
#[test]
fn the_shared_point_gives_the_content_key() {
    for curve in Curve::ALL {
        let recipient = bare(&Jwk::exchange(curve, &SystemRandom).unwrap());
        let jwe = Jwe::encrypt_to_point(&Object::new(), recipient.point().unwrap(), &said(), &SystemRandom).unwrap();
        let shared = jwe.ephemeral().unwrap().multiply(recipient.private().unwrap()).unwrap();
        assert!(jwe.decrypt_with_shared(&shared).unwrap().ct_eq(SAID));
        let expected = concat_kdf(shared.x(), "A256GCM", b"", b"", 256);
        assert!(jwe.content_key(&shared).unwrap().ct_eq(expected.expose()));
        assert!(jwe.decrypt(&expected).unwrap().ct_eq(SAID));
    }
}

#[test]
fn both_parties_are_part_of_the_key() {
    let (key, jwe) = agreed(&Object::new().with("apu", b64::encode(b"Alice")).with("apv", b64::encode(b"Bob")));
    assert!(jwe.decrypt_with(&key).unwrap().ct_eq(SAID));
    let shared = jwe.ephemeral().unwrap().multiply(key.private().unwrap()).unwrap();
    let expected = concat_kdf(shared.x(), "A256GCM", b"Alice", b"Bob", 256);
    assert!(jwe.content_key(&shared).unwrap().ct_eq(expected.expose()));
}

#[test]
fn a_protected_header_is_sorted_compact_and_whole() {
    let inner = Object::new().with("tang", Object::new().with("url", "u").with("adv", "a")).with("pin", "tang");
    let (_, jwe) = agreed(&Object::new().with("kid", "k").with("clevis", inner).with("alg", "dir"));
    let compact = jwe.to_compact().unwrap();
    let header = String::from_utf8(b64::decode(compact.split('.').next().unwrap()).unwrap()).unwrap();
    let epk = Value::Object(Jwk::from_point(jwe.ephemeral().unwrap()).public_json()).to_compact().to_string();
    let clevis = r#"{"pin":"tang","tang":{"adv":"a","url":"u"}}"#;
    let expected = format!(r#"{{"alg":"ECDH-ES","clevis":{clevis},"enc":"A256GCM","epk":{epk},"kid":"k"}}"#);
    assert_eq!(header, expected);
    assert!(flattened(&jwe).contains(r#""encrypted_key":"","iv":""#));
}

#[test]
fn white_space_around_a_compact_jwe_is_ignored() {
    let compact = dir(&Object::new()).to_compact().unwrap();
    for text in [format!("{compact}\n"), format!(" \r\n\t{compact} \r\n\n"), compact.clone()] {
        assert!(Jwe::parse_compact(text.as_bytes()).unwrap().decrypt(&content_key()).unwrap().ct_eq(SAID));
    }
    assert!(refused(&compact.replacen('.', " .", 1)).starts_with("jwe.protected is not base64url"));
}

/// RFC 7516 appendix A.1 is a sound JWE; key encryption by RSA is refused by its name, as is everything else.
#[test]
fn what_is_not_supported_is_refused_by_name() {
    assert_eq!(refused(RSA_OAEP), "jwe.protected.alg `RSA-OAEP` is not supported");
    let epk = include_str!("../vectors/rfc7517_a1.jwk");
    for (header, expected) in [
        (r#"{"alg":"A128KW","enc":"A256GCM"}"#, "jwe.protected.alg `A128KW` is not supported"),
        (r#"{"alg":"ECDH-ES+A128KW","enc":"A256GCM"}"#, "jwe.protected.alg `ECDH-ES+A128KW` is not supported"),
        (r#"{"alg":"dir","enc":"A128GCM"}"#, "jwe.protected.enc `A128GCM` is not supported"),
        (r#"{"alg":"dir","enc":"A256CBC-HS512"}"#, "jwe.protected.enc `A256CBC-HS512` is not supported"),
        (r#"{"alg":"dir","enc":"A256GCM","zip":"DEF"}"#, "jwe.protected.zip is not supported"),
        (r#"{"alg":"dir","enc":"A256GCM","crit":["x"],"x":1}"#, "jwe.protected.crit is not supported"),
        (r#"{"enc":"A256GCM"}"#, "not a JWE: jwe.protected.alg is missing"),
        (r#"{"alg":"dir"}"#, "not a JWE: jwe.protected.enc is missing"),
        (r#"{"alg":1,"enc":"A256GCM"}"#, "not a JWE: jwe.protected.alg is not a string"),
        (r#"{"alg":"ECDH-ES","enc":"A256GCM"}"#, "not a JWE: jwe.protected.epk is missing"),
        (
            r#"{"alg":"ECDH-ES","enc":"A256GCM","epk":{"kty":"EC"}}"#,
            "the JWE's `epk` is no public key: not a key: jwe.protected.epk.crv is missing",
        ),
        (
            r#"{"alg":"ECDH-ES","enc":"A256GCM","epk":{"kty":"RSA","n":"AQ","e":"AQ"}}"#,
            "the key is not one for this JWE",
        ),
        ("[]", "not a JWE: jwe.protected is not an object"),
    ] {
        assert_eq!(refused_header(header), expected);
    }
    assert!(refused_header("nothing").starts_with("jwe.protected is not JSON: "));
    let party = format!(r#"{{"alg":"ECDH-ES","enc":"A256GCM","epk":{epk},"apu":"="}}"#);
    assert!(refused_header(&party).starts_with("jwe.protected.apu is not base64url: "));
    let off = epk.replace("4Etl6", "5Etl6");
    let off = format!(r#"{{"alg":"ECDH-ES","enc":"A256GCM","epk":{off}}}"#);
    assert!(refused_header(&off).ends_with("jwe.protected.epk is no key of its curve: the point is not on its curve"));
}

#[test]
fn parts_of_a_wrong_number_or_length_are_refused() {
    let compact = dir(&Object::new()).to_compact().unwrap();
    let part = |at: usize, text: &str| {
        let mut parts: Vec<&str> = compact.split('.').collect();
        parts[at] = text;
        refused(&parts.join("."))
    };
    assert_eq!(refused(""), "a compact JWE has 5 parts, not 1");
    assert_eq!(refused("a.b.c.d"), "a compact JWE has 5 parts, not 4");
    assert_eq!(refused(&format!("{compact}.")), "a compact JWE has 5 parts, not 6");
    assert_eq!(part(1, "AAAA"), "jwe.encrypted_key has 3 bytes where 0 belong");
    assert_eq!(part(2, "AAAA"), "jwe.iv has 3 bytes where 12 belong");
    assert_eq!(part(4, ""), "jwe.tag has 0 bytes where 16 belong");
    assert_eq!(part(3, "!"), "jwe.ciphertext is not base64url: character 0 is not one of base64url");
    let bytes = [compact.as_bytes(), b"\xff"].concat();
    assert!(told(&Jwe::parse_compact(&bytes).unwrap_err()).starts_with("jwe.tag is not base64url"));
}

#[test]
fn one_mebibyte_is_the_limit_both_ways() {
    let long = vec![b'.'; jwe::LONGEST + 1];
    assert_eq!(told(&Jwe::parse_compact(&long).unwrap_err()), "a JWE of 1048577 bytes is longer than 1048576");
    assert!(matches!(Jwe::parse_flattened(&vec![b' '; jwe::LONGEST + 1]), Err(JweError::Json { .. })));
    let overhead = dir(&Object::new()).to_compact().unwrap().len() - (SAID.len() * 4).div_ceil(3);
    let fits = (jwe::LONGEST - overhead) / 4 * 3;
    let encrypt =
        |len: usize| Jwe::encrypt_dir(&Object::new(), &content_key(), &Secret::new(vec![0; len]), &SystemRandom);
    let text = encrypt(fits).unwrap().to_compact().unwrap();
    assert!(Jwe::parse_compact(text.as_bytes()).unwrap().decrypt(&content_key()).is_ok());
    assert!(matches!(encrypt(fits + 3), Err(JweError::TooLong { .. })));
}

#[test]
fn flattened_documents_that_are_none_are_refused() {
    let sound = dir(&Object::new()).to_flattened();
    let with = |name: &str, value: Value| compact(sound.clone().with(name, value));
    let without = |name: &str| {
        let mut rest = sound.clone();
        rest.remove(name);
        compact(rest)
    };
    assert!(Jwe::parse_flattened(without("encrypted_key").as_bytes()).is_ok());
    assert!(Jwe::parse_flattened(with("unheard", Value::Null).as_bytes()).is_ok());
    for name in ["protected", "iv", "ciphertext", "tag"] {
        assert_eq!(refused_flattened(&without(name)), format!("not a JWE: jwe.{name} is missing"));
        assert_eq!(refused_flattened(&with(name, true.into())), format!("not a JWE: jwe.{name} is not a string"));
    }
    for (text, expected) in [
        (with("encrypted_key", "AA".into()), "jwe.encrypted_key has 1 bytes where 0 belong"),
        (with("recipients", Value::Array(Vec::new())), "jwe.recipients is not supported"),
        (with("aad", "".into()), "jwe.aad is not supported"),
        (with("header", "".into()), "not a JWE: jwe.header is not an object"),
        (with("header", Object::new().with("alg", "dir").into()), "`alg` stands in two headers"),
        (with("unprotected", Object::new().with("zip", "DEF").into()), "jwe.unprotected.zip is not supported"),
        (with("header", Object::new().with("crit", "").into()), "jwe.header.crit is not supported"),
        ("[]".to_owned(), "not a JWE: jwe is not an object"),
    ] {
        assert_eq!(refused_flattened(&text), expected, "{text}");
    }
    let protected = |header: &str| sound.clone().with("protected", b64::encode(header.as_bytes()));
    for (header, name, value) in [(r#"{"enc":"A256GCM"}"#, "alg", "dir"), (r#"{"alg":"dir"}"#, "enc", "A256GCM")] {
        let text = compact(protected(header).with("header", Object::new().with(name, value)));
        assert_eq!(refused_flattened(&text), format!("not a JWE: jwe.protected.{name} is missing"));
    }
    let twice = Object::new().with("kid", "x");
    let text = compact(sound.clone().with("header", twice.clone()).with("unprotected", twice));
    assert_eq!(refused_flattened(&text), "`kid` stands in two headers");
}

/// The original's flattened `ECDH-ES` has `epk` outside the protected header: it is found there, and stays there.
#[test]
fn a_jwe_can_be_made_to_say_more_and_still_opens_for_the_same_key() {
    let (key, jwe) = agreed(&Object::new().with("kid", "k"));
    let shared = jwe.ephemeral().unwrap().multiply(key.private().unwrap()).unwrap();
    let more = jwe.with_member("note", "n".into(), &jwe.content_key(&shared).unwrap(), &SystemRandom).unwrap();
    let more = Jwe::parse_compact(more.to_compact().unwrap().as_bytes()).unwrap();
    assert!(more.decrypt_with(&key).unwrap().ct_eq(SAID));
    assert_eq!(more.header().get("note").and_then(Value::as_str), Some("n"));
    assert_eq!(more.header().get("epk").is_some(), jwe.header().get("epk").is_some());
    let part = |jwe: &Jwe, name: &str| jwe.to_flattened().get(name).and_then(Value::as_str).unwrap().to_owned();
    assert_ne!(part(&jwe, "iv"), part(&more, "iv"), "a fresh initialisation vector");
    let again = dir(&Object::new()).with_member("note", "n".into(), &content_key(), &SystemRandom).unwrap();
    assert!(again.decrypt(&content_key()).unwrap().ct_eq(SAID));
    // Who has not opened it changes nothing.
    let wrong = dir(&Object::new()).with_member("note", "n".into(), &Secret::new(vec![0; 32]), &SystemRandom);
    assert!(matches!(wrong, Err(JweError::Content(_))));
}

#[test]
fn an_unprotected_epk_is_used_and_kept() {
    let (key, jwe) = agreed(&Object::new());
    let epk = Object::new().with("epk", Jwk::from_point(jwe.ephemeral().unwrap()).public_json());
    let protected = b64::encode(br#"{"alg":"ECDH-ES","enc":"A256GCM"}"#);
    let moved = jwe.to_flattened().with("protected", protected).with("header", epk);
    let text = Value::Object(moved).to_compact();
    let read = Jwe::parse_flattened(text.as_bytes()).unwrap();
    assert!(read.ephemeral() == jwe.ephemeral() && read.header().get("epk").is_none());
    assert!(matches!(read.to_compact(), Err(JweError::NotCompact)));
    assert!(flattened(&read).contains(r#""header":{"epk":{"crv":"P-256""#));
    // The tag covers the text of the protected header, which is another one now.
    assert!(matches!(read.decrypt_with(&key), Err(JweError::Content(AeadError::NotAuthentic))));
}

#[test]
fn keys_that_are_not_for_it_are_refused() {
    let direct = dir(&Object::new());
    let (key, agreed) = agreed(&Object::new());
    let changed = |key: &Jwk, name: &str, value: Value| {
        Jwk::from_field(&Value::Object(key.private_members().with(name, value)).field("key")).unwrap()
    };
    let oct = Jwk::oct(content_key());
    for (jwe, key) in [
        (&direct, &key),
        (&agreed, &oct),
        (&agreed, &Jwk::from_point(key.point().unwrap())),
        (&direct, &changed(&oct, "alg", "A128GCM".into())),
        (&direct, &changed(&oct, "key_ops", vec!["encrypt"].into())),
        (&agreed, &changed(&key, "alg", "ECMR".into())),
        (&agreed, &changed(&key, "key_ops", vec!["deriveKey"].into())),
    ] {
        let error = jwe.decrypt_with(key).unwrap_err();
        assert!(matches!(error, JweError::WrongKey), "{key:?}: {error}");
    }
    assert!(direct.decrypt_with(&Jwk::content_key(content_key())).unwrap().ct_eq(SAID));
    assert!(agreed.decrypt_with(&changed(&key, "use", "enc".into())).unwrap().ct_eq(SAID));
    let point = Point::base_times(key.private().unwrap()).unwrap();
    assert!(matches!(direct.decrypt_with_shared(&point), Err(JweError::WrongKey)));
    let other = bare(&Jwk::exchange(Curve::P384, &SystemRandom).unwrap());
    assert!(matches!(agreed.decrypt_with_shared(other.point().unwrap()), Err(JweError::WrongKey)));
    assert_eq!(
        told(&agreed.decrypt_with(&other).unwrap_err()),
        "no key could be agreed on: the keys are on different curves"
    );
    assert!(matches!(agreed.decrypt_with_shared(&point), Err(JweError::Content(AeadError::NotAuthentic))));
    let short = direct.decrypt(&Secret::new(vec![0; 16])).unwrap_err();
    assert!(matches!(short, JweError::Content(AeadError::WrongKeyLength { found: 16 })));
}

#[test]
fn nothing_is_encrypted_that_would_not_be_read() {
    let zip = Jwe::encrypt_dir(&Object::new().with("zip", "DEF"), &content_key(), &said(), &SystemRandom);
    assert!(matches!(zip, Err(JweError::UnsupportedMember { .. })));
    let short = Jwe::encrypt_dir(&Object::new(), &Secret::new(vec![0; 31]), &said(), &SystemRandom);
    assert!(matches!(short, Err(JweError::Content(AeadError::WrongKeyLength { found: 31 }))));
    struct Broken;
    impl Random for Broken {
        fn fill(&self, _: &mut [u8]) -> Result<(), RandomFailed> {
            Err(RandomFailed)
        }
    }
    assert!(matches!(Jwe::encrypt_dir(&Object::new(), &content_key(), &said(), &Broken), Err(JweError::Random(_))));
    let point = agreed(&Object::new()).0;
    let agreed = Jwe::encrypt_to_point(&Object::new(), point.point().unwrap(), &said(), &Broken);
    assert!(matches!(agreed, Err(JweError::Agreement(_))));
}

#[test]
fn no_two_encryptions_are_alike() {
    let parts = |jwe: &Jwe| jwe.to_compact().unwrap().split('.').map(str::to_owned).collect::<Vec<_>>();
    let (one, other) = (parts(&dir(&Object::new())), parts(&dir(&Object::new())));
    assert!(one[0] == other[0] && one[2] != other[2] && one[3] != other[3]);
    assert!(agreed(&Object::new()).1.ephemeral() != agreed(&Object::new()).1.ephemeral());
}

/// Headers may hold keys, plaintext is a key: neither is shown.
#[test]
fn debug_shows_nothing() {
    assert_eq!(format!("{:?}", dir(&Object::new().with("planted", "planted"))), "Jwe(63 bytes of ciphertext)");
}

/// Whatever byte is changed to whatever: not read, or not decrypted.
#[test]
fn a_changed_byte_is_seen() {
    let jwe = dir(&Object::new());
    let compact = jwe.to_compact().unwrap().into_bytes();
    for at in 0..compact.len() {
        for change in 1..=255 {
            let mut bytes = compact.clone();
            bytes[at] ^= change;
            if let Ok(read) = Jwe::parse_compact(&bytes) {
                let error = read.decrypt(&content_key()).unwrap_err();
                assert!(matches!(error, JweError::Content(AeadError::NotAuthentic)), "byte {at} ^ {change}");
            }
        }
    }
    let text = flattened(&jwe).into_bytes();
    for at in 0..text.len() {
        for change in [1, 2, 4, 8, 16, 32, 64, 128] {
            let mut bytes = text.clone();
            bytes[at] ^= change;
            // A changed name may be that of a member that need not be there, and then nothing is missing.
            if let Some(plaintext) = Jwe::parse_flattened(&bytes).ok().and_then(|jwe| jwe.decrypt(&content_key()).ok())
            {
                assert!(plaintext.ct_eq(SAID), "byte {at} ^ {change}");
            }
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Jwe::parse_compact(&bytes);
        let _ = Jwe::parse_flattened(&bytes);
    }

    #[test]
    fn any_header_is_read_or_refused(
        alg in proptest::sample::select(vec!["dir", "ECDH-ES", "x"]),
        rest in "[\"{}:,a-z0-9\\[\\]]{0,40}",
    ) {
        let header = format!(r#"{{"alg":"{alg}","enc":"A256GCM"{rest}}}"#);
        let [iv, tag] = [12, 16].map(|len| b64::encode(&vec![0; len]));
        let text = format!("{}..{iv}..{tag}", b64::encode(header.as_bytes()));
        if let Ok(jwe) = Jwe::parse_compact(text.as_bytes()) {
            prop_assert_eq!(jwe.to_compact().unwrap(), text);
        }
    }

    #[test]
    fn a_document_with_changed_bytes_is_read_or_refused(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = flattened(&agreed(&Object::new()).1).into_bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(jwe) = Jwe::parse_flattened(&bytes) {
            let again = Jwe::parse_flattened(flattened(&jwe).as_bytes()).unwrap();
            prop_assert_eq!(flattened(&again), flattened(&jwe));
        }
    }
}

/// The limits are those of a document that may nest whole policies.
#[test]
fn a_header_may_be_as_deep_as_a_policy() {
    let nest = |depth: usize| {
        let deep = format!("{}0{}", "[".repeat(depth), "]".repeat(depth));
        format!(r#"{{"alg":"dir","enc":"A256GCM","x":{deep}}}"#)
    };
    assert!(json::parse(nest(Limits::POLICY.depth - 1).as_bytes(), &Limits::POLICY).is_ok());
    assert!(refused_header(&nest(Limits::POLICY.depth)).contains("nested too deeply"));
}
