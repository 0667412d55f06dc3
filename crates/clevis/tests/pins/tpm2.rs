//! The pin `tpm2` without a TPM: what headers and configurations say, and what is made of a TPM's refusals. What a TPM does with them is
//! tested with one (`tests/compliance/tests/tpm2.rs`).

use crate::scripted::World;
use crate::{config, forged, secret};
use ::tpm2::{Conversation, Patience, Transport, TransportError};
use clevis::{NextStep, PinError, Ports};
use jose::Jwe;
use json::{Object, Value};
use std::sync::Mutex;
use std::time::Duration;

const PLAIN: &str = include_str!("../../vectors/tpm2/plain.jwe");
const RSA: &str = include_str!("../../vectors/tpm2/rsa.jwe");
pub(crate) const PCRS: &str = include_str!("../../vectors/tpm2/pcrs.jwe");
const DIGEST: &str = include_str!("../../vectors/tpm2/digest.jwe");
const OTHER_HASH: &str = include_str!("../../vectors/tpm2/other_hash.jwe");
const THRESHOLD: &str = include_str!("../../vectors/tpm2/threshold.jwe");

fn vector(text: &str) -> Jwe {
    Jwe::parse_compact(text.trim_end().as_bytes()).unwrap()
}

/// What `clevis luks list` prints of them.
#[test]
fn the_originals_bindings_are_described_in_its_words() {
    let check = |jwe: &str, expected: &str| {
        let description = clevis::describe(&vector(jwe), clevis::pins::ALL).unwrap();
        assert_eq!(description.shown.config.to_compact().as_str(), expected);
        let stored = clevis::configuration(&vector(jwe), clevis::pins::ALL).unwrap();
        assert!(stored.is_complete());
        assert_eq!(stored.config.field().value().to_compact().as_str(), expected);
    };
    check(PLAIN, r#"{"hash":"sha256","key":"ecc"}"#);
    check(RSA, r#"{"hash":"sha384","key":"rsa"}"#);
    check(PCRS, r#"{"hash":"sha256","key":"ecc","pcr_bank":"sha256","pcr_ids":"4,16"}"#);
    check(OTHER_HASH, r#"{"hash":"sha1","key":"ecc","pcr_bank":"sha256","pcr_ids":"7"}"#);
}

#[test]
fn a_threshold_tells_of_its_tpm_pins() {
    let stored = clevis::configuration(&vector(THRESHOLD), clevis::pins::ALL).unwrap();
    let tpm2 =
        r#""tpm2":[{"hash":"sha256","key":"ecc"},{"hash":"sha256","key":"ecc","pcr_bank":"sha256","pcr_ids":"7"}]"#;
    let text = stored.config.field().value().to_compact();
    assert!(stored.is_complete() && text.contains(tpm2), "{text:?}");
}

#[test]
fn a_binding_meets_what_makes_it_and_nothing_else() {
    let zeros = jose::b64::encode(&[0; 32]);
    let ones = jose::b64::encode(&[0xff; 32]);
    let digest = |values: &str| format!(r#"{{"pcr_bank":"sha256","pcr_ids":"16","pcr_digest":"{values}"}}"#);
    let check = |jwe: &str, text: &str, expected: bool| {
        let met = clevis::meets("tpm2", &config(text), &vector(jwe), clevis::pins::ALL).unwrap();
        assert_eq!(met, expected, "{text}");
    };
    check(PLAIN, "{}", true);
    check(PLAIN, r#"{"hash":"sha256","key":"ecc256"}"#, true);
    check(PLAIN, r#"{"hash":"sha1"}"#, false);
    check(PLAIN, r#"{"key":"rsa"}"#, false);
    check(PLAIN, r#"{"pcr_ids":"7"}"#, false);
    check(PCRS, "{}", false);
    check(PCRS, r#"{"pcr_ids":[16,"4"]}"#, true);
    check(PCRS, r#"{"pcr_bank":"sha256","pcr_ids":"16, 4"}"#, true);
    check(PCRS, r#"{"pcr_bank":"sha1","pcr_ids":"4,16"}"#, false);
    check(PCRS, r#"{"pcr_ids":"4"}"#, false);
    check(DIGEST, &digest(&zeros), true);
    check(DIGEST, &digest(&ones), false);
    check(DIGEST, r#"{"pcr_ids":16}"#, true);
}

/// The values that a binding was made for are in no header: they are kept beside it, so that binding anew uses them again.
#[test]
fn given_values_are_kept() {
    let values = jose::b64::encode(&[0; 32]);
    let text = format!(r#"{{"pcr_bank":"sha256","pcr_ids":"16","pcr_digest":"{values}"}}"#);
    let kept = clevis::remembered("tpm2", &config(&text), clevis::pins::ALL).unwrap();
    assert_eq!(kept.get("config"), Some(config(&text).field().value()));
    let kept = clevis::remembered("tpm2", &config(r#"{"pcr_ids":[4,16]}"#), clevis::pins::ALL).unwrap();
    assert!(kept.is_empty());
}

/// A header that no TPM could have made is told from a TPM that refuses, before one is asked.
#[test]
fn a_header_that_is_none_is_named() {
    let good = Value::Object(vector(PCRS).header().clone());
    let world = World::new();
    let check = |change: &dyn Fn(&mut Object), expected: &str| {
        let mut header = good.clone();
        let clevis = header.as_object_mut().unwrap().get_mut("clevis").unwrap();
        change(clevis.as_object_mut().unwrap().get_mut("tpm2").unwrap().as_object_mut().unwrap());
        let jwe = forged(header.to_compact().as_str());
        let error = clevis::decrypt(&jwe, &world.ports()).unwrap_err();
        let PinError::BadBinding { pin: "tpm2", source } = &error else { panic!("{expected}: {error}") };
        assert!(source.to_string().contains(expected), "{source} has no {expected}");
    };
    for name in ["hash", "key", "jwk_pub", "jwk_priv", "pcr_bank"] {
        check(&|tpm2| drop(tpm2.remove(name)), name);
        check(&|tpm2| tpm2.insert(name, 7_u64), name);
    }
    check(&|tpm2| tpm2.insert("hash", "md5"), "hash");
    check(&|tpm2| tpm2.insert("key", "symcipher"), "key");
    check(&|tpm2| tpm2.insert("pcr_ids", "4,24"), "pcr_ids");
    check(&|tpm2| tpm2.insert("pcr_bank", "sha7"), "pcr_bank");
    check(&|tpm2| tpm2.insert("jwk_pub", "*"), "jwk_pub is not base64url");
    // An object that opens by its value, whatever the PCRs hold.
    check(&|tpm2| tpm2.insert("jwk_pub", half(PLAIN, "jwk_pub")), "what the TPM sealed");
    // A policy without PCRs to meet it, and halves that are cut, too long, or no sealed data.
    check(&|tpm2| drop(tpm2.remove("pcr_ids")), "what the TPM sealed");
    for public in [&b""[..], &[0], &[0, 1], &[0, 0], &[0, 4, 0, 8, 0, 11], &[0xff; 80]] {
        check(&|tpm2| tpm2.insert("jwk_pub", jose::b64::encode(public)), "what the TPM sealed");
    }
    let key =
        [0, 26, 0, 0x23, 0, 0x0b, 0, 3, 0, 0x72, 0, 0, 0, 6, 0, 0x80, 0, 0x43, 0, 0x10, 0, 3, 0, 0x10, 0, 0, 0, 0];
    check(&|tpm2| tpm2.insert("jwk_pub", jose::b64::encode(&key)), "what the TPM sealed");
}

/// Half of what is sealed, as the header has it.
fn half(jwe: &str, name: &str) -> Value {
    let header = Value::Object(vector(jwe).header().clone());
    header.field("h").member("clevis").unwrap().member("tpm2").unwrap().member(name).unwrap().value().clone()
}

/// A binding by `tpm2plus` with what another one has sealed.
pub(crate) fn tpm2plus(sealed: &str) -> Jwe {
    let parameters = Object::new()
        .with("hash", "sha256")
        .with("key", "ecc")
        .with("policy_pubkey_path", "/k")
        .with("policy_path", "/p")
        .with("jwk_pub", half(sealed, "jwk_pub"))
        .with("jwk_priv", half(sealed, "jwk_priv"));
    let clevis = Object::new().with("pin", "tpm2plus").with("tpm2", parameters);
    forged(Value::Object(Object::new().with("clevis", clevis)).to_compact().as_str())
}

/// What opens by its value needs no signature.
#[test]
fn a_signed_policy_is_one_of_what_is_sealed() {
    let described = |sealed: &str| clevis::describe(&tpm2plus(sealed), clevis::pins::ALL);
    assert!(described(PCRS).is_ok());
    assert!(matches!(described(PLAIN).unwrap_err(), PinError::BadBinding { pin: "tpm2plus", .. }));
}

#[test]
fn without_a_tpm_there_is_a_word_for_it() {
    let world = World::new();
    let sealing = clevis::encrypt("tpm2", &config("{}"), &secret(), &world.ports()).unwrap_err();
    let opening = clevis::decrypt(&vector(PLAIN), &world.ports()).unwrap_err();
    for error in [sealing, opening] {
        assert!(matches!(error, PinError::NoTpm), "{error}");
        assert!(error.hint().contains("firmware") && error.weight() < 4);
    }
}

/// Says one thing to everything, and remembers how often it was asked.
struct Stubborn {
    answer: fn() -> Result<Vec<u8>, TransportError>,
    asked: Mutex<usize>,
}

impl Transport for Stubborn {
    fn begin<'a>(&'a self, _: &Patience<'_>) -> Result<Box<dyn Conversation + 'a>, TransportError> {
        Ok(Box::new(Talk(self)))
    }
}

struct Talk<'a>(&'a Stubborn);

impl Conversation for Talk<'_> {
    fn exchange(&mut self, _: &[u8], _: &Patience<'_>) -> Result<Vec<u8>, TransportError> {
        *self.0.asked.lock().unwrap() += 1;
        (self.0.answer)()
    }

    fn pause(&mut self, _: Duration, _: &Patience<'_>) -> Result<(), TransportError> {
        Ok(())
    }
}

fn refusal(code: u16) -> Result<Vec<u8>, TransportError> {
    let [high, low] = code.to_be_bytes();
    Ok(vec![0x80, 0x01, 0, 0, 0, 10, 0, 0, high, low])
}

/// What may change by itself is waited for; what a TPM has judged is not; each reason is named, and none of them is a panic.
#[test]
fn a_refusal_has_a_reason_and_a_next_step() {
    let world = World::new();
    let check = |answer: fn() -> Result<Vec<u8>, TransportError>, expected: &str, step: NextStep| {
        let tpm = Stubborn { answer, asked: Mutex::new(0) };
        let ports = Ports { tpm: Some(&tpm), ..world.ports() };
        let error = clevis::decrypt(&vector(PCRS), &ports).unwrap_err();
        assert!(error.to_string().contains(expected), "{error} has no {expected}");
        assert_eq!(error.next_step(), step, "{error}");
        assert!(!error.hint().is_empty() && *tpm.asked.lock().unwrap() > 0);
    };
    check(|| refusal(0x921), "locked out by its dictionary-attack protection", NextStep::TryAnother);
    check(|| refusal(0x9a2), "the TPM wants a password", NextStep::TryAnother);
    check(|| refusal(0x185), "the TPM's hierarchy is switched off", NextStep::TryAnother);
    check(|| refusal(0x100), "the TPM was not started", NextStep::TryAnother);
    check(|| refusal(0x101), "the TPM says that it is broken", NextStep::TryAnother);
    check(|| refusal(0x902), "the TPM has no room left", NextStep::RetryLater);
    check(|| refusal(0x922), "the TPM stayed busy", NextStep::RetryLater);
    check(|| Ok(Vec::new()), "TPM2_CreatePrimary is malformed", NextStep::TryAnother);
    check(|| Ok(vec![0xff; 4096]), "TPM2_CreatePrimary is malformed", NextStep::TryAnother);
    check(|| Err(TransportError::NoDevice), "there is no TPM 2.0 device", NextStep::RetryLater);
    check(|| Err(TransportError::TooLong), "longer than 4096 bytes", NextStep::RetryLater);
    let late = || Err(TransportError::TimedOut { after: Duration::from_secs(3) });
    check(late, "no answer within 3.0 s", NextStep::RetryLater);
    let tpm = Stubborn { answer: || Err(TransportError::Cancelled), asked: Mutex::new(0) };
    let error = clevis::decrypt(&vector(PCRS), &Ports { tpm: Some(&tpm), ..world.ports() }).unwrap_err();
    assert!(matches!(error, PinError::Cancelled), "{error}");
}
