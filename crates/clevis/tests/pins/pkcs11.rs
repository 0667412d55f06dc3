//! The pin `pkcs11`: what its bindings say, and that their PIN is never told. The vector was made by what the original's script does.

use crate::scripted::World;
use crate::{config, forged, secret};
use clevis::verdict::{Policy, TokenPin};
use clevis::{Lost, PinError};
use jose::Jwe;

const VECTOR: &[u8] = include_bytes!("../../vectors/pkcs11/pkcs11.jwe");
const PIN: &str = "31415926";

#[test]
fn a_binding_is_described_without_its_pin() {
    let jwe = Jwe::parse_compact(VECTOR).unwrap();
    let shown = clevis::describe(&jwe, clevis::pins::ALL).unwrap().shown;
    let uri = "pkcs11:model=x;token=my%20card;slot-id=1?module-path=/usr/lib/token.so&pin-value=***";
    let text = format!(r#"{{"uri":"{uri}","mechanism":"RSA-PKCS"}}"#);
    assert_eq!(shown.config.to_compact().as_str(), text);
    assert!(shown.lossy);
    let stored = clevis::configuration(&jwe, clevis::pins::ALL).unwrap();
    assert!(matches!(stored.lost[..], [Lost::Unsaid { .. }]), "the PIN is not told");
    assert_eq!(Policy::read(stored.pin, &stored.config).unwrap(), Policy::Token { pin: TokenPin::Binding });
    let meets = |text: &str| clevis::meets("pkcs11", &config(text), &jwe, clevis::pins::ALL).unwrap();
    assert!(meets(&text.replace("***", PIN)) && !meets(&text) && !meets("{}"));
}

#[test]
fn what_opens_it_is_said() {
    let (world, jwe) = (World::new(), Jwe::parse_compact(VECTOR).unwrap());
    let error = clevis::decrypt(&jwe, &world.ports()).unwrap_err();
    let told = format!("{error} {}", error.hint());
    let options = "--slot-index '1' --mechanism 'RSA-PKCS'; and --module, if it has to be: the header, for which nobody vouches, names /usr/lib/";
    assert!(told.contains("pkcs11-tool --login --decrypt --input-file key") && told.contains(options), "{told}");
    // What loads code stands in no line that is there to be typed.
    assert!(!told.contains("--module '") && !told.contains("--module /"), "{told}");
    assert!(!format!("{told} {error:?}").contains(PIN));
    let error = clevis::encrypt("pkcs11", &config("{}"), &secret(), &world.ports()).unwrap_err();
    assert!(matches!(error, PinError::OnlyClevis { pin: "pkcs11", .. }));
    let unknown = clevis::encrypt("pkcs11", &config(r#"{"url":"x"}"#), &secret(), &world.ports()).unwrap_err();
    assert!(matches!(unknown, PinError::Config(_)));
}

#[test]
fn a_header_that_is_none_is_named() {
    for inner in [
        "{}",
        r#"{"uri":7}"#,
        r#"{"uri":"http://x","key":"QQ"}"#,
        r#"{"uri":"pkcs11:"}"#,
        r#"{"uri":"pkcs11:","key":"'; reboot; '"}"#,
        r#"{"uri":"pkcs11:","mechanism":1,"key":"QQ"}"#,
    ] {
        let jwe = forged(&format!(r#"{{"clevis":{{"pin":"pkcs11","pkcs11":{inner}}}}}"#));
        let error = clevis::decrypt(&jwe, &World::new().ports()).unwrap_err();
        assert!(matches!(error, PinError::BadBinding { pin: "pkcs11", .. }), "{inner}");
    }
}
