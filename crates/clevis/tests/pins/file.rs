//! The pin `file`. The vector was made by what the original's script does.

use crate::scripted::World;
use crate::{config, forged, secret};
use clevis::{NextStep, PinError};
use jose::Jwe;
use std::io;

const VECTOR: &[u8] = include_bytes!("../../vectors/file/file.jwe");
const KEY: &[u8] = include_bytes!("../../vectors/file/key.jwk");
const PATH: &str = "/etc/keys/file.jwk";

fn with_key(content: &[u8]) -> World {
    let mut world = World::new();
    world.files.insert(PATH, content.to_vec());
    world
}

#[test]
fn the_originals_binding_opens_and_is_described() {
    let jwe = Jwe::parse_compact(VECTOR).unwrap();
    assert_eq!(clevis::decrypt(&jwe, &with_key(KEY).ports()).unwrap().expose(), b"file");
    let shown = clevis::describe(&jwe, clevis::pins::ALL).unwrap().shown;
    assert_eq!(shown.config.to_compact().as_str(), r#"{"name":"/etc/keys/file.jwk"}"#);
    let meets = |text| clevis::meets("file", &config(text), &jwe, clevis::pins::ALL).unwrap();
    assert!(meets(r#"{"name":"/etc/keys/file.jwk"}"#) && !meets(r#"{"name":"/etc/keys/other"}"#));
}

/// A JWK and a newline, 112 bytes, as the original's; nothing is written over.
#[test]
fn a_new_file_gets_the_key() {
    let (world, config) = (World::new(), config(r#"{"name":"k"}"#));
    let jwe = clevis::encrypt("file", &config, &secret(), &world.ports()).unwrap();
    let text = world.made.lock().unwrap().get("k").cloned().unwrap();
    assert_eq!((text.len(), text.last()), (KEY.len(), Some(&b'\n')));
    assert!(text.starts_with(br#"{"alg":"A256GCM","k":""#));
    assert_eq!(clevis::decrypt(&jwe, &world.ports()).unwrap().expose(), secret().expose());
    let error = clevis::encrypt("file", &config, &secret(), &world.ports()).unwrap_err();
    assert!(matches!(&error, PinError::KeyFile { source, .. } if source.kind() == io::ErrorKind::AlreadyExists));
    assert!(world.made.lock().unwrap().get("k") == Some(&text));
    for bad in ["{}", r#"{"name":""}"#, r#"{"name":7}"#, r#"{"name":"k","mode":1}"#] {
        let error = clevis::encrypt("file", &crate::config(bad), &secret(), &world.ports()).unwrap_err();
        assert!(matches!(error, PinError::Config(_)), "{bad}");
    }
}

/// What a header makes us read is never told.
#[test]
fn nothing_of_a_file_is_said() {
    let jwe = Jwe::parse_compact(VECTOR).unwrap();
    for content in [&b"root:secret:1"[..], br#"{"kty":"secret"}"#, br#"{"kty":"oct","k":"secret!"}"#, b"", b"[\"secret"]
    {
        let error = clevis::decrypt(&jwe, &with_key(content).ports()).unwrap_err();
        let told = format!("{error} {error:?} {} {:?}", error.hint(), std::error::Error::source(&error));
        assert!(matches!(error, PinError::KeyFile { .. }) && !told.contains("secret"), "{told}");
        assert_eq!(error.next_step(), NextStep::TryAnother);
    }
    let other = KEY.to_ascii_lowercase();
    assert!(clevis::decrypt(&jwe, &with_key(&other).ports()).is_err(), "another key");
    let absent = clevis::decrypt(&jwe, &World::new().ports()).unwrap_err();
    assert_eq!(absent.next_step(), NextStep::RetryLater);
    for header in [r#"{"clevis":{"pin":"file"}}"#, r#"{"clevis":{"pin":"file","file":{"name":7}}}"#] {
        let error = clevis::decrypt(&forged(header), &World::new().ports()).unwrap_err();
        assert!(matches!(error, PinError::BadBinding { pin: "file", .. }), "{header}");
    }
}
