//! Ours against the original, both ways: what the program `jose` writes we read, and what we write it reads.
//!
//! Everything goes through arguments and standard input; the program takes several JSON values from there, in the order of its
//! options. Keys in arguments are made for the test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // also in helpers of tests
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // the other half of a pairing is a program

use crypto::ec::{Curve, Point, Scalar};
use crypto::{Secret, SystemRandom};
use jose::{Jwe, Jwk, Jws, KeyOperation, Required, ThumbprintHash, b64, ecmr};
use json::{Limits, Object, Value};
use std::io::Write;
use std::process::{Command, Stdio};

/// Runs `jose` with these arguments and this standard input; its standard output, or nothing if it says no.
fn original(arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let pipes =
        Command::new("jose").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child = pipes.expect("the program `jose` is missing; this provides it: apt-get install jose");
    let written = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.code().is_some(), "jose {arguments:?} was killed");
    // It may end before it has read everything; then it has said no.
    (output.status.success() && written.is_ok()).then_some(output.stdout)
}

fn original_text(arguments: &[&str], input: &str) -> String {
    let output = original(arguments, input.as_bytes());
    String::from_utf8(output.unwrap_or_else(|| panic!("jose {arguments:?} refused {input}"))).unwrap()
}

fn read(text: &str) -> Value {
    json::parse(text.as_bytes(), &Limits::SMALL).unwrap()
}

fn compact(object: Object) -> String {
    Value::Object(object).to_compact().to_string()
}

fn key(text: &str) -> Jwk {
    Jwk::parse(text.as_bytes()).unwrap()
}

fn private(key: &Jwk) -> String {
    key.private_json().to_string()
}

/// A key of theirs.
fn generated(template: &str) -> String {
    original_text(&["jwk", "gen", "-i", template], "")
}

/// A private EC key of ours without `alg` and `key_ops`.
fn bare(curve: Curve) -> Jwk {
    let scalar = Scalar::random(curve, &SystemRandom).unwrap();
    let point = Jwk::from_point(&Point::base_times(&scalar).unwrap());
    let members = point.public_json().with("d", b64::encode(scalar.expose()));
    Jwk::from_field(&Value::Object(members).field("key")).unwrap()
}

const ALGORITHMS: [(Curve, &str); 3] = [(Curve::P256, "ES256"), (Curve::P384, "ES384"), (Curve::P521, "ES512")];

#[test]
fn their_keys_come_back_as_they_wrote_them() {
    for (curve, alg) in ALGORITHMS {
        let text = generated(&format!(r#"{{"alg":"{alg}"}}"#));
        assert_eq!(private(&key(&text)), text);
        let exchange = generated(&format!(r#"{{"alg":"ECMR","crv":"{}"}}"#, curve.jose_name()));
        assert_eq!(private(&key(&exchange)), exchange);
    }
    let content = generated(r#"{"alg":"A256GCM"}"#);
    assert_eq!(private(&key(&content)), content);
}

/// `jose jwk pub`. It also publishes members that it does not know; we do not.
#[test]
fn public_halves_are_the_same() {
    let with_operations = |text: &str| {
        let operations: Vec<&str> =
            KeyOperation::ALL.iter().map(|operation| operation.name()).chain(["other"]).collect();
        let whole = read(text).as_object().unwrap().clone();
        compact(whole.with("key_ops", operations).with("use", "sig").with("kid", "k"))
    };
    let mut keys = vec![generated(r#"{"alg":"A256GCM"}"#), compact(bare(Curve::P256).private_members())];
    for (_, alg) in ALGORITHMS {
        keys.push(generated(&format!(r#"{{"alg":"{alg}"}}"#)));
    }
    keys.push(generated(r#"{"alg":"ECMR"}"#));
    for text in keys {
        assert_eq!(compact(key(&text).public_json()), original_text(&["jwk", "pub", "-i-"], &text));
    }
    let ec = with_operations(&generated(r#"{"alg":"ES512"}"#));
    assert_eq!(compact(key(&ec).public_json()), original_text(&["jwk", "pub", "-i-"], &ec));
}

#[test]
fn thumbprints_are_the_same() {
    let rsa = include_str!("../vectors/rfc7638_3_1.jwk").to_owned();
    let mut keys = vec![rsa, private(&Jwk::content_key(Secret::new(vec![7; 32])))];
    for curve in Curve::ALL {
        keys.push(private(&Jwk::exchange(curve, &SystemRandom).unwrap()));
        keys.push(generated(&format!(r#"{{"kty":"EC","crv":"{}"}}"#, curve.jose_name())));
    }
    for text in keys {
        for hash in ThumbprintHash::ALL {
            let theirs = original_text(&["jwk", "thp", "-i-", "-a", hash.name()], &text);
            assert_eq!(key(&text).thumbprint(hash).as_str(), theirs);
            let found = original(&["jwk", "thp", "-i-", "-a", hash.name(), "-f", &theirs], text.as_bytes());
            assert!(found.is_some());
        }
    }
}

/// `jose jwk use`, for every operation and every way to say what a key is for.
#[test]
fn permissions_are_the_same() {
    let base = Jwk::from_point(bare(Curve::P256).point().unwrap()).public_json();
    let uses = [None, Some("sig"), Some("enc"), Some("other")];
    let operations =
        [None, Some(vec![]), Some(vec!["sign"]), Some(vec!["verify", "deriveKey"]), Some(vec!["unwrapKey"])];
    for (usage, operations) in uses.iter().flat_map(|usage| operations.iter().map(move |names| (usage, names))) {
        let mut members = base.clone();
        usage.iter().for_each(|usage| members.insert("use", *usage));
        operations.iter().for_each(|names| members.insert("key_ops", names.clone()));
        let text = compact(members);
        for operation in KeyOperation::ALL {
            let ask = ["jwk", "use", "-i-", "-u", operation.name(), "-r"];
            let explicit = original(&ask, text.as_bytes()).is_some();
            let implied = original(&ask[..5], text.as_bytes()).is_some();
            assert_eq!(key(&text).permits(operation, Required::Explicit), explicit, "{operation:?} required of {text}");
            assert_eq!(key(&text).permits(operation, Required::Implied), implied, "{operation:?} of {text}");
        }
    }
}

#[test]
fn they_verify_what_we_sign() {
    let header = Object::new().with("cty", "jwk-set+json");
    for (curve, _) in ALGORITHMS {
        let (one, other) =
            (Jwk::signing(curve, &SystemRandom).unwrap(), Jwk::signing(Curve::P521, &SystemRandom).unwrap());
        let stranger = Jwk::signing(curve, &SystemRandom).unwrap();
        for signers in [&[&one][..], &[&one, &other]] {
            let jws = compact(Jws::sign(b"payload".to_vec(), &header, signers).unwrap().to_json());
            let verify = |key: &Jwk| {
                let input = format!("{jws}{}", compact(key.public_json()));
                original(&["jws", "ver", "-i-", "-k-", "-O-"], input.as_bytes())
            };
            for signer in signers {
                assert_eq!(verify(signer).as_deref(), Some(&b"payload"[..]), "{curve:?}");
            }
            assert!(verify(&stranger).is_none());
            let all: String = signers.iter().map(|key| compact(key.public_json())).collect();
            let every = ["jws", "ver", "-a", "-i-", "-k-", "-k-"];
            assert!(original(&every[..4 + signers.len()], format!("{jws}{all}").as_bytes()).is_some());
        }
    }
}

#[test]
fn we_verify_what_they_sign() {
    for (curve, alg) in ALGORITHMS {
        let one = generated(&format!(r#"{{"alg":"{alg}"}}"#));
        let other = generated(&format!(r#"{{"kty":"EC","crv":"{}"}}"#, curve.jose_name()));
        let stranger = Jwk::signing(curve, &SystemRandom).unwrap();
        let sign = |arguments: &[&str], keys: &str| original_text(arguments, &format!("{keys}payload"));
        let compact = sign(&["jws", "sig", "-c", "-k-", "-I-"], &one);
        let flattened = sign(&["jws", "sig", "-k-", "-I-"], &one);
        let general = sign(&["jws", "sig", "-k-", "-k-", "-I-"], &format!("{one}{other}"));
        for (jws, signers) in [
            (Jws::parse_compact(compact.as_bytes()).unwrap(), vec![&one]),
            (Jws::parse(flattened.as_bytes()).unwrap(), vec![&one]),
            (Jws::parse(general.as_bytes()).unwrap(), vec![&one, &other]),
        ] {
            assert_eq!(jws.payload(), b"payload");
            assert_eq!(jws.signatures().len(), signers.len());
            assert!(signers.iter().all(|text| jws.verified_by(&key(text))), "{alg}");
            assert!(!jws.verified_by(&stranger));
        }
    }
}

/// Their templates for headers of each signature, protected and not.
#[test]
fn headers_are_carried_both_ways() {
    let signer = generated(r#"{"alg":"ES256"}"#);
    let template = r#"{"header":{"kid":"k"},"protected":{"cty":"c"}}"#;
    let jws = original_text(&["jws", "sig", "-s", template, "-k-", "-I-"], &format!("{signer}payload"));
    let ours = Jws::parse(jws.as_bytes()).unwrap();
    assert_eq!(ours.signatures()[0].header().get("cty").and_then(Value::as_str), Some("c"));
    assert_eq!(compact(ours.to_json()), jws);
    assert!(
        original(&["jws", "ver", "-i-", "-k-"], format!("{}{signer}", compact(ours.to_json())).as_bytes()).is_some()
    );
}

/// Their JWE for `key` with this protected header, compact or flattened.
fn encrypted(header: &str, key: &str, form: &[&str]) -> String {
    let template = format!(r#"{{"protected":{header}}}"#);
    let arguments = [&["jwe", "enc", "-i", &template, "-k-", "-I-"], form].concat();
    original_text(&arguments, &format!("{key}plaintext"))
}

#[test]
fn we_decrypt_what_they_encrypt() {
    let content = generated(r#"{"alg":"A256GCM"}"#);
    let mut recipients = vec![(r#"{"alg":"dir","enc":"A256GCM"}"#.to_owned(), content)];
    for curve in Curve::ALL {
        let recipient = generated(&format!(r#"{{"kty":"EC","crv":"{}"}}"#, curve.jose_name()));
        recipients.push((r#"{"alg":"ECDH-ES","enc":"A256GCM"}"#.to_owned(), recipient.clone()));
        recipients.push((r#"{"alg":"ECDH-ES","apu":"QWxpY2U","apv":"Qm9i","enc":"A256GCM"}"#.to_owned(), recipient));
    }
    for (header, recipient) in recipients {
        let from_compact = Jwe::parse_compact(encrypted(&header, &recipient, &["-c"]).as_bytes()).unwrap();
        let from_flattened = Jwe::parse_flattened(encrypted(&header, &recipient, &[]).as_bytes()).unwrap();
        for jwe in [from_compact, from_flattened] {
            assert!(jwe.decrypt_with(&key(&recipient)).unwrap().ct_eq(b"plaintext"), "{header}");
        }
    }
}

/// What they do with a JWE of ours, in both forms: the plaintext, if they decrypt it.
fn decrypted(jwe: &Jwe, key: &Jwk) -> [Option<Vec<u8>>; 2] {
    let (text, flattened) = (jwe.to_compact().unwrap(), compact(jwe.to_flattened()));
    let from_compact = original(&["jwe", "dec", "-i", &text, "-k-"], private(key).as_bytes());
    let from_flattened = original(&["jwe", "dec", "-i-", "-k-"], format!("{flattened}{}", private(key)).as_bytes());
    [from_compact, from_flattened]
}

#[test]
fn they_decrypt_what_we_encrypt() {
    let plaintext = Secret::copied_from(b"plaintext");
    let expected = [(); 2].map(|()| Some(b"plaintext".to_vec()));
    let parties = Object::new().with("apu", "QWxpY2U").with("apv", "Qm9i");
    for header in [Object::new(), parties.with("clevis", Object::new().with("pin", "null"))] {
        let content = || Secret::new(vec![9; 32]);
        let jwe = Jwe::encrypt_dir(&header, &content(), &plaintext, &SystemRandom).unwrap();
        assert_eq!(decrypted(&jwe, &Jwk::content_key(content())), expected);
        assert_eq!(decrypted(&jwe, &Jwk::content_key(Secret::new(vec![8; 32]))).iter().flatten().count(), 0);
        for curve in Curve::ALL {
            let recipient = bare(curve);
            let jwe = Jwe::encrypt_to_point(&header, recipient.point().unwrap(), &plaintext, &SystemRandom).unwrap();
            assert_eq!(decrypted(&jwe, &recipient), expected, "{curve:?}");
            assert_eq!(decrypted(&jwe, &bare(curve)).iter().flatten().count(), 0, "{curve:?}");
            // They take a public key for the shared point itself; recovery through a Tang server ends like this.
            let shared = jwe.ephemeral().unwrap().multiply(recipient.private().unwrap()).unwrap();
            assert_eq!(decrypted(&jwe, &Jwk::from_point(&shared)), expected, "{curve:?}");
        }
    }
}

/// `jose jwk exc` of two keys: the local private, the remote private, neither.
#[test]
fn the_three_forms_of_ecmr_are_the_same() {
    for curve in Curve::ALL {
        let template = format!(r#"{{"alg":"ECMR","crv":"{}"}}"#, curve.jose_name());
        let (one, other) = (key(&generated(&template)), Jwk::exchange(curve, &SystemRandom).unwrap());
        let public = |key: &Jwk| Jwk::ecmr_public(key.point().unwrap());
        for (local, remote) in
            [(&one, &public(&other)), (&one, &other), (&public(&one), &other), (&public(&one), &public(&other))]
        {
            let theirs = original_text(&["jwk", "exc", "-l-", "-r-"], &(private(local) + &private(remote)));
            let ours = Jwk::from_point(&ecmr::exchange(local, remote).unwrap());
            assert_eq!(compact(ours.public_json()), theirs, "{curve:?}");
        }
    }
}

/// They refuse what has no exchange, as we do.
#[test]
fn exchanges_that_are_none_are_refused_by_both() {
    let ecmr = |curve| Jwk::ecmr_public(Jwk::exchange(curve, &SystemRandom).unwrap().point().unwrap());
    let (p256, p521) = (ecmr(Curve::P256), ecmr(Curve::P521));
    for (local, remote) in [(&p256, &p521), (&p256, &Jwk::signing(Curve::P256, &SystemRandom).unwrap())] {
        assert!(ecmr::exchange(local, remote).is_err());
        assert!(original(&["jwk", "exc", "-l-", "-r-"], (private(local) + &private(remote)).as_bytes()).is_none());
    }
}

/// Where the original is lenient and we are not: it takes a coordinate without its leading zero, and gives that text of the key
/// another thumbprint.
#[test]
fn their_short_coordinates_are_a_known_difference() {
    let whole = loop {
        let key = bare(Curve::P256);
        if key.point().unwrap().x().first() == Some(&0) {
            break key;
        }
    };
    let x = b64::encode(&whole.point().unwrap().x()[1..]);
    let short = compact(whole.public_json().with("x", x));
    let thumbprint = |text: &str| original_text(&["jwk", "thp", "-i-"], text);
    assert_ne!(thumbprint(&short), thumbprint(&compact(whole.public_json())));
    let jws = compact(Jws::sign(Vec::new(), &Object::new(), &[&whole]).unwrap().to_json());
    assert!(original(&["jws", "ver", "-i-", "-k-"], format!("{jws}{short}").as_bytes()).is_some());
    assert!(Jwk::parse(short.as_bytes()).is_err());
}
