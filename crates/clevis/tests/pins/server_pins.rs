//! The pin of a key server's key, in configurations and headers.

use crate::scripted::World;
use crate::{config, forged, object, open, round_trip, secret, story};
use clevis::{NetError, NextStep, PinError, Renewal, ServerPin, TlsSettings, Unseal, Wanted, pins::ALL};
use json::Value;

const HTTPS: &str = "https://a.test";

fn pin(key: &str) -> ServerPin {
    ServerPin::of_key(key.as_bytes())
}

/// A configuration with the pins of these keys, one alone without an array.
fn pinned(keys: &[&str]) -> String {
    let pins: Vec<String> = keys.iter().map(|key| format!("\"{}\"", pin(key))).collect();
    let pins = if let [one] = pins.as_slice() { one.clone() } else { format!("[{}]", pins.join(",")) };
    format!(r#"{{"url":"{HTTPS}","pin":{pins}}}"#)
}

fn encrypt(text: &str) -> Result<jose::Jwe, PinError> {
    clevis::encrypt("tang", &config(text), &secret(), &World::with_two_servers().ports())
}

#[test]
fn every_exchange_is_with_the_holder_of_a_pinned_key() {
    for names in [vec!["one"], vec!["one", "spare"], vec!["one", "two", "three", "four"]] {
        let world = World::with_two_servers();
        round_trip(&world, "tang", &pinned(&names));
        let wanted = TlsSettings { pins: names.iter().map(|name| pin(name)).collect(), ..TlsSettings::default() };
        assert_eq!(*world.tls.lock().unwrap(), [wanted.clone(), wanted], "an advertisement, and a recovery");
    }
}

#[test]
fn a_binding_tells_its_pins_beside_the_address() {
    let text = pinned(&["one", "spare"]);
    let jwe = encrypt(&text).unwrap();
    assert!(clevis::annotation(&jwe).is_none(), "they stand in the policy itself");
    assert_eq!(clevis::describe(&jwe, ALL).unwrap().shown.config.to_compact().as_str(), text);
    let stored = clevis::configuration(&jwe, ALL).unwrap();
    assert!(stored.is_complete() && stored.config.field().value().to_compact().as_str() == text);
    assert_eq!(clevis::servers(&jwe, ALL).unwrap()[0].tls.pins, [pin("one"), pin("spare")]);
    let meets = |text: &str| clevis::meets("tang", &config(text), &jwe, ALL).unwrap();
    assert!(meets(&text) && meets(&pinned(&["spare", "one"])), "in any order");
    for other in [
        pinned(&["one"]),
        pinned(&["one", "other"]),
        pinned(&["one", "spare", "other"]),
        format!(r#"{{"url":"{HTTPS}"}}"#),
    ] {
        assert!(!meets(&other), "{other}");
    }
    let array_of_one = format!(r#"{{"url":"{HTTPS}","pin":["{}"]}}"#, pin("one"));
    let jwe = encrypt(&array_of_one).unwrap();
    assert!(clevis::meets("tang", &config(&pinned(&["one"])), &jwe, ALL).unwrap());
    assert_eq!(clevis::describe(&jwe, ALL).unwrap().shown.config.to_compact().as_str(), pinned(&["one"]));
}

#[test]
fn the_shares_of_a_threshold_keep_theirs() {
    let text = format!(r#"{{"t":2,"pins":{{"tang":[{},{}]}}}}"#, pinned(&["one"]), pinned(&["two", "spare"]));
    let world = World::with_two_servers();
    let jwe = round_trip(&world, "sss", &text);
    let stored = clevis::configuration(&jwe, ALL).unwrap();
    assert!(stored.is_complete() && *stored.config.field().value() == *config(&text).field().value());
    let asked: Vec<Vec<ServerPin>> = world.tls.lock().unwrap().iter().map(|tls| tls.pins.clone()).collect();
    assert_eq!(asked.len(), 4);
    assert!(asked.contains(&vec![pin("one")]) && asked.contains(&vec![pin("two"), pin("spare")]), "{asked:?}");
    let error = clevis::encrypt("sss", &config(&text.replace("https", "http")), &secret(), &world.ports()).unwrap_err();
    assert!(story(&error).contains("url is not an https:// address, which alone shows"), "{}", story(&error));
}

/// Making it anew asks the same server, and keeps its pins.
#[test]
fn a_binding_made_anew_keeps_its_pins() {
    let jwe = encrypt(&pinned(&["one", "spare"])).unwrap();
    let known = clevis::servers(&jwe, ALL).unwrap();
    let world = World::with_two_servers();
    let renewal = Renewal { known: &known, wanted: Wanted::Same };
    let renewed = clevis::renew("tang", &config(&pinned(&["one", "spare"])), &renewal, &world.ports()).unwrap();
    assert!(world.tls.lock().unwrap().iter().all(|tls| tls.pins == [pin("one"), pin("spare")]));
    for value in [renewed.given, renewed.kept] {
        let said = value.to_compact();
        assert!(said.contains(&format!(r#""pin":["{}","{}"]"#, pin("one"), pin("spare"))), "{said:?}");
    }
}

#[test]
fn options_are_strict() {
    let one = pin("one").to_string();
    let with = |pins: &str| format!(r#"{{"url":"{HTTPS}","pin":{pins}}}"#);
    let check = |text: &str, expected: &str| {
        let error = encrypt(text).unwrap_err();
        assert!(matches!(error, PinError::Config(_)) && story(&error).contains(expected), "{text}: {}", story(&error));
        let checked = clevis::check("tang", &config(text), ALL).unwrap_err();
        assert_eq!(story(&checked), story(&error), "before anybody is asked");
    };
    let not_https = "configuration.url is not an https:// address, which alone shows the key that pin names";
    for url in ["http://a.test", "a.test", "HTTP://a.test"] {
        check(&pinned(&["one"]).replace(HTTPS, url), not_https);
    }
    assert!(
        encrypt(&pinned(&["one"]).replace("https", "HTTPS")).is_err_and(|error| !matches!(error, PinError::Config(_)))
    );
    check(&pinned(&["1", "2", "3", "4", "5"]), "configuration.pin is not one to four pins of the server's keys");
    check(&with("[]"), "configuration.pin is not one to four pins");
    check(&with(&format!(r#"["{one}","{one}"]"#)), "configuration.pin.1 is not another key than those before it");
    check(&with(&format!(r#"["{one}",7]"#)), "configuration.pin.1 is not a string");
    for wrong in ["true", "7", "{}", "null"] {
        check(&with(wrong), "configuration.pin is not a string");
    }
    for wrong in ["?", "", one.trim_start_matches("sha256//"), &format!("{one};{one}")] {
        check(&with(&format!("\"{wrong}\"")), "configuration.pin is not sha256// and 44 characters of base64");
    }
    check(
        &pinned(&["one"]).replace("\"pin\"", "\"cacert\":\"/ca\",\"pin\""),
        "configuration.cacert is not of use beside pin",
    );
}

/// What stands in a header is held to the same.
#[test]
fn a_header_with_a_pin_that_means_nothing_is_not_followed() {
    let good = encrypt(&pinned(&["one"])).unwrap();
    let header = Value::Object(good.header().clone()).to_compact();
    let one = pin("one").to_string();
    for (from, to) in [(HTTPS, "http://a.test"), (one.as_str(), "sha256//AAAA"), (one.as_str(), "")] {
        let world = World::with_two_servers();
        let jwe = forged(&header.replace(from, to));
        let error = open(&world, &jwe).unwrap_err();
        assert!(matches!(error, PinError::BadBinding { .. }), "{to}: {error:?}");
        assert_eq!(world.asked(), Vec::<String>::new());
    }
    assert!(object(&header).get("clevis").is_some());
}

#[test]
fn another_key_is_no_absent_server() {
    let other = || NetError::OtherKey { shown: pin("other"), wanted: vec![pin("one"), pin("spare")] };
    let error = PinError::Unreachable { server: clevis::Url::new(HTTPS), source: other() };
    let said = story(&error);
    for part in [HTTPS, &pin("other").to_string(), &pin("one").to_string(), &pin("spare").to_string()] {
        assert!(said.contains(part), "{said}");
    }
    let hint = error.hint();
    assert!(hint.contains("`cotter keys pin https://a.test`") && hint.contains("`cotter luks edit"), "{hint}");
    assert_eq!(error.next_step(), NextStep::RetryLater, "who stands in its place may go");
    let refused = PinError::Unreachable { server: clevis::Url::new(HTTPS), source: NetError::TooLong };
    assert!(error.weight() > refused.weight());
}

/// What the pin hands to the network to open a client's key with.
#[test]
fn only_what_a_tpm_has_sealed_is_a_clients_key() {
    let world = World::with_two_servers();
    let unseal = |text: &[u8]| {
        *world.key_file.lock().unwrap() = Some(text.to_vec());
        let jwe = encrypt_in(&world);
        story(&jwe.unwrap_err())
    };
    for rubbish in ["", "neither", "a.b.c.d.e"] {
        assert!(
            unseal(rubbish.as_bytes()).contains("does not come out of /key: it is neither PEM nor a JWE"),
            "{rubbish}"
        );
    }
    let null = clevis::encrypt("null", &config("{}"), &secret(), &world.ports()).unwrap().to_compact().unwrap();
    assert!(unseal(null.as_bytes()).contains("it is not sealed to a TPM"), "{null}");
    let tang = World::with_two_servers();
    let tang = clevis::encrypt("tang", &config(r#"{"url":"http://b.test"}"#), &secret(), &tang.ports()).unwrap();
    assert!(unseal(tang.to_compact().unwrap().as_bytes()).contains("it is not sealed to a TPM"));
    assert_eq!(world.asked(), Vec::<String>::new(), "and no server is asked for it");
}

fn encrypt_in(world: &World) -> Result<jose::Jwe, PinError> {
    let text = r#"{"url":"https://a.test","cert":"/cert","key":"/key"}"#;
    clevis::encrypt("tang", &config(text), &secret(), &world.ports())
}

/// As the network does.
pub(crate) fn opened(unseal: Option<&dyn Unseal>, sealed: &[u8]) -> Result<(), NetError> {
    let failed = |source| NetError::ClientKey { path: "/key".into(), source };
    unseal.unwrap().unseal(sealed).map(drop).map_err(failed)
}

#[test]
fn a_client_key_that_the_tpm_does_not_open_is_judged_as_the_tpm_says() {
    let of = |source: PinError| {
        let source = NetError::ClientKey { path: "/key".into(), source: source.into() };
        PinError::Unreachable { server: clevis::Url::new(HTTPS), source }
    };
    let gone = of(PinError::NoTpm);
    assert_eq!(gone.next_step(), PinError::NoTpm.next_step());
    assert!(gone.hint().contains("/key") && gone.hint().contains("`cotter encrypt tpm2"), "{}", gone.hint());
    let busy = || PinError::Thread(std::io::ErrorKind::OutOfMemory.into());
    assert_eq!(of(busy()).next_step(), NextStep::RetryLater);
}
