//! The pin `tang`.

use crate::scripted::{Answer, Host, World, keys};
use crate::{config, forged, object, open, round_trip, secret, story};
use clevis::{NetError, NextStep, PinError, TrustPolicy};
use crypto::ec::Curve;
use crypto::{Secret, SystemRandom};
use jose::{Jwe, Jwk, Jws, ThumbprintHash};
use json::{Limits, Value};
use tang::server::{KeySet, ServerRequest};

const URL: &str = r#"{"url":"http://a.test"}"#;

fn asking(person: Answer) -> World {
    World { trust: TrustPolicy::Ask, person, ..World::with_two_servers() }
}

fn advertisement(keys: &KeySet) -> String {
    let answer = keys.answer(&ServerRequest { method: "GET", target: "/adv", body: &[] });
    String::from_utf8(answer.body.as_ref().to_vec()).unwrap()
}

fn encrypt(world: &World, text: &str) -> Result<Jwe, PinError> {
    clevis::encrypt("tang", &config(text), &secret(), &world.ports())
}

/// The first key of the set of `http://a.test` that may sign.
fn signing_key() -> Jwk {
    let document = json::parse(advertisement(&keys("keys")).as_bytes(), &Limits::SMALL).unwrap();
    let jws = Jws::from_field(&document.field("adv")).unwrap();
    let set = json::parse(jws.payload(), &Limits::SMALL).unwrap();
    let keys = set.field("set").member("keys").unwrap();
    let key = keys.items().unwrap().find(|k| k.member("alg").unwrap().text() == Ok("ES512")).unwrap();
    Jwk::from_field(&key).unwrap()
}

#[test]
fn a_secret_comes_back_through_the_server() {
    let world = World::with_two_servers();
    let jwe = round_trip(&world, "tang", URL);
    round_trip(&world, "tang", r#"{"url":"http://b.test"}"#);
    let kid = jwe.header().get("kid").and_then(Value::as_str).unwrap();
    assert_eq!(kid.len(), 43);
    assert_eq!(world.asked()[..2], ["GET http://a.test/adv/".to_owned(), format!("POST http://a.test/rec/{kid}")]);
    let empty = clevis::encrypt("tang", &config(URL), &Secret::new(Vec::new()), &world.ports()).unwrap();
    assert_eq!(open(&world, &empty).unwrap(), "");
}

#[test]
fn headers_have_the_members_of_the_original() {
    let jwe = encrypt(&World::with_two_servers(), URL).unwrap();
    let names = |value: Option<&Value>| -> Vec<String> {
        value.unwrap().as_object().unwrap().iter().map(|(name, _)| name.to_owned()).collect()
    };
    let header = Value::Object(jwe.header().clone());
    assert_eq!(names(Some(&header)), ["alg", "clevis", "enc", "epk", "kid"]);
    assert_eq!(names(jwe.header().get("epk")), ["crv", "kty", "x", "y"]);
    let clevis = jwe.header().get("clevis").unwrap().as_object().unwrap();
    assert_eq!(names(clevis.get("tang")), ["adv", "url"]);
    assert_eq!(clevis.get("pin").unwrap().as_str(), Some("tang"));
}

#[test]
fn tls_files_travel_with_the_binding() {
    let text = r#"{"url":"https://a.test","cacert":"/ca","cert":"/cert","key":"/key"}"#;
    let jwe = encrypt(&World::with_two_servers(), text).unwrap();
    let shown = clevis::describe(&jwe, clevis::pins::ALL).unwrap().shown;
    assert_eq!(shown.config.to_compact().as_str(), text);
    for bad in [
        r#"{"url":"http://a.test","cacert":"/ca"}"#,
        r#"{"url":"a.test","cert":"/cert"}"#,
        r#"{"url":"https://a.test","key":"/key"}"#,
        r#"{"url":"https://a.test","cacert":7}"#,
    ] {
        let error = encrypt(&World::with_two_servers(), bad).unwrap_err();
        assert!(matches!(error, PinError::Config(_)), "{bad}: {error:?}");
    }
}

#[test]
fn a_person_is_asked_with_the_thumbprints() {
    let world = asking(Answer::Yes);
    encrypt(&world, URL).unwrap();
    let thumbprint = signing_key().thumbprint(ThumbprintHash::S256).to_string();
    let questions = world.questions.lock().unwrap();
    assert!(questions.len() == 1 && questions[0].contains(&thumbprint) && questions[0].contains("http://a.test"));
    let error = encrypt(&asking(Answer::No), URL).unwrap_err();
    assert!(matches!(error, PinError::Declined { .. }) && error.next_step() == NextStep::Stop, "{error:?}");
    let error = encrypt(&asking(Answer::Nobody), URL).unwrap_err();
    assert!(matches!(error, PinError::CannotAsk { .. }) && error.hint().contains("thp"), "{error:?}");
}

#[test]
fn a_thumbprint_is_trust_and_a_wrong_one_is_none() {
    let world = asking(Answer::Nobody);
    let key = signing_key();
    for hash in [ThumbprintHash::S256, ThumbprintHash::S1] {
        encrypt(&world, &format!(r#"{{"url":"http://a.test","thp":"{}"}}"#, key.thumbprint(hash))).unwrap();
    }
    encrypt(&asking(Answer::Yes), r#"{"url":"http://a.test","thp":""}"#).unwrap();
    let unknown = format!(r#"{{"url":"http://a.test","thp":"{UNKNOWN}"}}"#);
    let error = encrypt(&world, &unknown).unwrap_err();
    assert!(matches!(&error, PinError::OtherKeys { thp, .. } if thp == UNKNOWN), "{error:?}");
    assert!(error.hint().contains("another server"), "{}", error.hint());
    let body = advertisement(&keys("keys")).into_bytes();
    let error = encrypt(&asking(Answer::Nobody).with("a.test", Host::Says(200, body)), &unknown).unwrap_err();
    assert!(matches!(error, PinError::BadAdvertisement { .. }), "{error:?}");
    assert_eq!(world.questions.lock().unwrap().len(), 0);
}

/// A thumbprint of no key here.
const UNKNOWN: &str = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";

#[test]
fn what_is_no_thumbprint_is_not_put_into_a_request() {
    // The server would find a key by a longer one, but the client does not take that for trust.
    let long = signing_key().thumbprint(ThumbprintHash::S512).to_string();
    for bad in ["bad thp", "unknown", "../rec/x", &long, &UNKNOWN[1..], &format!("{UNKNOWN}=")] {
        let world = World::with_two_servers();
        let error = encrypt(&world, &format!(r#"{{"url":"http://a.test","thp":"{bad}"}}"#)).unwrap_err();
        assert!(matches!(error, PinError::Config(_)), "{bad}: {error:?}");
        assert!(story(&error).contains("thp") && story(&error).contains("43 (SHA-256)"), "{}", story(&error));
        assert_eq!(world.asked(), Vec::<String>::new());
    }
}

#[test]
fn a_given_advertisement_asks_neither_server_nor_person() {
    let mut world = asking(Answer::Nobody);
    let adv = advertisement(&keys("keys"));
    world.files.insert("/adv.jws", adv.clone().into_bytes());
    for text in
        [format!(r#"{{"url":"http://a.test","adv":{adv}}}"#), r#"{"url":"http://a.test","adv":"/adv.jws"}"#.into()]
    {
        encrypt(&world, &text).unwrap();
    }
    assert_eq!(world.asked(), Vec::<String>::new());
    let wrong = format!(r#"{{"url":"http://a.test","thp":"{UNKNOWN}","adv":{adv}}}"#);
    assert!(matches!(encrypt(&world, &wrong).unwrap_err(), PinError::BadAdvertisement { .. }));
    // `-y` goes before `thp`, as the original has it.
    encrypt(&World::with_two_servers(), &wrong).unwrap();
    let missing = encrypt(&world, r#"{"url":"http://a.test","adv":"/none"}"#).unwrap_err();
    assert!(matches!(&missing, PinError::File { path, .. } if path == "/none"), "{missing:?}");
}

#[test]
fn an_advertisement_that_is_not_signed_by_its_keys_is_refused_even_with_y() {
    let document = json::parse(advertisement(&keys("keys")).as_bytes(), &Limits::SMALL).unwrap();
    let payload = Jws::from_field(&document.field("adv")).unwrap().payload().to_vec();
    let other = Jwk::signing(Curve::P256, &SystemRandom).unwrap();
    let forged = Jws::sign(payload, &object(r#"{"cty":"jwk-set+json"}"#), &[&other]).unwrap();
    let body = Value::Object(forged.to_json()).to_compact().as_bytes().to_vec();
    for body in [body, b"{}".to_vec(), b"<html>Please log in</html>".to_vec(), Vec::new()] {
        let world = World::new().with("a.test", Host::Says(200, body));
        let error = encrypt(&world, URL).unwrap_err();
        assert!(matches!(error, PinError::BadAdvertisement { .. }), "{error:?}");
        assert_eq!(error.next_step(), NextStep::Stop);
    }
}

#[test]
fn options_are_strict() {
    for bad in [
        "{}",
        r#"{"url":7}"#,
        r#"{"url":"http://a.test","thumb":"x"}"#,
        r#"{"url":"http://a.test","thp":7}"#,
        r#"{"url":"http://a.test","adv":7}"#,
        r#"{"url":"http://a.test","adv":null}"#,
    ] {
        let error = encrypt(&World::with_two_servers(), bad).unwrap_err();
        assert!(matches!(error, PinError::Config(_)), "{bad}: {error:?}");
    }
}

#[test]
fn a_server_that_cannot_help_is_told_apart() {
    let jwe = encrypt(&World::with_two_servers(), URL).unwrap();
    let failing = |host| open(&World::new().with("a.test", host), &jwe).unwrap_err();
    let check = |error: &PinError, step, words: &str| {
        assert!(story(error).contains(words), "{}", story(error));
        assert_eq!(error.next_step(), step, "{words}");
        assert!(!error.hint().is_empty());
    };
    check(&failing(Host::Down), NextStep::RetryLater, "Error communicating with server http://a.test: no connection");
    check(&open(&World::new(), &jwe).unwrap_err(), NextStep::RetryLater, "has no address");
    check(&failing(Host::Says(500, Vec::new())), NextStep::RetryLater, "with 500");
    check(&failing(Host::Says(403, Vec::new())), NextStep::TryAnother, "with 403");
    check(&failing(Host::Keys(keys("p256"))), NextStep::TryAnother, "does not have the key of this binding");
    for rubbish in ["", "{}", "[]", "<html>", r#"{"kty":"oct","k":"AAAA"}"#] {
        check(&failing(Host::Says(200, rubbish.into())), NextStep::TryAnother, "is not accepted");
    }
    let point = |curve| {
        let key = Jwk::exchange(curve, &SystemRandom).unwrap();
        Host::Says(200, Value::Object(key.public_json()).to_compact().as_bytes().to_vec())
    };
    check(&failing(point(Curve::P256)), NextStep::TryAnother, "is not accepted");
    check(&failing(point(Curve::P521)), NextStep::TryAnother, "the answer of http://a.test does not open the JWE");
    check(&failing(Host::Says(302, Vec::new())), NextStep::TryAnother, "with 302");
}

/// Who answers with a point of his own is a suspect before the header is.
#[test]
fn a_wrong_point_is_blamed_on_the_server_first() {
    let jwe = encrypt(&World::with_two_servers(), URL).unwrap();
    let point = Jwk::exchange(Curve::P521, &SystemRandom).unwrap().public_json();
    let fake = World::new().with("a.test", Host::Says(200, Value::Object(point).to_compact().as_bytes().to_vec()));
    let error = open(&fake, &jwe).unwrap_err();
    assert!(
        matches!(&error, PinError::WrongPoint { server, .. } if server.to_string() == "http://a.test"),
        "{error:?}"
    );
    assert!(error.hint().starts_with("check first that http://a.test is"), "{}", error.hint());
    assert!(error.hint().contains("`cotter keys show http://a.test`"), "{}", error.hint());
    // Nothing says whether it will go away; a server that is only absent would.
    assert_eq!(error.next_step(), NextStep::TryAnother);
}

#[test]
fn a_cancel_is_no_failure_of_the_server() {
    let jwe = encrypt(&World::with_two_servers(), URL).unwrap();
    let world = World::new().with("a.test", Host::Silent);
    world.cancel.cancel();
    assert!(matches!(open(&world, &jwe).unwrap_err(), PinError::Cancelled));
    let timed_out = NetError::TimedOut { after: std::time::Duration::from_secs(1) };
    assert!(PinError::Unreachable { server: clevis::Url::new("u"), source: timed_out }.weight() > 0);
}

/// A binding of the time when thumbprints were SHA-1, with a lone key instead of a set, and with party names.
#[test]
fn bindings_of_another_age_open() {
    let document = json::parse(advertisement(&keys("keys")).as_bytes(), &Limits::SMALL).unwrap();
    let payload = Jws::from_field(&document.field("adv")).unwrap().payload().to_vec();
    let set = json::parse(&payload, &Limits::SMALL).unwrap();
    let keys = set.field("set").member("keys").unwrap();
    let exchange = keys.items().unwrap().find(|k| k.member("alg").unwrap().text() == Ok("ECMR")).unwrap();
    let key = Jwk::from_field(&exchange).unwrap();
    for (kid, adv, more) in [
        (ThumbprintHash::S1, set.clone(), ""),
        (ThumbprintHash::S256, exchange.value().clone(), ""),
        (ThumbprintHash::S256, set.clone(), r#","apu":"QWxpY2U","apv":"Qm9i""#),
    ] {
        let (kid, adv) = (key.thumbprint(kid), adv.to_compact());
        let header = format!(
            r#"{{"kid":"{kid}"{more},"clevis":{{"pin":"tang","tang":{{"url":"http://a.test","adv":{}}}}}}}"#,
            adv.as_str()
        );
        let jwe = Jwe::encrypt_to_point(&object(&header), key.point().unwrap(), &secret(), &SystemRandom).unwrap();
        assert_eq!(open(&World::with_two_servers(), &jwe).unwrap(), "the secret");
    }
}

#[test]
fn forged_headers_are_refused_before_anybody_is_asked() {
    let good = encrypt(&World::with_two_servers(), URL).unwrap();
    let header = Value::Object(good.header().clone()).to_compact();
    let exchange = Jwk::exchange(Curve::P521, &SystemRandom).unwrap();
    let check = |header: &str, expected: &str| {
        let jwe = Jwe::encrypt_to_point(&object(header), exchange.point().unwrap(), &secret(), &SystemRandom).unwrap();
        let world = World::with_two_servers();
        let error = open(&world, &jwe).unwrap_err();
        assert!(matches!(error, PinError::BadBinding { .. }) && story(&error).contains(expected), "{}", story(&error));
        assert_eq!(world.asked(), Vec::<String>::new());
    };
    check(&header.replace("\"url\":", "\"lru\":"), "header.clevis.tang.url is missing");
    check(&header.replace("\"http://a.test\"", "7"), "header.clevis.tang.url is not a string");
    check(&header.replace("\"adv\":{", "\"avd\":{"), "header.clevis.tang.adv is missing");
    check(&header.replace("\"kid\":", "\"dik\":"), "header.kid is missing");
    check(&header.replace("\"keys\":[", "\"keys\":7,\"x\":["), "keys");
    let kid = good.header().get("kid").and_then(Value::as_str).unwrap();
    check(&header.replace(kid, "x"), "keys in it do not serve");
    // The key and the bound point on two curves.
    let other = Jwk::exchange(Curve::P256, &SystemRandom).unwrap();
    let jwe = Jwe::encrypt_to_point(&object(&header), other.point().unwrap(), &secret(), &SystemRandom).unwrap();
    assert!(matches!(open(&World::with_two_servers(), &jwe).unwrap_err(), PinError::BadBinding { .. }));
    // `dir` has no `epk`.
    let jwe = forged(&header.replace("\"alg\":\"ECDH-ES\",", "").replace("\"epk\":", "\"kpe\":"));
    assert!(story(&open(&World::with_two_servers(), &jwe).unwrap_err()).contains("header.epk is missing"));
}
