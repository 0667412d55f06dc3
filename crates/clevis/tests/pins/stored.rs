//! Configurations that come back out of JWEs.

use crate::scripted::{World, keys};
use crate::{config, forged, object, open, secret};
use ::tang::server::ServerRequest;
use clevis::{Lost, Opened};
use crypto::SystemRandom;
use jose::Jwe;
use json::{Object, Value};

const A: &str = r#"{"url":"http://a.test"}"#;
const B: &str = r#"{"url":"http://b.test"}"#;

/// A signing key of `http://a.test`.
const THP: &str = "5yVFft2c3UoBhcWR7XveHlxx9NOlBY0KnytDYDNnfic";

/// The pin of a key of no server.
const PIN: &str = "sha256//LHDhK3oGRvkiefQnx7OOczTY5Tic/xZ6HcMOc/gmtoM=";

fn adv() -> String {
    let answer = keys("keys").answer(&ServerRequest { method: "GET", target: "/adv", body: &[] });
    String::from_utf8(answer.body.as_ref().to_vec()).unwrap()
}

/// Encrypts as `bind` does, and reads the JWE back.
fn bound(pin: &str, text: &str) -> Jwe {
    let mut world = World::with_two_servers();
    world.files.insert("/adv.jws", adv().into_bytes());
    let config = config(text);
    let said = clevis::remembered(pin, &config, clevis::pins::ALL).unwrap();
    let jwe = clevis::encrypt_with(pin, &config, &secret(), &said, &world.ports()).unwrap();
    assert_eq!(open(&world, &jwe).unwrap(), "the secret");
    Jwe::parse_compact(jwe.to_compact().unwrap().as_bytes()).unwrap()
}

fn told(jwe: &Jwe) -> (String, Vec<String>) {
    let stored = clevis::configuration(jwe, clevis::pins::ALL).unwrap();
    let text = stored.config.field().value().to_compact().to_string();
    assert_eq!(stored.is_complete(), stored.lost.is_empty());
    (text, stored.lost.iter().map(ToString::to_string).collect())
}

#[test]
fn nothing_of_a_configuration_of_ours_is_lost() {
    let adv = adv();
    let deep = (0..4)
        .fold(format!(r#"{{"pins":{{"tang":[{{"url":"http://a.test","thp":"{THP}"}}]}}}}"#), |inner, _| {
            format!(r#"{{"t":1,"pins":{{"sss":[{inner}]}}}}"#)
        });
    let cases = [
        ("tang", A.to_owned()),
        ("tang", format!(r#"{{"url":"http://a.test","thp":"{THP}"}}"#)),
        ("tang", format!(r#"{{"url":"http://a.test","adv":{adv}}}"#)),
        ("tang", r#"{"url":"http://a.test","adv":"/adv.jws"}"#.into()),
        ("tang", r#"{"url":"https://a.test","cacert":"/ca","cert":"/c","key":"/k"}"#.into()),
        ("tang", format!(r#"{{"url":"https://a.test","pin":["{PIN}"],"thp":"{THP}"}}"#)),
        ("null", "{}".into()),
        (
            "sss",
            format!(r#"{{"t":2,"pins":{{"tang":[{A},{{"url":"http://b.test"}}],"null":[{{}},{{"fail":true}}]}}}}"#),
        ),
        ("sss", format!(r#"{{"t":1,"pins":{{"tang":[{{"url":"http://a.test","thp":"{THP}"}},{B}],"null":{{}}}}}}"#)),
        (
            "sss",
            format!(
                r#"{{"t":2,"pins":{{"sss":[{{"t":1,"pins":{{"tang":[{A}]}}}},{{"t":1,"pins":{{"null":[{{}}]}}}}]}}}}"#
            ),
        ),
        ("sss", deep),
    ];
    for (pin, text) in cases {
        let stored = clevis::configuration(&bound(pin, &text), clevis::pins::ALL).unwrap();
        let told = stored.config.field().value().to_compact();
        // Headers are sorted; the members are the same.
        assert!(stored.is_complete() && *stored.config.field().value() == *config(&text).field().value(), "{told:?}");
    }
}

#[test]
fn only_what_a_header_loses_is_kept_beside_it() {
    for (pin, text) in [("tang", A), ("null", "{}")] {
        assert!(clevis::annotation(&bound(pin, text)).is_none(), "{text}");
    }
    let jwe = bound("sss", r#"{"t":1,"pins":{"null":[{}],"tang":[{"url":"http://a.test"}]}}"#);
    assert!(clevis::annotation(&jwe).unwrap().get("config").is_none());
    let jwe = bound("tang", &format!(r#"{{"url":"http://a.test","thp":"{THP}"}}"#));
    let names: Vec<&str> = clevis::annotation(&jwe).unwrap().iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["config"]);
    let outer: Vec<&str> = jwe.header().iter().map(|(name, _)| name).collect();
    assert_eq!(outer, ["alg", "clevis", "cotter", "enc", "epk", "kid"]);
    // Shares are the original's own.
    let jwe = bound("sss", &format!(r#"{{"pins":{{"tang":[{{"url":"http://a.test","thp":"{THP}"}}]}}}}"#));
    let header = Value::Object(jwe.header().clone());
    let inner = header.field("h").member("clevis").unwrap().member("sss").unwrap().member("jwe").unwrap();
    for share in inner.items().unwrap() {
        assert!(Jwe::parse_compact(share.text().unwrap().as_bytes()).unwrap().header().get("cotter").is_none());
    }
}

/// JWEs that the original made, see `vectors/make`.
#[test]
fn the_originals_jwes_tell_their_whole_configuration() {
    let vector = |text: &str| Jwe::parse_compact(text.as_bytes()).unwrap();
    let check = |jwe: &str, expected: &str| assert_eq!(told(&vector(jwe)), (expected.to_owned(), Vec::new()));
    check(include_str!("../../vectors/tang_p521.jwe"), A);
    check(include_str!("../../vectors/null.jwe"), "{}");
    check(include_str!("../../vectors/null_fail.jwe"), r#"{"fail":true}"#);
    let (two_of_three, lost) = told(&vector(include_str!("../../vectors/sss_2_of_3.jwe")));
    assert!(lost.is_empty() && two_of_three.starts_with(r#"{"t":2,"pins":{"#), "{two_of_three} {lost:?}");
    // `clevis luks list` drops both nested thresholds but the last, and `null`.
    let (nested, lost) = told(&vector(include_str!("../../vectors/sss_nested.jwe")));
    assert!(lost.is_empty() && nested.contains(r#""sss":[{"t":"#), "{nested} {lost:?}");
}

#[test]
fn a_share_of_an_unknown_pin_is_named() {
    let strange = forged(r#"{"clevis":{"pin":"tpm9","tpm9":{}}}"#).to_compact().unwrap();
    let p = jose::b64::encode(&[0xff; 32]);
    let inner = |shares: Vec<String>| {
        let sss = Object::new().with("jwe", shares).with("p", p.as_str()).with("t", 1_u64);
        let clevis = Object::new().with("pin", "sss").with("sss", sss);
        forged(Value::Object(Object::new().with("clevis", clevis)).to_compact().as_str())
    };
    let null = bound("null", "{}").to_compact().unwrap();
    let nested = inner(vec![strange.clone(), null.clone()]).to_compact().unwrap();
    let jwe = inner(vec![null, strange, "rubbish".into(), nested]);
    let (text, lost) = told(&jwe);
    assert_eq!(text, r#"{"t":1,"pins":{"null":[{}],"sss":[{"t":1,"pins":{"null":[{}]}}]}}"#);
    assert_eq!(lost.len(), 3, "{lost:?}");
    assert!(lost[0].starts_with("share 2 (tpm9)") && lost[1].starts_with("share 3: "), "{lost:?}");
    assert!(lost[2].starts_with("share 4, share 1 (tpm9)"), "{lost:?}");
}

#[test]
fn a_kept_configuration_of_another_policy_is_not_believed() {
    let jwe = bound("tang", A);
    let Opened { key, .. } = clevis::open(&jwe, &World::with_two_servers().ports()).unwrap();
    for kept in [
        format!(r#"{{"config":{{"url":"http://b.test","thp":"{THP}"}}}}"#),
        r#"{"config":{"url":"http://a.test","colour":"red"}}"#.into(),
        r#"{"config":7}"#.into(),
    ] {
        let jwe = clevis::annotate(&jwe, &object(&kept), &key, &SystemRandom).unwrap();
        let stored = clevis::configuration(&jwe, clevis::pins::ALL).unwrap();
        assert!(matches!(stored.lost[..], [Lost::Kept]) && !stored.is_complete());
        assert_eq!(stored.config.field().value().to_compact().as_str(), A);
    }
}

#[test]
fn an_annotation_is_added_to_what_is_there_and_the_policy_stays() {
    let world = World::with_two_servers();
    let threshold = format!(r#"{{"t":1,"pins":{{"tang":[{A},{B}]}}}}"#);
    for (pin, text) in [("tang", A), ("null", "{}"), ("sss", &threshold)] {
        let jwe = clevis::encrypt(pin, &config(text), &secret(), &world.ports()).unwrap();
        let Opened { key, secret, .. } = clevis::open(&jwe, &world.ports()).unwrap();
        assert!(secret.ct_eq(b"the secret"));
        let first = clevis::annotate(&jwe, &object(r#"{"a":1,"b":2}"#), &key, &SystemRandom).unwrap();
        let second = clevis::annotate(&first, &object(r#"{"b":3}"#), &key, &SystemRandom).unwrap();
        assert_eq!(open(&world, &second).unwrap(), "the secret");
        let mut said = clevis::annotation(&second).unwrap().clone();
        // Each value replaces the one before it; what a threshold keeps there stays.
        let kept = clevis::annotation(&jwe).and_then(|kept| kept.get("check"));
        assert!(said.remove("check").as_ref() == kept && kept.is_some() == (pin == "sss"));
        assert!(said == object(r#"{"a":1,"b":3}"#));
        let bare = |jwe: &Jwe| {
            let mut header = jwe.header().clone();
            header.remove("cotter");
            header
        };
        assert!(bare(&second) == bare(&jwe), "{pin}: the policy is the same");
    }
}

#[test]
fn a_jwe_is_the_wanted_policy_or_another() {
    let meets = |pin: &str, text: &str, jwe: &Jwe| clevis::meets(pin, &config(text), jwe, clevis::pins::ALL).unwrap();
    let tang = bound("tang", A);
    assert!(meets("tang", A, &tang) && !meets("tang", B, &tang) && !meets("null", "{}", &tang));
    assert!(!meets("tang", r#"{"url":"https://a.test","cacert":"/ca"}"#, &tang));
    // A binding of the original's, which keeps no `thp`, is judged by the keys that it has.
    assert!(meets("tang", &format!(r#"{{"url":"http://a.test","thp":"{THP}"}}"#), &tang));
    assert!(!meets("tang", r#"{"url":"http://a.test","thp":"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"}"#, &tang));
    assert!(meets("tang", &format!(r#"{{"url":"http://a.test","adv":{}}}"#, adv()), &tang));
    let other = bound("tang", B);
    assert!(!meets("tang", &format!(r#"{{"url":"http://b.test","adv":{}}}"#, adv()), &other));
    assert!(meets("null", "{}", &bound("null", "{}")) && !meets("null", r#"{"fail":true}"#, &bound("null", "{}")));

    let both = bound("sss", &format!(r#"{{"t":2,"pins":{{"tang":[{A},{B}],"null":[{{}}]}}}}"#));
    assert!(meets("sss", &format!(r#"{{"t":2,"pins":{{"null":{{}},"tang":[{B},{A}]}}}}"#), &both), "in any order");
    assert!(!meets("sss", &format!(r#"{{"t":1,"pins":{{"tang":[{A},{B}],"null":{{}}}}}}"#), &both));
    assert!(!meets("sss", &format!(r#"{{"t":2,"pins":{{"tang":[{A},{A}],"null":{{}}}}}}"#), &both));
    assert!(!meets("sss", &format!(r#"{{"t":2,"pins":{{"tang":[{A},{B}]}}}}"#), &both));
    assert!(!meets("tang", A, &both));
    assert!(clevis::meets("sss", &config(A), &both, clevis::pins::ALL).is_err());
    assert!(clevis::meets("no", &config(A), &both, clevis::pins::ALL).is_err());
}
