//! A policy made anew with today's keys: who vouches for them, and who is asked.

use crate::scripted::{Answer, Host, World};
use crate::{config, secret};
use ::tang::server::KeySet;
use clevis::{BoundServer, PinError, Renewal, Renewed, TrustPolicy, Wanted};
use crypto::ec::Curve;
use crypto::{Secret, SystemRandom};
use jose::{Jwe, Jwk, ThumbprintHash};

const A: &str = r#"{"url":"http://a.test"}"#;

/// A pair of keys.
struct Pair {
    signing: Jwk,
    exchange: Jwk,
}

impl Pair {
    fn new() -> Pair {
        let signing = Jwk::signing(Curve::P256, &SystemRandom).unwrap();
        Pair { signing, exchange: Jwk::exchange(Curve::P256, &SystemRandom).unwrap() }
    }

    fn thp(&self) -> String {
        self.signing.thumbprint(ThumbprintHash::S256).to_string()
    }
}

/// A server with `hidden` keys, which were rotated, and visible ones.
fn server(hidden: &[&Pair], visible: &Pair) -> Host {
    let file = |name: String, key: &Jwk| (name, Secret::copied_from(key.private_json().as_bytes()));
    let mut files = vec![file("s.jwk".into(), &visible.signing), file("e.jwk".into(), &visible.exchange)];
    for (index, pair) in hidden.iter().enumerate() {
        files.push(file(format!(".s{index}.jwk"), &pair.signing));
        files.push(file(format!(".e{index}.jwk"), &pair.exchange));
    }
    Host::Keys(KeySet::load(files).unwrap())
}

/// A person who must not be asked.
fn nobody(host: Host) -> World {
    World { trust: TrustPolicy::Ask, person: Answer::Nobody, ..World::new().with("a.test", host) }
}

fn bound(host: Host, pin: &str, text: &str) -> Jwe {
    clevis::encrypt(pin, &config(text), &secret(), &World::new().with("a.test", host).ports()).unwrap()
}

fn known(jwe: &Jwe) -> Vec<BoundServer> {
    clevis::servers(jwe, clevis::pins::ALL).unwrap()
}

fn renew(world: &World, text: &str, jwe: &Jwe, wanted: Wanted) -> Result<Renewed, PinError> {
    let pin = clevis::pin_name(jwe).unwrap();
    let known = known(jwe);
    clevis::renew(pin.as_str(), &config(text), &Renewal { known: &known, wanted }, &world.ports())
}

/// Encrypting by what was renewed asks nobody, and ties to this key.
fn is_bound_to(renewed: &Renewed, pin: &str, pair: &Pair) {
    let world = World { trust: TrustPolicy::Ask, person: Answer::Nobody, ..World::new() };
    let given = config(&renewed.given.to_compact());
    let jwe = clevis::encrypt(pin, &given, &secret(), &world.ports()).unwrap();
    let servers = known(&jwe);
    assert!(servers.iter().all(|server| server.signs_as(&pair.thp())));
    assert_eq!(world.asked(), Vec::<String>::new());
}

#[test]
fn a_rotated_server_is_trusted_without_a_question() {
    let (old, new) = (Pair::new(), Pair::new());
    let jwe = bound(server(&[], &old), "tang", A);
    let world = nobody(server(&[&old], &new));
    let renewed = renew(&world, A, &jwe, Wanted::Same).unwrap();
    is_bound_to(&renewed, "tang", &new);
    assert_eq!(renewed.kept.to_compact().as_str(), A);
    assert_eq!(world.asked(), [format!("GET http://a.test/adv/{}", old.thp()), "GET http://a.test/adv/".to_owned()]);
    assert!(world.questions.lock().unwrap().is_empty());
    // One that was not rotated is trusted in the same way.
    let renewed = renew(&nobody(server(&[], &old)), A, &jwe, Wanted::Same).unwrap();
    is_bound_to(&renewed, "tang", &old);
}

#[test]
fn an_impostor_is_asked_about_and_refused_where_nobody_is() {
    let (old, other) = (Pair::new(), Pair::new());
    let jwe = bound(server(&[], &old), "tang", A);
    let error = renew(&nobody(server(&[], &other)), A, &jwe, Wanted::Same).unwrap_err();
    assert!(matches!(&error, PinError::NotVouched { found, .. } if found == &[other.thp()]), "{error:?}");
    assert!(error.hint().contains("another server"), "{}", error.hint());
    // One that answers the question for the old key with its own advertisement is found out as well.
    let KeyedAdvertisement(body) = KeyedAdvertisement::of(&other);
    let error = renew(&nobody(Host::Says(200, body)), A, &jwe, Wanted::Same).unwrap_err();
    assert!(matches!(error, PinError::NotVouched { .. }), "{error:?}");

    let asked = |person| World { person, ..nobody(server(&[], &other)) };
    let world = asked(Answer::Yes);
    is_bound_to(&renew(&world, A, &jwe, Wanted::Same).unwrap(), "tang", &other);
    let questions = world.questions.lock().unwrap();
    assert!(questions.len() == 1 && questions[0].contains("no key that is known of it vouches"), "{questions:?}");
    assert!(matches!(renew(&asked(Answer::No), A, &jwe, Wanted::Same), Err(PinError::Declined { .. })));
    let forced = World { trust: TrustPolicy::Yes, ..asked(Answer::Nobody) };
    is_bound_to(&renew(&forced, A, &jwe, Wanted::Same).unwrap(), "tang", &other);
}

/// What a server answers to a request for its keys.
struct KeyedAdvertisement(Vec<u8>);

impl KeyedAdvertisement {
    fn of(pair: &Pair) -> KeyedAdvertisement {
        let Host::Keys(keys) = server(&[], pair) else { unreachable!() };
        let request = ::tang::server::ServerRequest { method: "GET", target: "/adv", body: &[] };
        KeyedAdvertisement(keys.answer(&request).body.as_ref().to_vec())
    }
}

/// Nothing that was on a disk vouches for anything: without known keys the question is that of a first binding.
#[test]
fn without_known_keys_a_person_is_asked() {
    let old = Pair::new();
    let renewal = Renewal { known: &[], wanted: Wanted::Same };
    let world = nobody(server(&[], &old));
    let error = clevis::renew("tang", &config(A), &renewal, &world.ports()).unwrap_err();
    assert!(matches!(error, PinError::CannotAsk { .. }), "{error:?}");
    assert_eq!(world.asked(), ["GET http://a.test/adv/"]);
}

#[test]
fn a_server_that_does_not_answer_is_no_impostor() {
    let jwe = bound(server(&[], &Pair::new()), "tang", A);
    assert!(matches!(renew(&nobody(Host::Down), A, &jwe, Wanted::Same), Err(PinError::Unreachable { .. })));
    let broken = nobody(Host::Says(500, Vec::new()));
    assert!(matches!(renew(&broken, A, &jwe, Wanted::Same), Err(PinError::Refused { status: 500, .. })));
}

#[test]
fn old_keys_that_the_configuration_names_are_replaced() {
    let (old, new) = (Pair::new(), Pair::new());
    let jwe = bound(server(&[], &old), "tang", A);
    let rotated = || nobody(server(&[&old], &new));
    let named = |thp: &str| format!(r#"{{"url":"http://a.test","thp":"{thp}"}}"#);
    let renewed = renew(&rotated(), &named(&old.thp()), &jwe, Wanted::Same).unwrap();
    assert_eq!(renewed.kept.to_compact().as_str(), named(&new.thp()));
    let sha1 = new.signing.thumbprint(ThumbprintHash::S1).to_string();
    let renewed = renew(&rotated(), &named(&sha1), &jwe, Wanted::Same).unwrap();
    assert_eq!(renewed.kept.to_compact().as_str(), named(&sha1), "one that is still right stays as it was");

    let adv = |pair: &Pair| String::from_utf8(KeyedAdvertisement::of(pair).0).unwrap();
    let given = format!(r#"{{"url":"http://a.test","adv":{}}}"#, adv(&old));
    let renewed = renew(&rotated(), &given, &jwe, Wanted::Same).unwrap();
    is_bound_to(&renewed, "tang", &new);
    // What is kept binds another disk to the same keys.
    let again = clevis::encrypt("tang", &config(&renewed.kept.to_compact()), &secret(), &nobody(Host::Down).ports());
    assert!(known(&again.unwrap())[0].signs_as(&new.thp()));
    let file = r#"{"url":"http://a.test","adv":"/adv.jws"}"#;
    let renewed = renew(&rotated(), file, &jwe, Wanted::Same).unwrap();
    is_bound_to(&renewed, "tang", &new);
    assert_eq!(renewed.kept.to_compact().as_str(), file);
}

/// Somebody who writes a new configuration means the keys in it.
#[test]
fn a_new_configuration_speaks_for_itself() {
    let (old, new, other) = (Pair::new(), Pair::new(), Pair::new());
    let jwe = bound(server(&[], &old), "tang", A);
    let world = nobody(server(&[&old], &new));
    for text in [
        format!(r#"{{"url":"http://a.test","thp":"{}"}}"#, other.thp()),
        format!(r#"{{"url":"http://a.test","thp":"{}"}}"#, old.thp()),
        r#"{"url":"http://a.test","adv":"/adv.jws"}"#.to_owned(),
    ] {
        let renewed = renew(&world, &text, &jwe, Wanted::New).unwrap();
        assert_eq!((renewed.given.to_compact().as_str(), renewed.kept.to_compact().as_str()), (&*text, &*text));
    }
    assert_eq!(world.asked(), Vec::<String>::new());
    // Where it names no key, the known keys speak.
    is_bound_to(&renew(&world, A, &jwe, Wanted::New).unwrap(), "tang", &new);
}

/// What an old key vouches for is not enough if everybody else is shown something else.
#[test]
fn what_is_vouched_for_must_be_what_is_shown() {
    let (old, new, other) = (Pair::new(), Pair::new(), Pair::new());
    let jwe = bound(server(&[], &old), "tang", A);
    let shows = |status, body| {
        let Host::Keys(keys) = server(&[&old], &new) else { unreachable!() };
        nobody(Host::Shows(keys, status, body))
    };
    let error = renew(&shows(200, KeyedAdvertisement::of(&other).0), A, &jwe, Wanted::Same).unwrap_err();
    assert!(matches!(&error, PinError::NotVouched { found, .. } if found == &[other.thp()]), "{error:?}");
    is_bound_to(&renew(&shows(200, KeyedAdvertisement::of(&new).0), A, &jwe, Wanted::Same).unwrap(), "tang", &new);
    assert!(matches!(
        renew(&shows(500, Vec::new()), A, &jwe, Wanted::Same),
        Err(PinError::Refused { status: 500, .. })
    ));
}

#[test]
fn thresholds_are_renewed_share_by_share_and_keep_their_form() {
    let (old, new) = (Pair::new(), Pair::new());
    let named = format!(r#"{{"url":"http://a.test","thp":"{}"}}"#, old.thp());
    let text = format!(r#"{{"pins":{{"null":{{}},"sss":{{"t":1,"pins":{{"tang":[{named}]}}}},"tang":{A}}},"t":2}}"#);
    let jwe = bound(server(&[], &old), "sss", &text);
    assert_eq!(known(&jwe).len(), 2);
    let world = nobody(server(&[&old], &new));
    let renewed = renew(&world, &text, &jwe, Wanted::Same).unwrap();
    assert_eq!(renewed.kept.to_compact().as_str(), text.replace(&old.thp(), &new.thp()));
    is_bound_to(&renewed, "sss", &new);
    let error = renew(&nobody(Host::Down), &text, &jwe, Wanted::Same).unwrap_err();
    assert!(matches!(&error, PinError::Share { place, .. } if place.ends_with("pins.sss")), "{error:?}");
}

#[test]
fn a_report_names_the_keys_that_are_not_advertised_any_more() {
    let (old, new) = (Pair::new(), Pair::new());
    let text = format!(
        r#"{{"t":1,"pins":{{"sss":{{"pins":{{"tang":{A}}}}},"tang":{{"url":"http://down.test","adv":{}}}}}}}"#,
        String::from_utf8(KeyedAdvertisement::of(&old).0).unwrap()
    );
    let jwe = bound(server(&[], &old), "sss", &text);
    let report = |host| {
        let world = nobody(host).with("down.test", Host::Down);
        clevis::report(&jwe, &world.ports()).unwrap()
    };
    let fresh = report(server(&[], &old));
    assert_eq!(fresh.len(), 2);
    assert!(matches!(&fresh[0].rotated, Ok(missing) if missing.is_empty()));
    assert!(matches!(&fresh[1].rotated, Err(PinError::Unreachable { .. })), "not reached is not rotated");
    let rotated = report(server(&[&old], &new));
    let missing: Vec<String> = rotated[0].rotated.as_ref().unwrap().iter().map(ToString::to_string).collect();
    let expected = [&old.exchange, &old.signing].map(|key| key.thumbprint(ThumbprintHash::S256).to_string());
    assert!(missing.len() == 2 && expected.iter().all(|thp| missing.contains(thp)), "{missing:?}");
    let rubbish = report(Host::Says(200, b"{}".to_vec()));
    assert!(matches!(&rubbish[0].rotated, Err(PinError::BadAdvertisement { .. })));
}
