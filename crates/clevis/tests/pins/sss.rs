//! The pin `sss`.

use crate::scripted::{Host, World};
use crate::{config, forged, open, round_trip, secret, story};
use clevis::{NextStep, PinError};
use crypto::{Secret, SystemRandom};
use jose::{Jwe, b64};
use json::{Object, Value};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

fn encrypt(text: &str) -> Result<Jwe, PinError> {
    clevis::encrypt("sss", &config(text), &secret(), &World::with_two_servers().ports())
}

const A: &str = r#"{"url":"http://a.test"}"#;
const B: &str = r#"{"url":"http://b.test"}"#;

#[test]
fn secrets_come_back_through_enough_shares() {
    let world = World::with_two_servers();
    for text in [
        r#"{"pins":{"null":{}}}"#.to_owned(),
        r#"{"t":1,"pins":{"null":[{"fail":true},{"fail":true},{}]}}"#.into(),
        r#"{"t":3,"pins":{"null":[{},{},{}]}}"#.into(),
        format!(r#"{{"t":2,"pins":{{"tang":[{A},{B}],"null":{{"fail":true}}}}}}"#),
        format!(
            r#"{{"t":2,"pins":{{"sss":[{{"pins":{{"tang":{A}}}}},{{"t":2,"pins":{{"tang":{B},"null":[{{}}]}}}}]}}}}"#
        ),
    ] {
        round_trip(&world, "sss", &text);
    }
}

#[test]
fn headers_have_the_members_of_the_original_in_its_order() {
    let jwe = encrypt(&format!(r#"{{"t":1,"pins":{{"null":{{}},"tang":[{A},{B}]}}}}"#)).unwrap();
    let header = Value::Object(jwe.header().clone());
    let inner = header.field("h").member("clevis").unwrap().member("sss").unwrap();
    let names: Vec<&str> = inner.members().unwrap().map(|(name, _)| name).collect();
    assert_eq!(names, ["jwe", "p", "t"]);
    assert_eq!(b64::decode(inner.member("p").unwrap().text().unwrap()).unwrap().len(), 32);
    let children: Vec<Jwe> = inner
        .member("jwe")
        .unwrap()
        .items()
        .unwrap()
        .map(|j| Jwe::parse_compact(j.text().unwrap().as_bytes()).unwrap())
        .collect();
    let pins: Vec<String> = children.iter().map(|jwe| clevis::pin_name(jwe).unwrap().to_string()).collect();
    assert_eq!(pins, ["null", "tang", "tang"]);
    assert_eq!(clevis::decrypt(&children[0], &World::new().ports()).unwrap().len(), 64);
}

#[test]
fn too_few_shares_say_why_each_is_missing() {
    let jwe = encrypt(&format!(r#"{{"t":2,"pins":{{"null":[{{"fail":true}},{{}}],"tang":[{A},{B}]}}}}"#)).unwrap();
    let world = World::new().with("a.test", Host::Down).with("b.test", Host::Says(404, Vec::new()));
    let error = open(&world, &jwe).unwrap_err();
    let PinError::TooFew { needed: 2, shares: 4, failures } = &error else { panic!("{error:?}") };
    assert_eq!(failures.len(), 3);
    assert!(matches!(failures[0].error, PinError::Refused { .. }), "most telling first: {error}");
    let story = story(&error);
    for words in
        ["2 of 4 shares", "share 1 (null): the pin null was told", "share 3 (tang): Error", "share 4 (tang): Error"]
    {
        assert!(story.contains(words), "{words}: {story}");
    }
    // The server that is down may come back: with the null share that makes two.
    assert_eq!(error.next_step(), NextStep::RetryLater);
    assert!(error.hint().contains("http://b.test"), "{}", error.hint());
}

#[test]
fn a_threshold_answers_while_others_are_silent() {
    let jwe = encrypt(&format!(r#"{{"t":1,"pins":{{"tang":[{A},{A},{B}]}}}}"#)).unwrap();
    let nested =
        encrypt(&format!(r#"{{"t":1,"pins":{{"sss":{{"t":1,"pins":{{"tang":[{A},{A}]}}}},"tang":{B}}}}}"#)).unwrap();
    for jwe in [jwe, nested] {
        let world = World::with_two_servers().with("a.test", Host::Silent);
        let start = Instant::now();
        assert_eq!(open(&world, &jwe).unwrap(), "the secret");
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        assert_eq!(world.waiting.load(Ordering::SeqCst), 0, "nobody waits any more");
        assert!(!world.cancel.is_cancelled(), "the caller's own flag is its own");
    }
}

#[test]
fn a_threshold_that_cannot_be_met_does_not_wait_for_the_silent() {
    let jwe = encrypt(&format!(r#"{{"t":2,"pins":{{"tang":{A},"null":{{"fail":true}}}}}}"#)).unwrap();
    let world = World::new().with("a.test", Host::Silent);
    let start = Instant::now();
    let error = open(&world, &jwe).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert!(matches!(&error, PinError::TooFew { failures, .. } if failures.len() == 2), "{error:?}");
    // The silent one is not blamed: it was not waited for.
    assert!(error.to_string().ends_with("1 failed; share 2 (null): the pin null was told to fail"), "{error}");
}

#[test]
fn a_cancel_from_above_reaches_all_levels() {
    let jwe =
        encrypt(&format!(r#"{{"t":1,"pins":{{"sss":{{"t":1,"pins":{{"tang":[{A},{A}]}}}},"tang":{A}}}}}"#)).unwrap();
    let world = World::new().with("a.test", Host::Silent);
    let start = Instant::now();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| open(&world, &jwe));
        while world.waiting.load(Ordering::SeqCst) < 3 && start.elapsed() < Duration::from_secs(10) {
            thread::yield_now();
        }
        world.cancel.cancel();
        assert!(matches!(waiting.join().unwrap(), Err(PinError::Cancelled)));
    });
    assert!(start.elapsed() < Duration::from_secs(10));
}

/// The header of a threshold over `shares`, with the modulus 2^256 - 189, which is prime.
fn header(threshold: u64, shares: &[String]) -> Object {
    let mut p = [0xff; 32];
    p[31] = 0x43;
    let shares: Vec<Value> = shares.iter().map(|s| s.as_str().into()).collect();
    let inner = Object::new().with("jwe", shares).with("p", b64::encode(&p)).with("t", threshold);
    Object::new().with("clevis", Object::new().with("pin", "sss").with("sss", inner))
}

/// A `null` JWE that holds these bytes as its share.
fn share(bytes: Vec<u8>) -> String {
    let jwe = clevis::encrypt("null", &config("{}"), &Secret::new(bytes), &World::new().ports()).unwrap();
    jwe.to_compact().unwrap()
}

/// A share of a threshold of one, whose polynomial is constant: every share has the secret, here 7, as its y.
fn constant(x: u8) -> Vec<u8> {
    let mut bytes = vec![0; 64];
    (bytes[31], bytes[63]) = (x, 7);
    bytes
}

fn constant_share(x: u8) -> String {
    share(constant(x))
}

/// Sealed with the secret of constant shares.
fn sealed_over(header: &Object, plaintext: &Secret) -> Jwe {
    let mut key = vec![0; 32];
    key[31] = 7;
    Jwe::encrypt_dir(header, &Secret::new(key), plaintext, &SystemRandom).unwrap()
}

fn sealed(header: &Object) -> Jwe {
    sealed_over(header, &secret())
}

/// Thresholds of one, each the only share of the one above.
fn nested(levels: usize) -> Jwe {
    let mut below = constant_share(1);
    for _ in 1..levels {
        below = sealed_over(&header(1, &[below]), &Secret::new(constant(1))).to_compact().unwrap();
    }
    sealed(&header(1, &[below]))
}

#[test]
fn an_odd_child_is_a_failed_child() {
    let world = World::new();
    for odd in [
        share(vec![]),
        share(vec![1; 63]),
        share(vec![1; 65]),
        share(vec![0xff; 64]),
        constant_share(0),
        "x".into(),
        String::new(),
    ] {
        let jwe = sealed(&header(1, &[odd.clone(), constant_share(1)]));
        assert_eq!(open(&world, &jwe).unwrap(), "the secret");
        let error = open(&world, &sealed(&header(2, &[odd, constant_share(1)]))).unwrap_err();
        assert!(matches!(&error, PinError::TooFew { failures, .. } if failures.len() == 1), "{error:?}");
    }
}

#[test]
fn forged_headers_are_refused() {
    let good = Value::Object(header(1, &[constant_share(1)])).to_compact();
    let check = |from: &str, to: &str, expected: &str| {
        let story = story(&open(&World::new(), &forged(&good.replace(from, to))).unwrap_err());
        assert!(story.contains(expected), "{to}: {story}");
    };
    let t = "a number from 1 to that of the shares";
    check("\"t\":1", "\"t\":0", t);
    check("\"t\":1", "\"t\":2", t);
    check("\"t\":1", "\"t\":18446744073709551615", t);
    check("\"t\":1", "\"t\":\"1\"", "header.clevis.sss.t is not a whole number");
    check("\"t\":1", "\"t\":1.5", "header.clevis.sss.t is not a whole number");
    check("\"t\":1", "\"x\":1", "header.clevis.sss.t is missing");
    check("\"p\":\"__", "\"p\":\"!_", "header.clevis.sss.p is not base64url");
    check("\"p\":\"____", "\"p\":\"", "an odd number of 32 bytes");
    check("0M\"", "0N\"", "header.clevis.sss.p is not base64url");
    check("0M\"", "0I\"", "an odd number of 32 bytes");
    check("\"jwe\":[", "\"jwe\":7,\"x\":[", "header.clevis.sss.jwe is not an array");
    check("\"jwe\":[", "\"jwe\":[7,", "header.clevis.sss.jwe.0 is not a string");
    check("\"sss\":{", "\"sss\":7,\"x\":{", "header.clevis.sss is not an object");
}

#[test]
fn depth_and_number_are_limited_before_anything_is_asked() {
    let world = World::new();
    let refused = |jwe: &Jwe, words: &str| {
        let error = open(&world, jwe).unwrap_err();
        assert!(matches!(error, PinError::BadBinding { .. }) && story(&error).contains(words), "{}", story(&error));
        assert!(clevis::describe(jwe, clevis::pins::ALL).is_err());
    };
    assert_eq!(open(&world, &nested(5)).unwrap(), "the secret");
    refused(&nested(6), "more than 5 levels of thresholds");
    let many: Vec<String> = (0..65).map(|_| "x".to_owned()).collect();
    refused(&sealed(&header(1, &many)), "more than 64 shares");
    let half: Vec<String> = many[..32].to_vec();
    let half = sealed(&header(1, &half)).to_compact().unwrap();
    refused(&sealed(&header(1, &[half.clone(), half])), "more than 64 shares");
    assert!(matches!(open(&world, &sealed(&header(1, &many[..64]))).unwrap_err(), PinError::TooFew { .. }));
}

#[test]
fn configurations_are_strict() {
    let deep = |levels: usize| {
        (0..levels).fold(r#"{"null":{}}"#.to_owned(), |pins, _| format!(r#"{{"sss":{{"pins":{pins}}}}}"#))
    };
    for bad in [
        "{}".to_owned(),
        r#"{"t":1}"#.into(),
        r#"{"t":1,"pins":{}}"#.into(),
        r#"{"pins":{"null":[]}}"#.into(),
        r#"{"pins":{"null":7}}"#.into(),
        r#"{"pins":{"null":[7]}}"#.into(),
        r#"{"pins":[]}"#.into(),
        r#"{"t":0,"pins":{"null":{}}}"#.into(),
        r#"{"t":2,"pins":{"null":{}}}"#.into(),
        r#"{"t":"1","pins":{"null":{}}}"#.into(),
        r#"{"t":1.0,"pins":{"null":{}}}"#.into(),
        r#"{"t":1,"n":1,"pins":{"null":{}}}"#.into(),
        format!(r#"{{"pins":{{"null":[{}]}}}}"#, ["{}"; 65].join(",")),
        format!(r#"{{"pins":{}}}"#, deep(5)),
    ] {
        let error = encrypt(&bad).unwrap_err();
        assert!(matches!(error, PinError::Config(_)), "{bad}: {error:?}");
    }
    encrypt(&format!(r#"{{"pins":{}}}"#, deep(4))).unwrap();
}

#[test]
fn one_child_that_cannot_encrypt_fails_the_whole() {
    for (bad, place) in [
        (r#"{"t":1,"pins":{"null":{},"tpm9":{}}}"#, "configuration.pins.tpm9"),
        (r#"{"t":1,"pins":{"null":[{},{"fial":true}]}}"#, "configuration.pins.null.1"),
        (r#"{"t":1,"pins":{"null":{},"tang":{"url":"http://c.test"}}}"#, "configuration.pins.tang"),
    ] {
        let error = encrypt(bad).unwrap_err();
        assert!(matches!(&error, PinError::Share { place: at, .. } if at == place), "{bad}: {error:?}");
    }
}
