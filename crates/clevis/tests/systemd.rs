//! What systemd's tokens say, whoever wrote them. That they open is tested with a TPM (`tests/compliance/tests/systemd.rs`).

#![allow(clippy::unwrap_used, clippy::panic)]

use clevis::systemd::Tpm2;
use clevis::verdict::{Form, Note, Pcrs, Policy, Surroundings, Tpm, Verdict};
use clevis::{BindingError, Unopened};
use json::{Limits, Object, Value};

/// As systemd 257 writes it, with all that there is.
const ALL: &str = include_str!("../../../tests/compliance/vectors/systemd_257/all.json");
const PCRS: &str = include_str!("../../../tests/compliance/vectors/systemd_257/pcrs.json");
/// As systemd 252 writes it.
const OLD: &str = include_str!("../vectors/systemd/252.json");

fn token(text: &str) -> Object {
    json::parse(text.as_bytes(), &Limits::POLICY).unwrap().as_object().unwrap().clone()
}

fn read(token: Object) -> Result<Result<Tpm2, Unopened>, BindingError> {
    Tpm2::read(&Value::from(token).field("token"))
}

fn good(text: &str) -> Tpm2 {
    read(token(text)).unwrap().unwrap()
}

#[test]
fn tokens_are_described_and_judged() {
    let check = |text: &str, expected: &str, form: Form, pcrs: &[u8], (signed, pin): (bool, bool)| {
        let found = good(text);
        assert_eq!(Value::from(found.configuration()).to_compact().as_str(), expected);
        let pcrs = Pcrs::of(pcrs).unwrap();
        assert_eq!(found.policy(), Policy::Tpm(Tpm { form, pcrs, signed, pin, ..Tpm::default() }));
    };
    let seven = r#"{"pcr_bank":"sha256","pcr_ids":"7"}"#;
    check(OLD, seven, Form::Systemd, &[7], (false, false));
    check(PCRS, seven, Form::SystemdStored, &[7], (false, false));
    let all = r#"{"pcr_bank":"sha256","pcr_ids":"7","signed":{"pcr_ids":"11"},"pin":true}"#;
    check(ALL, all, Form::SystemdStored, &[7, 11], (true, true));
    let told = |text: &str| Verdict::of(&good(text).policy(), &Surroundings::default()).notes;
    let unnamed = [Note::ParentAtFirstSight, Note::PowerCuts];
    assert!(unnamed.iter().all(|note| told(OLD).contains(note) && !told(PCRS).contains(note)));
}

/// A policy that is read in part is a weaker policy.
#[test]
fn what_is_not_known_is_not_passed_over() {
    let check = |name: &str, value: Value, expected: Unopened| {
        assert_eq!(read(token(ALL).with(name, value)).unwrap().unwrap_err(), expected, "{name}");
    };
    check("tpm2_pcrlock", true.into(), Unopened::Pcrlock);
    check("tpm2_pubkey_ref", "purpose".into(), Unopened::Later);
    check("tpm2-more", Value::Null, Unopened::Later);
    let blob = token(ALL).get("tpm2-blob").unwrap().clone();
    check("tpm2-blob", vec![blob.clone(), blob.clone()].into(), Unopened::Shards);
    assert!(read(token(ALL).with("tpm2-blob", vec![blob])).unwrap().is_ok(), "one part alone is the whole");
    assert!(read(token(ALL).with("keyslot-comment", "mine")).unwrap().is_ok(), "what is not of the TPM");
}

#[test]
fn what_makes_no_sense_is_named() {
    for (name, values) in [
        ("tpm2-blob", &[r#""""#, r#""AA==""#, r#""AAA=""#, r#""AP8AAA==""#, r#""*""#, "7", "[7]", "null"][..]),
        ("tpm2-pcrs", &["[24]", "[-1]", "7", r#"["7"]"#, "[18446744073709551615]"]),
        ("tpm2-pcr-bank", &[r#""md5""#, "7", r#""SHA256""#]),
        ("tpm2-pin", &["1", r#""true""#]),
        ("tpm2_pubkey", &[r#""""#, r#""QUJD""#, "7", r#""LS0tLS1CRUdJTiBQVUJMSUMgS0VZLS0tLS0=""#]),
        ("tpm2_pubkey_pcrs", &["[32]", "{}"]),
        ("tpm2_salt", &["7", r#""*""#]),
        ("tpm2_srk", &[r#""""#, r#""gQAAAQ==""#, r#""gQAAAf//AAs=""#, r#""gAAAAQAA""#, "7"]),
        ("tpm2_pcrlock", &["1"]),
    ] {
        for value in values {
            let value = json::parse(value.as_bytes(), &Limits::SMALL).unwrap();
            let text = value.to_compact().to_string();
            let error = read(token(ALL).with(name, value)).err().unwrap_or_else(|| panic!("{name} {text}"));
            let named = error.to_string().contains(name) || matches!(error, BindingError::Sealed(_));
            assert!(named, "{name} {text}: {error}");
        }
    }
    let long = "A".repeat(1 << 20);
    for name in ["tpm2-blob", "tpm2_pubkey", "tpm2_srk", "tpm2_salt"] {
        assert!(read(token(ALL).with(name, long.as_str())).is_err(), "{name}");
    }
    for name in ["tpm2-blob", "tpm2_pubkey"] {
        let mut without = token(ALL);
        without.remove(name);
        assert!(read(without).is_err(), "{name}");
    }
    assert!(read(token(OLD).with("tpm2-primary-alg", "symcipher")).is_err());
}

/// Whatever byte is another: an error or a token, and no end of the program.
#[test]
fn any_byte_may_be_another() {
    for name in ["tpm2-blob", "tpm2_srk", "tpm2_pubkey"] {
        let text = token(ALL).get(name).and_then(Value::as_str).unwrap().to_owned();
        for at in 0..text.len() {
            for other in ["A", "/", "="] {
                let changed = format!("{}{other}{}", &text[..at], &text[at + 1..]);
                let _ = read(token(ALL).with(name, changed));
            }
            let _ = read(token(ALL).with(name, &text[..at]));
        }
    }
}
