//! The pin `sss` over children that lie, are slow, or dead.

use crate::scripted::{Host, World};
use crate::{config, secret};
use clevis::{
    Config, Deadline, Lost, Opened, Pin, PinError, Ports, Shown, WrongShare,
    pins::{Null, Sss, Tang},
};
use crypto::{Secret, SystemRandom};
use jose::Jwe;
use json::{Field, Object, Value};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A pin whose bindings with `{"lie":true}` give another share back than they were given, once lies are told.
#[derive(Default)]
struct Told {
    lies: AtomicBool,
}

const KEY: [u8; 32] = [0; 32];

impl Pin for Told {
    fn name(&self) -> &'static str {
        "told"
    }

    fn check(&self, _: &Config, _: &[&dyn Pin]) -> Result<(), PinError> {
        Ok(())
    }

    fn encrypt(&self, config: &Config, secret: &Secret, beside: &Object, _: &Ports<'_>) -> Result<Jwe, PinError> {
        let inner = Object::new().with("pin", "told").with("told", config.field().value().clone());
        let header = beside.clone().with("clevis", inner);
        Ok(Jwe::encrypt_dir(&header, &Secret::copied_from(&KEY), secret, &SystemRandom).unwrap())
    }

    fn open(&self, jwe: &Jwe, _: &Ports<'_>) -> Result<Opened, PinError> {
        let header = Value::Object(jwe.header().clone());
        let lie = header.field("h").member("clevis").unwrap().member("told").unwrap().optional("lie").unwrap();
        let secret = jwe.decrypt(&Secret::copied_from(&KEY)).unwrap();
        let lies = lie.is_some() && self.lies.load(Ordering::SeqCst);
        let said = if lies { secret.rewritten(|bytes| bytes[40] ^= 0x10) } else { secret };
        Ok(Opened::new(said, Secret::copied_from(&KEY)))
    }

    fn describe(&self, _: &Field<'_>, _: &[&dyn Pin]) -> Result<Shown, PinError> {
        Err(PinError::ToldToFail)
    }

    fn stored(&self, _: &Field<'_>, _: &[&dyn Pin], _: &mut Vec<Lost>) -> Result<Value, PinError> {
        Err(PinError::ToldToFail)
    }

    fn meets(&self, _: &Config, _: &Field<'_>, _: &[&dyn Pin]) -> Result<bool, PinError> {
        Err(PinError::ToldToFail)
    }
}

/// A threshold of ours, and the same as the original would have made it: without check values.
fn bound(world: &World, text: &str, told: &Told) -> [Jwe; 2] {
    let pins: [&dyn Pin; 4] = [&Tang, &Sss, &Null, told];
    let ports = Ports { pins: &pins, ..world.ports() };
    let ours = clevis::encrypt("sss", &config(text), &secret(), &ports).unwrap();
    let key = clevis::open(&ours, &ports).unwrap().key;
    let mut header = jwe_header(&ours);
    header.remove("cotter").unwrap();
    let theirs = Jwe::encrypt_dir(&header, &key, &secret(), &SystemRandom).unwrap();
    [ours, theirs]
}

fn jwe_header(jwe: &Jwe) -> Object {
    let mut header = jwe.header().clone();
    header.remove("alg");
    header.remove("enc");
    header
}

fn open(world: &World, jwe: &Jwe, told: &Told, until: Deadline) -> Result<Vec<WrongShare>, PinError> {
    told.lies.store(true, Ordering::SeqCst);
    let pins: [&dyn Pin; 4] = [&Tang, &Sss, &Null, told];
    let opened = clevis::open(jwe, &Ports { pins: &pins, until, ..world.ports() })?;
    assert!(opened.secret.ct_eq(secret().expose()));
    Ok(opened.wrong)
}

const A: &str = r#"{"url":"http://a.test"}"#;
const B: &str = r#"{"url":"http://b.test"}"#;

/// Far shorter than a silent server stays silent.
const SOON: Duration = Duration::from_secs(10);

#[test]
fn a_secret_comes_back_in_spite_of_the_liars() {
    for (text, liars) in [
        (r#"{"t":3,"pins":{"told":[{"lie":true},{},{},{"lie":true},{}]}}"#, &["share 1 (told)", "share 4 (told)"][..]),
        (r#"{"t":1,"pins":{"told":[{"lie":true},{}]}}"#, &["share 1 (told)"]),
        (
            r#"{"t":2,"pins":{"null":{},"sss":{"t":2,"pins":{"told":[{"lie":true},{},{}]}}}}"#,
            &["share 2 (sss), share 1 (told)"],
        ),
    ] {
        let (world, told) = (World::new(), Told::default());
        for jwe in bound(&world, text, &told) {
            // Who has not answered before the others suffice is not judged.
            for wrong in open(&world, &jwe, &told, Deadline::NEVER).unwrap() {
                assert!(liars.contains(&wrong.place.as_str()), "{wrong}");
            }
            told.lies.store(false, Ordering::SeqCst);
        }
    }
}

#[test]
fn a_liar_a_slow_and_a_dead_one_do_not_stop_the_two_that_are_well() {
    let (world, told) = (World::with_two_servers(), Told::default());
    let text = format!(r#"{{"t":2,"pins":{{"tang":[{A},{B}],"told":[{{"lie":true}},{{}}],"null":{{}}}}}}"#);
    let jwes = bound(&world, &text, &told);
    let world = World::new().with("a.test", Host::Silent).with("b.test", Host::Down);
    for jwe in jwes {
        let start = Instant::now();
        open(&world, &jwe, &told, Deadline::NEVER).unwrap();
        assert!(start.elapsed() < SOON);
    }
}

/// The one that is silent could still make a set that opens: it is waited for, until the deadline.
#[test]
fn the_slow_one_is_waited_for_while_it_may_help_and_no_longer() {
    let (world, told) = (World::with_two_servers(), Told::default());
    let text = format!(r#"{{"t":2,"pins":{{"tang":{A},"told":{{"lie":true}},"null":{{}}}}}}"#);
    let [ours, theirs] = bound(&world, &text, &told);
    let world = World::new().with("a.test", Host::Silent);
    let now = Deadline::at(Instant::now());
    let error = open(&world, &ours, &told, now).unwrap_err();
    assert!(error.to_string().contains("share 2 (told): the JWE is not one that the pin sss made: the share is not"));
    assert!(error.to_string().contains("share 1 (tang): Error communicating"), "{error}");
    let error = open(&world, &theirs, &told, now).unwrap_err();
    assert!(
        matches!(&error, PinError::NoSubset { answered, failures, .. } if answered.len() == 2 && failures.len() == 1)
    );
    for words in ["share 2 (told)", "share 3 (null)", "no answer within"] {
        assert!(error.to_string().contains(words), "{words}: {error}");
    }
}

#[test]
fn our_header_has_a_check_value_for_each_share_where_the_original_does_not_look() {
    let (world, told) = (World::new(), Told::default());
    let [ours, _] = bound(&world, r#"{"t":1,"pins":{"null":[{},{},{"fail":true}]}}"#, &told);
    let header = Value::Object(ours.header().clone());
    let checks = header.field("h").member("cotter").unwrap().member("check").unwrap();
    assert_eq!(checks.items().unwrap().len(), 3);
    for list in ["[]", "[7,7,7]", r#"["AA","AA","AA"]"#, "{}"] {
        let text = header.to_compact().replace(&checks.value().to_compact().to_string(), list);
        let error = clevis::decrypt(&crate::forged(&text), &world.ports()).unwrap_err();
        assert!(matches!(error, PinError::BadBinding { pin: "sss", .. }), "{list}: {error:?}");
    }
}

/// What is said beside the policy stays, and a later annotation leaves the check values where they are.
#[test]
fn check_values_and_annotations_stand_together() {
    let (world, said) = (World::new(), Object::new().with("note", "n"));
    let jwe =
        clevis::encrypt_with("sss", &config(r#"{"pins":{"null":{}}}"#), &secret(), &said, &world.ports()).unwrap();
    let key = clevis::open(&jwe, &world.ports()).unwrap().key;
    let jwe = clevis::annotate(&jwe, &Object::new().with("more", "m"), &key, &SystemRandom).unwrap();
    let names: Vec<&str> = clevis::annotation(&jwe).unwrap().iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["check", "more", "note"]);
    assert!(clevis::decrypt(&jwe, &world.ports()).is_ok());
}
