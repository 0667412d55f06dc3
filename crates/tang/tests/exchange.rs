//! Both halves against each other, and what each refuses.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use crypto::ec::{Curve, Point, Scalar};
use crypto::{Secret, SystemRandom};
use jose::{Jwk, ThumbprintHash};
use json::{Limits, Object, Value};
use tang::server::{KeySet, LoadError, Response, ServerRequest, answer};
use tang::{Advertisement, ExchangeKey, Method, Recovery, Request, TangError, Trust};

fn file(name: &str, key: &Jwk) -> (String, Secret) {
    (name.to_owned(), Secret::copied_from(key.private_json().as_bytes()))
}

struct Keys {
    signing: Jwk,
    exchange: Jwk,
}

impl Keys {
    fn new(curve: Curve) -> Keys {
        let signing = Jwk::signing(curve, &SystemRandom).unwrap();
        Keys { signing, exchange: Jwk::exchange(curve, &SystemRandom).unwrap() }
    }

    fn files(&self, prefix: &str) -> Vec<(String, Secret)> {
        vec![file(&format!("{prefix}s.jwk"), &self.signing), file(&format!("{prefix}e.jwk"), &self.exchange)]
    }

    fn set(&self) -> KeySet {
        KeySet::load(self.files("")).unwrap()
    }
}

fn get(set: &KeySet, target: &str) -> Response {
    set.answer(&ServerRequest { method: "GET", target, body: b"" })
}

fn post(set: &KeySet, target: &str, body: &[u8]) -> Response {
    set.answer(&ServerRequest { method: "POST", target, body })
}

fn send(set: &KeySet, request: &Request) -> Response {
    let method = if request.method == Method::Get { "GET" } else { "POST" };
    set.answer(&ServerRequest { method, target: &request.path, body: &request.body })
}

fn advertised(set: &KeySet, trust: &Trust) -> Result<Advertisement, TangError> {
    Advertisement::verify(get(set, "/adv").body.as_ref(), trust)
}

#[test]
fn a_bound_point_is_found_again_on_every_curve() {
    for curve in Curve::ALL {
        let set = Keys::new(curve).set();
        let advertisement = advertised(&set, &Trust::Anyone).unwrap();
        let server = advertisement.exchange_key();
        let c = Scalar::random(curve, &SystemRandom).unwrap();
        let (bound, shared) = (Point::base_times(&c).unwrap(), server.point().multiply(&c).unwrap());

        let blind = Scalar::random(curve, &SystemRandom).unwrap();
        let (recovery, request) = Recovery::start(&bound, server, blind).unwrap();
        assert!(!String::from_utf8_lossy(&request.body).contains(&jose::b64::encode(bound.x())), "C must be blinded");
        let response = send(&set, &request);
        assert_eq!((response.status, response.content_type), (200, Some("application/jwk+json")));
        assert!(recovery.finish(response.body.as_ref()).unwrap() == shared);
    }
}

#[test]
fn rotated_keys_answer_and_sign_on_request_but_are_not_advertised() {
    let (old, new) = (Keys::new(Curve::P256), Keys::new(Curve::P521));
    let files = old.files(".").into_iter().chain(new.files("")).collect();
    let set = KeySet::load(files).unwrap();
    let old_thp = old.signing.thumbprint(ThumbprintHash::S256);

    let plain = advertised(&set, &Trust::Anyone).unwrap();
    assert_eq!(plain.signing_thumbprints(), [new.signing.thumbprint(ThumbprintHash::S256)]);
    assert!(String::from_utf8_lossy(get(&set, "/adv").body.as_ref()).contains("\"signature\""), "flattened");

    let both = get(&set, &format!("/adv/{old_thp}"));
    let text = String::from_utf8_lossy(both.body.as_ref()).into_owned();
    assert!(text.contains("\"signatures\""), "general: {text}");
    assert!(jose::Jws::parse(text.as_bytes()).unwrap().verified_by(&old.signing));
    Advertisement::verify(text.as_bytes(), &Trust::Anyone).unwrap();

    for hash in ThumbprintHash::ALL {
        let body = old.exchange.public_json();
        let target = format!("/rec/{}", old.exchange.thumbprint(hash));
        assert_eq!(post(&set, &target, Value::Object(body).to_compact().as_bytes()).status, 200, "{hash:?}");
    }
    // Asking for a key that is advertised anyway gives its signature twice.
    let again = get(&set, &format!("/adv/{}", new.signing.thumbprint(ThumbprintHash::S1)));
    assert_eq!(jose::Jws::parse(again.body.as_ref()).unwrap().signatures().len(), 2);
}

#[test]
fn a_rotated_key_vouches_for_its_successors_and_a_stranger_for_nobody() {
    let (old, new, stranger) = (Keys::new(Curve::P256), Keys::new(Curve::P521), Keys::new(Curve::P256));
    let set = KeySet::load(old.files(".").into_iter().chain(new.files("")).collect()).unwrap();
    let body = |set: &KeySet, thp: &str| get(set, &format!("/adv/{thp}")).body.as_ref().to_vec();
    let old_thp = old.signing.thumbprint(ThumbprintHash::S256).to_string();
    let known = Advertisement::verify_successor(&body(&set, &old_thp), &[&stranger.signing, &old.signing]).unwrap();
    assert_eq!(known.signing_thumbprints(), [new.signing.thumbprint(ThumbprintHash::S256)]);
    // Not asked for, the old key does not sign; a stranger signs for himself alone.
    for bytes in [body(&set, ""), body(&stranger.set(), "")] {
        let error = Advertisement::verify_successor(&bytes, &[&old.signing]).unwrap_err();
        assert!(matches!(&error, TangError::UntrustedKeys { wanted, .. } if *wanted == old_thp), "{error:?}");
    }
    assert!(Advertisement::verify_successor(&body(&set, &old_thp), &[]).is_err());
}

#[test]
fn no_answer_ever_has_a_private_member() {
    for curve in Curve::ALL {
        let keys = Keys::new(curve);
        let set = keys.set();
        let target = format!("/adv/{}", keys.signing.thumbprint(ThumbprintHash::S512));
        for response in [get(&set, "/adv"), get(&set, &target)] {
            let jws = jose::Jws::parse(response.body.as_ref()).unwrap();
            let payload = String::from_utf8(jws.payload().to_vec()).unwrap();
            for key in [&keys.signing, &keys.exchange] {
                assert!(!payload.contains(&jose::b64::encode(key.private().unwrap().expose())));
            }
            assert!(!payload.contains("\"d\"") && !payload.contains("\"sign\""), "{payload}");
        }
    }
}

#[test]
fn recovery_is_checked_in_the_originals_order() {
    let keys = Keys::new(Curve::P521);
    let set = keys.set();
    let exchange = format!("/rec/{}", keys.exchange.thumbprint(ThumbprintHash::S256));
    let signing = format!("/rec/{}", keys.signing.thumbprint(ThumbprintHash::S256));
    let bare = Jwk::from_point(keys.signing.point().unwrap()).public_json();
    let with = |name: &str, value: Value| Value::Object(bare.clone().with(name, value)).to_compact().to_string();
    let text = Value::Object(bare.clone()).to_compact().to_string();
    let other_curve = Jwk::from_point(Keys::new(Curve::P256).exchange.point().unwrap()).public_json();
    let swapped = bare.clone().with("x", bare.get("y").unwrap().clone()).with("y", bare.get("x").unwrap().clone());
    let compact = |object: Object| Value::Object(object).to_compact().to_string();
    let unknown = "/rec/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    for (target, body, status) in [
        (exchange.as_str(), text.clone(), 200),
        (&exchange, with("alg", "ECMR".into()), 200),
        (&exchange, with("key_ops", vec!["deriveKey"].into()), 200),
        (&exchange, with("d", "not even base64url".into()), 200),
        (&exchange, format!("{text}\0 trailing"), 200),
        (&exchange, String::new(), 400),
        (unknown, "rubbish".into(), 400),
        (unknown, with("key_ops", vec!["sign"].into()), 403),
        (unknown, with("use", "sig".into()), 403),
        (&exchange, "[]".into(), 400),
        (unknown, with("kty", "RSA".into()), 400),
        (unknown, with("alg", "ECDH".into()), 400),
        (unknown, text.clone(), 404),
        (&signing, text.clone(), 403),
        (&exchange, compact(other_curve), 400),
        (&exchange, compact(swapped), 400),
        (&exchange, with("y", "".into()), 400),
        (&exchange, with("y", "A".repeat(88).into()), 400),
    ] {
        let response = post(&set, target, body.as_bytes());
        assert_eq!(response.status, status, "{target} {body}: {}", response.why);
        assert_eq!(response.body.as_ref().is_empty(), status != 200);
    }
}

#[test]
fn a_key_exchanges_only_if_it_says_so() {
    let keys = Keys::new(Curve::P256);
    let target = format!("/rec/{}", keys.exchange.thumbprint(ThumbprintHash::S256));
    let body = Value::Object(Jwk::from_point(keys.signing.point().unwrap()).public_json()).to_compact();
    let status = |change: fn(&mut Object)| {
        let mut members = keys.exchange.private_members();
        change(&mut members);
        // Hidden, so that one that says nothing is not taken for a signing key.
        let contents = Secret::copied_from(Value::Object(members).to_compact().as_bytes());
        let files = vec![file("s.jwk", &keys.signing), (".e.jwk".to_owned(), contents)];
        post(&KeySet::load(files).unwrap(), &target, body.as_bytes()).status
    };
    assert_eq!(status(|_| ()), 200);
    assert_eq!(status(|key| drop(key.remove("alg"))), 200);
    assert_eq!(status(|key| drop(key.remove("key_ops"))), 403);
    assert_eq!(status(|key| key.insert("key_ops", vec!["deriveBits"])), 403);
    assert_eq!(status(|key| key.insert("alg", "ECDH")), 403);
    assert_eq!(status(|key| drop(key.remove("d"))), 403);
}

#[test]
fn without_keys_only_what_needs_them_is_500() {
    let status = |method, target, body: &[u8]| answer(Err("no keys"), &ServerRequest { method, target, body }).status;
    assert_eq!(status("GET", "/adv", b""), 500);
    assert_eq!(status("GET", "/adv/x", b""), 500);
    assert_eq!(status("GET", "/nothing", b""), 404);
    assert_eq!(status("POST", "/adv", b""), 405);
    assert_eq!(status("POST", "/rec/x", b"rubbish"), 400);
    assert_eq!(status("POST", "/rec/x", br#"{"kty":"EC"}"#), 500);
}

#[test]
fn a_directory_that_cannot_be_served_says_why() {
    let keys = Keys::new(Curve::P256);
    let name = |result: Result<KeySet, LoadError>| result.map(|_| ()).unwrap_err().to_string();
    assert_eq!(name(KeySet::load(keys.files("."))), "there is no visible key that may sign");
    assert_eq!(name(KeySet::load(vec![file("e.jwk", &keys.exchange)])), "there is no visible key that may sign");
    let mut truncated = keys.files("");
    truncated.push(("half.jwk".into(), Secret::copied_from(b"{\"kty\":\"EC\"")));
    assert_eq!(name(KeySet::load(truncated)), "the key file half.jwk cannot be used");
    let mut stray = keys.files("");
    stray.push(("README".into(), Secret::copied_from(b"not a key")));
    stray.push(("x.jwk.bak".into(), Secret::copied_from(b"not a key")));
    assert!(KeySet::load(stray).unwrap().has_pair());
    assert!(!KeySet::load(vec![file("s.jwk", &keys.signing)]).unwrap().has_pair());
}

#[test]
fn an_advertisement_is_believed_for_a_reason() {
    let keys = Keys::new(Curve::P521);
    let set = keys.set();
    let thp = |hash| keys.signing.thumbprint(hash).to_string();
    for hash in [ThumbprintHash::S256, ThumbprintHash::S1] {
        advertised(&set, &Trust::Thumbprint(thp(hash))).unwrap();
    }
    for wanted in [thp(ThumbprintHash::S512), keys.exchange.thumbprint(ThumbprintHash::S256).to_string(), String::new()]
    {
        let error = advertised(&set, &Trust::Thumbprint(wanted)).unwrap_err();
        assert!(matches!(error, TangError::UntrustedKeys { .. }), "{error}");
    }
}

#[test]
fn more_signing_keys_than_a_client_reads_are_still_served() {
    let mut files = Keys::new(Curve::P256).files("");
    let many: Vec<Jwk> = (0..65).map(|_| Jwk::signing(Curve::P256, &SystemRandom).unwrap()).collect();
    files.extend(many.iter().enumerate().map(|(i, key)| file(&format!("{i}.jwk"), key)));
    let set = KeySet::load(files).unwrap();
    assert_eq!(get(&set, "/adv").status, 200);
    assert_eq!(get(&set, &format!("/adv/{}", many[0].thumbprint(ThumbprintHash::S256))).status, 200);
}

#[test]
fn the_log_hears_what_is_wrong_with_a_request() {
    let keys = Keys::new(Curve::P256);
    let (set, target) = (keys.set(), format!("/rec/{}", keys.exchange.thumbprint(ThumbprintHash::S256)));
    let why = |body: &str| post(&set, &target, body.as_bytes()).why.into_owned();
    assert!(why("{]").contains("line 1 column 2"), "{}", why("{]"));
    assert!(why(r#"{"kty":"EC","crv":"P-256","x":"AA"}"#).contains("key.x"));
}

#[test]
fn an_impostor_is_refused() {
    let (keys, other) = (Keys::new(Curve::P256), Keys::new(Curve::P256));
    let jws = |signers: &[&Jwk], keys: Vec<Object>| {
        let payload = Value::Object(Object::new().with("keys", keys)).to_compact().as_bytes().to_vec();
        let jws = jose::Jws::sign(payload, &Object::new(), signers).unwrap();
        Value::Object(jws.to_json()).to_compact().to_string()
    };
    let public = |key: &Jwk| key.public_json();
    let verify =
        |text: String| Advertisement::verify(text.as_bytes(), &Trust::Anyone).map(|_| ()).map_err(|e| e.to_string());
    let (s, e) = (public(&keys.signing), public(&keys.exchange));

    assert_eq!(verify(jws(&[&keys.signing], vec![s.clone(), e.clone()])), Ok(()));
    // Signed by a key that is not in the set, or by one of two.
    assert!(
        verify(jws(&[&other.signing], vec![s.clone(), e.clone()])).unwrap_err().contains("not signed by its own key")
    );
    let two = vec![s.clone(), public(&other.signing), e.clone()];
    assert!(verify(jws(&[&keys.signing], two.clone())).unwrap_err().contains("not signed by its own key"));
    assert_eq!(verify(jws(&[&keys.signing, &other.signing], two)), Ok(()));
    assert!(verify(jws(&[&keys.signing], vec![e.clone()])).unwrap_err().contains("no signing key"));
    assert!(verify(jws(&[&keys.signing], vec![s.clone()])).unwrap_err().contains("no exchange key"));
    let leaked = e.clone().with("d", "AAAA");
    assert!(verify(jws(&[&keys.signing], vec![s.clone(), leaked])).unwrap_err().contains("in the open"));
    // A key of a type that nobody here knows is passed over, unless it should have signed.
    let strange = Object::new().with("kty", "OKP").with("crv", "Ed25519");
    assert_eq!(verify(jws(&[&keys.signing], vec![strange.clone(), s.clone(), e.clone()])), Ok(()));
    let strange = strange.with("key_ops", vec!["verify"]);
    assert!(verify(jws(&[&keys.signing], vec![s, e, strange])).unwrap_err().contains("cannot be used"));
    // A signing key of a type that is read for its thumbprint alone: said as it is, not as a missing signature.
    let rsa = Object::new().with("kty", "RSA").with("n", "AQAB").with("e", "AQAB").with("key_ops", vec!["verify"]);
    let keys = vec![public(&keys.signing), public(&keys.exchange), rsa];
    assert!(verify(jws(&[&other.signing], keys)).unwrap_err().contains("not an EC key"));
    for rubbish in ["", "{}", "[]", "null", "{\"payload\":\"\"}", "x.y.z"] {
        assert!(verify(rubbish.into()).is_err(), "{rubbish}");
    }
}

#[test]
fn any_flipped_bit_of_an_advertisement_is_refused_or_harmless() {
    let set = Keys::new(Curve::P256).set();
    let good = get(&set, "/adv").body.as_ref().to_vec();
    let expected = advertised(&set, &Trust::Anyone).unwrap();
    for i in 0..good.len() {
        let mut bad = good.clone();
        bad[i] ^= 1;
        if let Ok(read) = Advertisement::verify(&bad, &Trust::Anyone) {
            assert!(read.set_json() == expected.set_json(), "byte {i}");
        }
    }
}

#[test]
fn a_stored_key_is_found_by_its_thumbprint() {
    let keys = Keys::new(Curve::P521);
    let set = advertised(&keys.set(), &Trust::Anyone).unwrap().set_json().clone();
    let find =
        |document: Value, kid: &str| ExchangeKey::find(&document.field("adv"), kid).map(|k| k.thumbprint().to_string());
    let kid = |hash| keys.exchange.thumbprint(hash).to_string();
    let wanted = kid(ThumbprintHash::S256);
    assert_eq!(find(set.clone().into(), &wanted).unwrap(), wanted);
    assert_eq!(find(set.clone().into(), &kid(ThumbprintHash::S1)).unwrap(), wanted);
    assert_eq!(find(keys.exchange.public_json().into(), &wanted).unwrap(), wanted);
    assert!(find(set.clone().into(), &kid(ThumbprintHash::S384)).is_err());
    assert!(find(Object::new().with("keys", "none").into(), &wanted).is_err());
}

#[test]
fn an_answer_that_is_no_point_of_the_curve_is_refused() {
    let keys = Keys::new(Curve::P256);
    let advertisement = advertised(&keys.set(), &Trust::Anyone).unwrap();
    let bound = Point::base_times(&Scalar::random(Curve::P256, &SystemRandom).unwrap()).unwrap();
    let finish = |answer: &str| {
        let blind = Scalar::random(Curve::P256, &SystemRandom).unwrap();
        let (recovery, _) = Recovery::start(&bound, advertisement.exchange_key(), blind).unwrap();
        recovery.finish(answer.as_bytes()).map(|_| ())
    };
    let other = Jwk::from_point(Keys::new(Curve::P384).exchange.point().unwrap()).public_json();
    assert!(matches!(finish(&Value::Object(other).to_compact()), Err(TangError::OtherCurve)));
    for rubbish in ["", "<html>", "{}", r#"{"kty":"oct","k":"AA"}"#, r#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#]
    {
        assert!(finish(rubbish).is_err(), "{rubbish}");
    }
    let document = json::parse(b"{}", &Limits::SMALL).unwrap();
    assert!(ExchangeKey::find(&document.field("adv"), "x").is_err());
}
