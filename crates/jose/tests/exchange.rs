//! The McCallum-Relyea exchange: blinding is undone, and the three forms that José has of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // also in helpers of tests

use crypto::SystemRandom;
use crypto::ec::{Curve, EcError, Point, Scalar};
use jose::ecmr::{self, EcmrError};
use jose::{Jwk, concat_kdf};

const ALICE: &str = include_str!("../vectors/rfc7518_c_alice.jwk");
const BOB: &str = include_str!("../vectors/rfc7518_c_bob.jwk");

fn scalar(curve: Curve) -> Scalar {
    Scalar::random(curve, &SystemRandom).unwrap()
}

/// K = c·S = s·(c·G + e·G) − e·S
#[test]
fn a_blinded_recovery_finds_the_provisioned_point() {
    for curve in Curve::ALL {
        let (server, client, blind) = (scalar(curve), scalar(curve), scalar(curve));
        let exchange_key = Point::base_times(&server).unwrap();
        let bound = Point::base_times(&client).unwrap();
        let provisioned = exchange_key.multiply(&client).unwrap();

        let request = ecmr::blind(&bound, &blind).unwrap();
        let answer = ecmr::answer(&server, &request).unwrap();
        assert!(ecmr::unblind(&answer, &blind, &exchange_key).unwrap() == provisioned);
        assert!(request != bound && answer != provisioned);
        assert!(ecmr::unblind(&answer, &scalar(curve), &exchange_key).unwrap() != provisioned);
    }
}

#[test]
fn the_forms_of_an_exchange_are_those_three() {
    let (server, blind) = (scalar(Curve::P521), scalar(Curve::P521));
    let bound = Point::base_times(&scalar(Curve::P521)).unwrap();
    let point = |scalar: &Scalar| Point::base_times(scalar).unwrap();
    let private = |scalar: &Scalar| {
        let text = |bytes: &[u8]| jose::b64::encode(bytes);
        let members = Jwk::ecmr_public(&point(scalar)).public_json().with("d", text(scalar.expose()));
        Jwk::from_field(&json::Value::Object(members).field("key")).unwrap()
    };
    let public = |point: &Point| Jwk::from_point(point);
    let exchange = |local: &Jwk, remote: &Jwk| ecmr::exchange(local, remote).unwrap();
    let request = exchange(&public(&bound), &private(&blind));
    assert!(request == ecmr::blind(&bound, &blind).unwrap());
    let answer = exchange(&private(&server), &public(&request));
    assert!(answer == ecmr::answer(&server, &request).unwrap());
    let mask = exchange(&private(&blind), &public(&point(&server)));
    assert!(exchange(&public(&answer), &public(&mask)) == ecmr::unblind(&answer, &blind, &point(&server)).unwrap());
    assert!(exchange(&private(&server), &private(&blind)) == point(&blind).multiply(&server).unwrap());
}

#[test]
fn keys_that_have_no_exchange_are_refused() {
    let key = |curve| Jwk::exchange(curve, &SystemRandom).unwrap();
    let public = |curve| Jwk::ecmr_public(key(curve).point().unwrap());
    let (p256, p521) = (public(Curve::P256), public(Curve::P521));
    for (local, remote, expected) in [
        (&p256, &p521, "the two keys have no exchange: the keys are on different curves"),
        (&key(Curve::P384), &p521, "the two keys have no exchange: the keys are on different curves"),
        (&p256, &p256, "the two keys have no exchange: the result is the point at infinity"),
        (&p256, &Jwk::signing(Curve::P256, &SystemRandom).unwrap(), "not a key for ECMR"),
        (&Jwk::oct(crypto::Secret::new(vec![1])), &p256, "not a key for ECMR"),
    ] {
        let error = ecmr::exchange(local, remote).unwrap_err();
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        assert_eq!(format!("{error}{cause}"), expected);
    }
    let other = scalar(Curve::P384);
    assert_eq!(ecmr::blind(p256.point().unwrap(), &other).unwrap_err(), EcError::DifferentCurves);
    assert!(matches!(ecmr::exchange(&p256, &p521), Err(EcmrError::Arithmetic(EcError::DifferentCurves))));
}

/// RFC 7518 appendix C from the keys on: both sides find Z, and the key that follows.
#[test]
fn agreement_matches_rfc_7518_appendix_c() {
    let (alice, bob) = (Jwk::parse(ALICE.as_bytes()).unwrap(), Jwk::parse(BOB.as_bytes()).unwrap());
    for (private, public) in [(&alice, &bob), (&bob, &alice)] {
        let shared = public.point().unwrap().multiply(private.private().unwrap()).unwrap();
        let key = concat_kdf(shared.x(), "A128GCM", b"Alice", b"Bob", 128);
        assert_eq!(jose::b64::encode(key.expose()), "VqqN6vgjbSBcIijNcacQGg");
    }
}
