//! JWEs that the original made (`vectors/make`): they open here, and are listed as the original lists them.

use crate::scripted::World;
use crate::{open, story};
use clevis::{NextStep, PinError, pins};
use jose::Jwe;

fn vector(name: &str) -> Jwe {
    Jwe::parse_compact(&std::fs::read(format!("{}/vectors/{name}.jwe", env!("CARGO_MANIFEST_DIR"))).unwrap()).unwrap()
}

fn listed(name: &str) -> (String, bool) {
    let description = clevis::describe(&vector(name), pins::ALL).unwrap();
    (format!("{} '{}'", description.pin, description.shown.config.to_compact().as_str()), description.shown.lossy)
}

#[test]
fn jwes_of_the_original_open() {
    let world = World::with_two_servers();
    for name in ["tang_p521", "tang_p256", "null", "sss_1_of_1", "sss_2_of_3", "sss_nested"] {
        match open(&world, &vector(name)) {
            Ok(secret) => assert_eq!(secret, name),
            Err(error) => panic!("{name}: {}", story(&error)),
        }
    }
    let error = open(&world, &vector("null_fail")).unwrap_err();
    assert!(matches!(error, PinError::ToldToFail), "{error:?}");
    assert_eq!(error.next_step(), NextStep::TryAnother);
}

#[test]
fn bindings_are_shown_as_the_original_lists_them() {
    let check = |name, line: &str, lossy| assert_eq!(listed(name), (line.to_owned(), lossy));
    check("tang_p521", r#"tang '{"url":"http://a.test"}'"#, false);
    check("null", r"null '{}'", false);
    check("null_fail", r"null '{}'", true);
    check("sss_1_of_1", r#"sss '{"t":1,"pins":{"tang":[{"url":"http://a.test"}]}}'"#, false);
    check("sss_2_of_3", r#"sss '{"t":2,"pins":{"tang":[{"url":"http://a.test"},{"url":"http://b.test"}]}}'"#, true);
    let last = r#""sss":{"t":1,"pins":{"tang":[{"url":"http://a.test"},{"url":"http://b.test"}]}}"#;
    check("sss_nested", &format!(r#"sss '{{"t":2,"pins":{{"tang":[{{"url":"http://b.test"}}],{last}}}}}'"#), true);
}

#[test]
fn any_changed_byte_is_noticed() {
    let world = World::with_two_servers();
    let text = std::fs::read(format!("{}/vectors/tang_p256.jwe", env!("CARGO_MANIFEST_DIR"))).unwrap();
    for at in (0..text.len()).step_by(7) {
        let mut changed = text.clone();
        changed[at] ^= 1;
        if let Ok(jwe) = Jwe::parse_compact(&changed) {
            assert!(open(&world, &jwe).is_err(), "byte {at}");
        }
    }
}
