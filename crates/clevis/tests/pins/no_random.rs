//! The generator fails, at every draw in turn: no pin goes on without it, and each says so.

use crate::scripted::{Draws, Host, World, keys};
use crate::{config, open, secret, story};
use clevis::{NextStep, PinError};

/// More draws than any of these needs.
const ENOUGH: usize = 200;

/// What encryption ends with when only so many draws succeed, from none up to as many as it needs.
fn failures(pin: &str, text: &str) -> Vec<PinError> {
    let attempt = |draws| {
        let world = World { random: Draws::only(draws), ..World::with_two_servers() };
        clevis::encrypt(pin, &config(text), &secret(), &world.ports())
    };
    assert!(attempt(ENOUGH).is_ok());
    (0..ENOUGH).map_while(|draws| attempt(draws).err()).collect()
}

#[test]
fn nothing_is_encrypted_without_random_numbers() {
    for (pin, text) in [("null", "{}"), ("tang", r#"{"url":"http://a.test"}"#)] {
        let failures = failures(pin, text);
        assert!(matches!(failures.last(), Some(PinError::Seal { pin: named, .. }) if *named == pin), "{failures:?}");
        for error in failures {
            assert!(matches!(error, PinError::Seal { .. } | PinError::Random(_)), "{error:?}");
            assert_eq!(error.next_step(), NextStep::Stop);
            assert!(story(&error).contains("random"), "{}", story(&error));
        }
    }
}

#[test]
fn no_threshold_is_dealt_without_random_numbers() {
    let failures = failures("sss", r#"{"t":1,"pins":{"null":[{},{}]}}"#);
    let first = failures.first().unwrap();
    assert!(matches!(first, PinError::Random(_)) && story(first).starts_with("no random numbers"), "{first:?}");
    assert_eq!(first.next_step(), NextStep::Stop);
    let of_a_share = |error: &PinError| match error {
        PinError::Share { source, .. } => matches!(**source, PinError::Seal { pin: "null", .. }),
        _ => false,
    };
    assert!(failures.iter().any(of_a_share), "{failures:?}");
    assert!(failures.iter().any(|error| matches!(error, PinError::Seal { pin: "sss", .. })), "{failures:?}");
}

#[test]
fn no_recovery_is_asked_for_without_a_blind() {
    let text = config(r#"{"url":"http://a.test"}"#);
    let jwe = clevis::encrypt("tang", &text, &secret(), &World::with_two_servers().ports()).unwrap();
    let world = World { random: Draws::only(0), ..World::new().with("a.test", Host::Keys(keys("keys"))) };
    let error = open(&world, &jwe).unwrap_err();
    assert!(matches!(error, PinError::Random(_)), "{error:?}");
    assert_eq!(world.asked(), Vec::<String>::new());
}
