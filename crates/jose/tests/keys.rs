//! Reading, writing and describing keys: vectors of the RFCs, and everything that is refused.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // also in helpers of tests

use crypto::ec::{Curve, EcError, Point, Scalar};
use crypto::{Random, RandomFailed, Secret, SystemRandom};
use jose::{Jwk, JwkError, KeyOperation, Required, ThumbprintHash, b64};
use json::{Limits, Object, Value};
use proptest::prelude::*;

const EC: &str = include_str!("../vectors/rfc7517_a2.jwk");
const OCT: &str = include_str!("../vectors/rfc7517_a3.jwk");
const RSA: &str = include_str!("../vectors/rfc7638_3_1.jwk");

fn key(text: &str) -> Jwk {
    Jwk::parse(text.as_bytes()).unwrap()
}

fn compact(object: Object) -> String {
    Value::Object(object).to_compact().to_string()
}

/// The key `base` with other or further members; `null` takes one away.
fn changed(base: &str, members: &str) -> String {
    let read = |text: &str| json::parse(text.as_bytes(), &Limits::SMALL).unwrap();
    let mut whole = read(base).as_object().unwrap().clone();
    for (name, value) in read(members).as_object().unwrap().iter() {
        match value {
            Value::Null => drop(whole.remove(name)),
            _ => whole.insert(name, value.clone()),
        }
    }
    compact(whole)
}

/// The error of a key and, behind a colon, its cause.
fn refused(base: &str, members: &str) -> String {
    told(&Jwk::parse(changed(base, members).as_bytes()).unwrap_err())
}

fn told(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {}", told(source)))
}

/// RFC 7638 section 3.1.
#[test]
fn thumbprint_matches_rfc_7638() {
    assert_eq!(key(RSA).thumbprint(ThumbprintHash::S256).as_str(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

#[test]
fn a_thumbprint_is_found_by_its_length_among_the_hashes_that_count() {
    let key = key(EC);
    for hash in ThumbprintHash::ALL {
        let thumbprint = key.thumbprint(hash);
        assert_eq!(thumbprint.as_str().len(), hash.characters());
        assert!(key.has_thumbprint(thumbprint.as_str(), &ThumbprintHash::ALL));
        assert_eq!(key.has_thumbprint(thumbprint.as_str(), &[ThumbprintHash::S256]), hash == ThumbprintHash::S256);
    }
    let other = key.thumbprint(ThumbprintHash::S256).as_str().replace(|c: char| c.is_ascii_digit(), "_");
    assert!(!key.has_thumbprint(&other, &ThumbprintHash::ALL));
    assert!(!key.has_thumbprint("", &ThumbprintHash::ALL));
}

/// RFC 7517 appendix A.1 is the public half of A.2.
#[test]
fn the_public_half_is_that_of_rfc_7517_a1() {
    let public = key(include_str!("../vectors/rfc7517_a1.jwk"));
    assert_eq!(compact(key(EC).public_json()), public.private_json().as_str());
    assert!(public.private().is_none() && key(EC).private().is_some());
}

#[test]
fn a_key_is_written_as_it_was_read_but_sorted() {
    let text = changed(EC, r#"{"comment":"kept with the private half","k":"AAAA","p":"AAAA","oth":[]}"#);
    let sorted = concat!(
        r#"{"comment":"kept with the private half","crv":"P-256","#,
        r#""d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE","kid":"1","kty":"EC","use":"enc","#,
        r#""x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}"#
    );
    assert_eq!(key(&text).private_json().as_str(), sorted);
    assert_eq!(key(OCT).private_json().as_str(), r#"{"alg":"A128KW","k":"GawgguFyGrWKav7AX4VKUg","kty":"oct"}"#);
    assert_eq!(key(RSA).private_json().as_str(), compact(key(RSA).public_json()));
}

#[test]
fn what_is_published_holds_nothing_private() {
    let signing =
        changed(EC, r#"{"use":null,"alg":"ES256","key_ops":["sign","verify","decrypt","unwrapKey","deriveKey"]}"#);
    let public = key(&signing).public_json();
    assert_eq!(
        compact(Object::new().with("o", public.get("key_ops").unwrap().clone())),
        r#"{"o":["verify","deriveKey"]}"#
    );
    assert_eq!(public.get("alg").and_then(Value::as_str), Some("ES256"));
    let symmetric = key(&changed(OCT, r#"{"key_ops":["encrypt","decrypt"]}"#));
    assert_eq!(compact(symmetric.public_json()), r#"{"alg":"A128KW","key_ops":[],"kty":"oct"}"#);
}

#[test]
fn debug_shows_no_private_half() {
    let shown = format!("{:?} {:?}", key(EC), key(OCT));
    assert!(shown.contains("private half"));
    assert!(!shown.contains("870MB6") && !shown.contains("Gawggu") && !shown.contains("\"d\""));
}

#[test]
fn generated_keys_are_those_of_tang() {
    for (curve, alg) in [(Curve::P256, "ES256"), (Curve::P384, "ES384"), (Curve::P521, "ES512")] {
        let signing = Jwk::signing(curve, &SystemRandom).unwrap();
        let names: Vec<String> = signing.private_members().iter().map(|(name, _)| name.to_owned()).collect();
        assert_eq!(names, ["alg", "crv", "d", "key_ops", "kty", "x", "y"]);
        assert_eq!(signing.alg(), Some(alg));
        assert!(signing.private_json().contains(r#""key_ops":["sign","verify"],"kty":"EC""#));
        let exchange = Jwk::exchange(curve, &SystemRandom).unwrap();
        assert_eq!(exchange.alg(), Some("ECMR"));
        assert!(exchange.private_json().contains(r#""key_ops":["deriveKey"],"kty":"EC""#));
        let public = Jwk::ecmr_public(exchange.point().unwrap());
        assert_eq!(compact(public.public_json()), compact(exchange.public_json()));
        assert!(key(&exchange.private_json()).private().is_some());
    }
}

#[test]
fn made_keys_say_what_they_are_for() {
    let secret = || Secret::new(vec![0; 32]);
    let zeros = b64::encode(&[0; 32]);
    let content = format!(r#"{{"alg":"A256GCM","k":"{zeros}","key_ops":["encrypt","decrypt"],"kty":"oct"}}"#);
    assert_eq!(Jwk::content_key(secret()).private_json().as_str(), content);
    assert_eq!(content.len() + 1, 112); // what a TPM binding of the original seals, newline included
    assert_eq!(Jwk::oct(secret()).private_json().as_str(), format!(r#"{{"k":"{zeros}","kty":"oct"}}"#));
}

#[test]
fn a_broken_random_source_makes_no_key() {
    struct Broken;
    impl Random for Broken {
        fn fill(&self, _: &mut [u8]) -> Result<(), RandomFailed> {
            Err(RandomFailed)
        }
    }
    assert!(matches!(Jwk::signing(Curve::P521, &Broken), Err(EcError::Random(_))));
}

#[test]
fn permission_is_explicit_or_implied() {
    use KeyOperation::{DeriveKey, Encrypt, Sign, Verify, WrapKey};
    use Required::{Explicit, Implied};
    let check = |members: &str, operation, required, expected: bool| {
        let key = key(&changed(EC, members));
        assert_eq!(key.permits(operation, required), expected, "{members} {operation:?} {required:?}");
    };
    for operation in KeyOperation::ALL {
        check(r#"{"use":null}"#, operation, Implied, true);
        check(r#"{"use":null}"#, operation, Explicit, false);
        check(r#"{"use":null,"key_ops":[]}"#, operation, Implied, false);
        check(r#"{"use":"unheard"}"#, operation, Implied, false);
    }
    check(r#"{"use":"sig"}"#, Verify, Explicit, true);
    check(r#"{"use":"sig"}"#, Encrypt, Implied, false);
    check(r#"{"use":"enc"}"#, WrapKey, Explicit, true);
    check(r#"{"use":"enc"}"#, DeriveKey, Implied, false);
    check(r#"{"use":"enc","key_ops":["sign"]}"#, Sign, Explicit, true);
    check(r#"{"use":null,"key_ops":["deriveKey"]}"#, DeriveKey, Explicit, true);
    check(r#"{"use":null,"key_ops":["deriveKey"]}"#, Sign, Implied, false);
    check(r#"{"use":null,"key_ops":["Sign"]}"#, Sign, Implied, false);
}

#[test]
fn documents_that_are_no_keys_are_refused() {
    assert_eq!(told(&Jwk::parse(b"[]").unwrap_err()), "not a key: key is not an object");
    assert!(told(&Jwk::parse(b"{").unwrap_err()).starts_with("the key is not JSON: "));
    let long = format!(r#"{{"kty":"{}"}}"#, "x".repeat(1 << 16));
    assert!(told(&Jwk::parse(long.as_bytes()).unwrap_err()).contains("longer than 65536"));
    for (members, expected) in [
        (r#"{"kty":null}"#, "not a key: key.kty is missing"),
        (r#"{"kty":7}"#, "not a key: key.kty is not a string"),
        (r#"{"kty":"OKP"}"#, "key.kty `OKP` is not supported"),
        (r#"{"kty":"ec"}"#, "key.kty `ec` is not supported"),
        (r#"{"crv":"secp256k1"}"#, "key.crv `secp256k1` is not supported"),
        (r#"{"crv":null}"#, "not a key: key.crv is missing"),
        (r#"{"y":null}"#, "not a key: key.y is missing"),
        (r#"{"alg":1}"#, "not a key: key.alg is not a string"),
        (r#"{"use":["sig"]}"#, "not a key: key.use is not a string"),
        (r#"{"kid":{}}"#, "not a key: key.kid is not a string"),
        (r#"{"key_ops":"sign"}"#, "not a key: key.key_ops is not an array"),
        (r#"{"key_ops":["sign",1]}"#, "not a key: key.key_ops.1 is not a string"),
    ] {
        assert_eq!(refused(EC, members), expected, "{members}");
    }
    assert_eq!(refused(OCT, r#"{"k":null}"#), "not a key: key.k is missing");
    assert_eq!(refused(OCT, r#"{"k":"AA="}"#), "key.k is not base64url: character 2 is not one of base64url");
}

/// RFC 7518 section 6.2.1.2: full width. The original takes these and gives each another thumbprint.
#[test]
fn coordinates_have_the_width_of_the_field() {
    let full = key(EC);
    let x = full.point().unwrap().x();
    for (bytes, found) in [(&x[1..], 31), (&[&[0], x].concat()[..], 33), (b"", 0)] {
        let expected = format!("key.x has {found} bytes where its curve has 32");
        assert_eq!(refused(EC, &format!(r#"{{"x":"{}"}}"#, b64::encode(bytes))), expected);
    }
    let long = b64::encode(&[&[0], full.private().unwrap().expose()].concat());
    assert_eq!(refused(EC, &format!(r#"{{"d":"{long}"}}"#)), "key.d has 33 bytes where its curve has 32");
    assert_eq!(refused(EC, r#"{"crv":"P-384"}"#), "key.x has 32 bytes where its curve has 48");
}

#[test]
fn points_off_the_curve_and_foreign_private_values_are_refused() {
    let off = "key is no key of its curve: the point is not on its curve";
    let range = "key is no key of its curve: the private key is not a number of its curve";
    let member = |name: &str, bytes: &[u8]| format!(r#"{{"{name}":"{}"}}"#, b64::encode(bytes));
    let y = key(EC).point().unwrap().y().to_vec();
    let mut flipped = y.clone();
    flipped[31] ^= 1;
    assert_eq!(refused(EC, &member("y", &flipped)), off);
    assert_eq!(refused(EC, &member("x", &[0; 32])), off);
    let infinity = format!(r#"{{"d":null,"x":"{0}","y":"{0}"}}"#, b64::encode(&[0; 32]));
    assert_eq!(refused(EC, &infinity), off);
    assert_eq!(refused(EC, &member("x", &[0xff; 32])), off); // at least p
    assert_eq!(refused(EC, &member("d", &[0; 32])), range);
    assert_eq!(refused(EC, &member("d", &[0xff; 32])), range);
    assert_eq!(refused(EC, &member("d", &[1; 32])), "key.d belongs to another public key");
}

/// x + p is the same field element in other bytes, and must not be another text of the same key.
#[test]
fn a_coordinate_beyond_the_prime_is_refused() {
    let p = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    ];
    // P-256 has a point with x = 5, small enough for x + p to fit 32 bytes (found by trying x = 1, 2, 3, …).
    let y = [
        0x45, 0x92, 0x43, 0xb9, 0xaa, 0x58, 0x18, 0x06, 0xfe, 0x91, 0x3b, 0xce, 0x99, 0x81, 0x7a, 0xde, 0x11, 0xca,
        0x50, 0x3c, 0x64, 0xd9, 0xa3, 0xc5, 0x33, 0x41, 0x5c, 0x08, 0x32, 0x48, 0xfb, 0xcc,
    ];
    let mut x = [0; 32];
    x[31] = 5;
    let public = |x: &[u8]| format!(r#"{{"d":null,"x":"{}","y":"{}"}}"#, b64::encode(x), b64::encode(&y));
    assert!(Jwk::parse(changed(EC, &public(&x)).as_bytes()).is_ok());
    assert!(refused(EC, &public(&sum(&p, &x))).ends_with("the point is not on its curve"));
}

fn sum(a: &[u8; 32], b: &[u8; 32]) -> [u8; 32] {
    let mut sum = [0; 32];
    let mut carry = 0;
    for i in (0..32).rev() {
        let digit = u16::from(a[i]) + u16::from(b[i]) + carry;
        sum[i] = digit.to_be_bytes()[1];
        carry = digit >> 8;
    }
    assert_eq!(carry, 0);
    sum
}

#[test]
fn rsa_keys_are_read_by_their_public_half() {
    assert_eq!(refused(RSA, r#"{"d":"AQ"}"#), "key is a private RSA key, which is not supported");
    let no_zeros = "not a key: key.e is not a number without leading zeros";
    assert_eq!(refused(RSA, r#"{"e":"AAEAAQ"}"#), no_zeros);
    assert_eq!(refused(RSA, r#"{"e":""}"#), no_zeros);
    assert!(key(RSA).point().is_none() && key(RSA).oct_key().is_none());
}

#[test]
fn the_public_half_can_be_read_alone() {
    let public = |text: &str| {
        let value = json::parse(text.as_bytes(), &Limits::SMALL).unwrap();
        Jwk::public_from_field(&value.field("key"))
    };
    assert!(public(&changed(EC, r#"{"d":"not base64url"}"#)).unwrap().private().is_none());
    assert!(public(&changed(RSA, r#"{"d":7}"#)).is_ok());
    let error = public(OCT).unwrap_err();
    assert!(matches!(error, JwkError::NoPublicHalf { .. }));
    assert_eq!(error.to_string(), "key is a symmetric key where a public one belongs");
}

#[test]
fn a_key_of_a_point_is_bare() {
    let scalar = Scalar::from_bytes(Curve::P256, key(EC).private().unwrap().expose()).unwrap();
    let bare = Jwk::from_point(&Point::base_times(&scalar).unwrap());
    assert_eq!(
        compact(bare.public_json()),
        compact(key(&changed(EC, r#"{"d":null,"use":null,"kid":null}"#)).public_json())
    );
}

/// Every name that could stand in a key, with values that must never be published.
fn members() -> impl Strategy<Value = Vec<(String, Value)>> {
    let names = ["d", "k", "p", "q", "dp", "dq", "qi", "oth", "priv", "comment", "x5c", "D", "key", "t"];
    let values = prop_oneof![
        Just(Value::from("planted")),
        Just(Value::from(Object::new().with("d", "planted").with("k", "planted"))),
        Just(Value::from(vec!["planted"])),
        Just(Value::from(7_u32)),
    ];
    proptest::collection::vec((proptest::sample::select(names.to_vec()).prop_map(str::to_owned), values), 0..6)
}

proptest! {
    #[test]
    fn no_public_output_has_a_private_member(base in proptest::sample::select(vec![EC, OCT, RSA]), extra in members()) {
        let mut whole = json::parse(base.as_bytes(), &Limits::SMALL).unwrap().as_object().unwrap().clone();
        for (name, value) in extra {
            if whole.get(&name).is_none() {
                whole.insert(&name, value);
            }
        }
        let whole = Value::Object(whole);
        for key in [Jwk::from_field(&whole.field("key")), Jwk::public_from_field(&whole.field("key"))].into_iter().flatten() {
            for shown in [compact(key.public_json()), format!("{key:?}")] {
                for private in ["\"d\"", "\"k\"", "planted", "870MB6", "Gawggu"] {
                    prop_assert!(!shown.contains(private), "{private} in {shown}");
                }
            }
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Jwk::parse(&bytes);
    }

    #[test]
    fn a_key_with_changed_bytes_is_read_or_refused(at in 0..EC.len(), byte: u8, base in proptest::sample::select(vec![EC, OCT, RSA])) {
        let mut bytes = base.as_bytes().to_vec();
        if let Some(place) = bytes.get_mut(at) {
            *place = byte;
        }
        if let Ok(key) = Jwk::parse(&bytes) {
            let again = Jwk::parse(key.private_json().as_bytes()).unwrap();
            prop_assert_eq!(again.private_json(), key.private_json());
        }
    }
}
