//! The pin `cotter-tpm2` without a TPM: what its headers say, also damaged ones. What a TPM does with them is tested with one
//! (`crates/linux/tests/tpm/pin_conditions.rs`).
//!
//! The vectors were made on swtpm by `cotter encrypt cotter-tpm2 CFG`: ALL with PCRs 4 and 7, another set of values, a latch, a PIN and a
//! counter; SIGNED with an RSA parent, PCR 7 of SHA-1, a key that approves, and a counter; PLAIN with `{}`.

use crate::scripted::World;
use crate::{config, forged};
use ::tpm2::PcrSelection;
use clevis::{Approval, Counter, PcrState, PinError, SignedPolicy};
use crypto::SystemRandom;
use crypto::ec::Curve;
use jose::{Jwe, Jwk};
use json::{Object, Value};

const NAME: &str = "cotter-tpm2";
const ALL: &str = include_str!("../../vectors/cotter_tpm2/all.jwe");
const SIGNED: &str = include_str!("../../vectors/cotter_tpm2/signed.jwe");
const PLAIN: &str = include_str!("../../vectors/cotter_tpm2/plain.jwe");

fn vector(text: &str) -> Jwe {
    Jwe::parse_compact(text.trim_end().as_bytes()).unwrap()
}

fn meets(jwe: &str, text: &str) -> bool {
    clevis::meets(NAME, &config(text), &vector(jwe), clevis::pins::ALL).unwrap()
}

#[test]
fn bindings_tell_their_configurations() {
    for (jwe, begins, ends) in [
        (ALL, r#"{"key":"ecc","pcr_bank":"sha256","pcr_ids":"4,7","latch":15,"pin":true,"counter":"0x0180c0"#, r#""}"#),
        (SIGNED, r#"{"key":"rsa","pcr_bank":"sha1","pcr_ids":"7","signed":{"key":{"crv":"P-256""#, r#""}"#),
        (PLAIN, r#"{"key":"ecc"}"#, "}"),
    ] {
        let stored = clevis::configuration(&vector(jwe), clevis::pins::ALL).unwrap();
        let text = stored.config.field().value().to_compact().to_string();
        assert!(text.starts_with(begins) && text.ends_with(ends), "{text}");
        // Which sets of values were asked for beside those of then is in no header.
        assert_eq!(stored.is_complete(), jwe != ALL);
        assert!(meets(jwe, &text), "{text}");
        assert!(!clevis::describe(&vector(jwe), clevis::pins::ALL).unwrap().shown.lossy);
    }
    let signed = clevis::signed(&vector(SIGNED), clevis::pins::ALL).unwrap();
    let [policy] = signed.as_slice() else { panic!("{signed:?}") };
    assert_eq!((policy.reference.as_str(), policy.selection.to_string().as_str()), ("boot", "sha1:7"));
    assert!(policy.counter.is_some() && clevis::signed(&vector(ALL), clevis::pins::ALL).unwrap().is_empty());
}

#[test]
fn a_binding_meets_what_makes_it_and_nothing_else() {
    let all = |change: &dyn Fn(&mut Object)| {
        let mut options = Object::new()
            .with("pcr_ids", "7,4")
            .with("latch", true)
            .with("pin", true)
            .with("counter", true)
            .with("accept", vec![Value::from(Object::new().with("4", "ab".repeat(32)).with("7", "ab".repeat(32)))]);
        change(&mut options);
        meets(ALL, &Value::Object(options).to_compact())
    };
    assert!(all(&|_| ()) && all(&|options| options.insert("pcr_ids", "15,7,4")));
    assert!(all(&|options| drop(options.remove("accept"))));
    for name in ["pcr_ids", "latch", "pin", "counter"] {
        let accepts = |options: &mut Object| {
            options.remove("accept");
            options.remove(name);
        };
        assert!(!all(&accepts), "without {name}");
    }
    assert!(!all(&|options| options.insert("latch", 14u64)));
    assert!(!all(&|options| options.insert("key", "rsa")));
    assert!(!all(&|options| options.insert("counter", "0x01800001")));
    let other = Value::from(Object::new().with("4", "00".repeat(32)).with("7", "ab".repeat(32)));
    assert!(!all(&|options| options.insert("accept", vec![other.clone()])));
    assert!(meets(PLAIN, "{}") && !meets(PLAIN, r#"{"pin":true}"#) && !meets(SIGNED, "{}"));
}

/// Of whatever differs, each alone makes it one of something else.
#[test]
fn an_approval_is_meant_for_one_policy() {
    let key = Jwk::signing(Curve::P256, &SystemRandom).unwrap();
    let [policy] = clevis::signed(&vector(SIGNED), clevis::pins::ALL).unwrap().try_into().unwrap();
    let policy = SignedPolicy { key: key.point().unwrap().clone(), ..policy };
    let sign = |by: &Jwk, reference: &str, pcr: u64, counter: Option<Counter>| {
        let selection = PcrSelection::new(policy.selection.bank(), [pcr]).unwrap();
        let values = PcrState::split(&selection, &[1; 20]).unwrap();
        policy.is_meant_by(&Approval::sign(by, reference, values, counter).unwrap())
    };
    let counter = policy.counter.clone();
    let later = counter.clone().map(|counter| Counter { value: counter.value + 1, ..counter });
    assert!(sign(&key, "boot", 7, counter.clone()) && sign(&key, "boot", 7, later));
    let stranger = Jwk::signing(Curve::P256, &SystemRandom).unwrap();
    assert!(!sign(&stranger, "boot", 7, counter.clone()) && !sign(&key, "other", 7, counter.clone()));
    let other = counter.clone().map(|counter| Counter { name: [&[0, 0x0b][..], &[0; 32]].concat(), ..counter });
    assert!(!sign(&key, "boot", 4, counter) && !sign(&key, "boot", 7, other) && !sign(&key, "boot", 7, None));
}

/// What makes a binding and is in no header: which sets of values were asked for.
#[test]
fn given_values_are_kept() {
    let text = format!(r#"{{"pcr_ids":"7","accept":[{{"7":"{}"}}]}}"#, "ab".repeat(32));
    let kept = clevis::remembered(NAME, &config(&text), clevis::pins::ALL).unwrap();
    assert_eq!(kept.get("config"), Some(config(&text).field().value()));
    assert!(clevis::remembered(NAME, &config(r#"{"latch":15}"#), clevis::pins::ALL).unwrap().is_empty());
}

/// With this changed in its header it is refused as damaged, and no TPM is asked.
fn check(jwe: &str, change: &dyn Fn(&mut Object)) {
    let mut header: Value = vector(jwe).header().clone().into();
    let clevis = header.as_object_mut().unwrap().get_mut("clevis").unwrap();
    change(clevis.as_object_mut().unwrap().get_mut(NAME).unwrap().as_object_mut().unwrap());
    let jwe = forged(header.to_compact().as_str());
    let opening = clevis::decrypt(&jwe, &World::new().ports()).unwrap_err();
    let telling = clevis::configuration(&jwe, clevis::pins::ALL).unwrap_err();
    for error in [opening, telling] {
        assert!(matches!(error, PinError::BadBinding { pin: NAME, .. }), "{error}");
    }
}

/// What asks for less than its header says is not believed: whoever was root once could leave a door that every list calls shut.
#[test]
fn what_is_sealed_asks_for_all_that_its_header_says() {
    check(PLAIN, &|binding| {
        binding.insert("pcr_bank", "sha256");
        binding.insert("pcr_ids", "4,7");
    });
    check(PLAIN, &|binding| {
        binding.insert("pcr_ids", "4,7");
        binding.insert("accepted", Vec::<Value>::new());
    });
    let changed = |jwe: &str, attribute: u8| {
        check(jwe, &|binding| {
            let sealed = binding.get_mut("sealed").unwrap().as_object_mut().unwrap();
            let mut public = jose::b64::decode(sealed.get("public").unwrap().as_str().unwrap()).unwrap();
            // `TPMA_OBJECT` is behind the length, the type and the hash.
            let (byte, bit) = (9 - usize::from(attribute / 8), attribute % 8);
            public[byte] ^= 1 << bit;
            sealed.insert("public", jose::b64::encode(&public));
        });
    };
    for jwe in [ALL, SIGNED, PLAIN] {
        changed(jwe, USER_WITH_AUTH);
        changed(jwe, NO_DA);
        changed(jwe, FIXED_TPM);
    }
}

/// Bits of `TPMA_OBJECT` (part 2, section 8.3).
const FIXED_TPM: u8 = 1;
const USER_WITH_AUTH: u8 = 6;
const NO_DA: u8 = 10;

/// What is sealed has one policy, and a header that speaks of another one is damaged.
#[test]
fn a_header_that_does_not_fit_what_is_sealed_is_named() {
    for jwe in [ALL, SIGNED] {
        let header: Value = vector(jwe).header().clone().into();
        let binding = header.field("h").member("clevis").unwrap().member(NAME).unwrap().object().unwrap().clone();
        for (name, _) in binding.iter() {
            // PCR 7 it is.
            if !(jwe == SIGNED && name == "pcr_ids") {
                check(jwe, &|binding| binding.insert(name, 7u64));
            }
            check(jwe, &|binding| binding.insert(name, "*"));
        }
        for name in ["parent", "sealed", "pcr_ids", "pin", "latch", "signed"] {
            if binding.get(name).is_some() {
                check(jwe, &|binding| drop(binding.remove(name)));
            }
        }
    }
    check(ALL, &|binding| binding.insert("latch", 14u64));
    check(ALL, &|binding| drop(binding.remove("counter")));
    check(ALL, &|binding| drop(binding.remove("accepted")));
    check(ALL, &|binding| binding.insert("pcr_ids", "4,8"));
    check(ALL, &|binding| {
        let sets = binding.get("accepted").cloned().unwrap();
        let Value::Array(sets) = sets else { panic!() };
        binding.insert("accepted", (0..9).map(|_| sets[0].clone()).collect::<Vec<Value>>());
    });
    check(SIGNED, &|binding| {
        let signed = binding.get_mut("signed").unwrap().as_object_mut().unwrap();
        signed.insert("reference", "other");
    });
}
