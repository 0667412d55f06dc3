//! Certificates, which servers show and files hold.

use crate::Reached;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clevis::ServerPin;
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;

/// Takes the bytes as one certificate in DER, and puts them into a file as people have it.
pub fn certificate(bytes: &[u8]) -> Reached {
    let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(bytes));
    let pins = linux::server_pins(pem.as_bytes());
    let told = linux::expiries(pem.as_bytes());
    let Ok(pins) = pins else {
        assert!(told.is_err(), "the end of what has no key was told");
        return Reached::Nothing;
    };
    let [pin] = pins.as_slice() else { panic!("one certificate has {} pins", pins.len()) };
    let der = CertificateDer::from(bytes);
    if let Ok(known) = ParsedCertificate::try_from(&der) {
        assert_eq!(*pin, ServerPin::of_key(&known.subject_public_key_info()), "the key is another one");
    }
    let Ok(told) = told else { return Reached::Read };
    let shown = |c: char| !c.is_control();
    assert!(told.iter().all(|one| one.subject.chars().all(shown) && (1..=200).contains(&one.subject.chars().count())));
    Reached::Accepted
}
