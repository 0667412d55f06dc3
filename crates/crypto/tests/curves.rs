//! The curves against a second implementation, in pure Rust.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use crypto::SystemRandom;
use crypto::ec::{self, Curve, Point, Scalar};

/// The same operations through the RustCrypto crate of one curve.
macro_rules! second_opinion {
    ($name:ident, $crate_name:ident, $curve:expr) => {
        mod $name {
            use super::*;
            use $crate_name::elliptic_curve::PrimeField;
            use $crate_name::elliptic_curve::sec1::{FromSec1Point, ToSec1Point};
            use $crate_name::{AffinePoint, FieldBytes, ProjectivePoint, Sec1Point};

            fn theirs(point: &Point) -> ProjectivePoint {
                let encoded = [&[4], point.x(), point.y()].concat();
                AffinePoint::from_sec1_point(&Sec1Point::from_bytes(&encoded).unwrap()).unwrap().into()
            }

            fn their_scalar(scalar: &Scalar) -> $crate_name::Scalar {
                let mut bytes = FieldBytes::default();
                bytes.copy_from_slice(scalar.expose());
                $crate_name::Scalar::from_repr(bytes).unwrap()
            }

            fn coordinates(point: ProjectivePoint) -> Vec<u8> {
                point.to_affine().to_sec1_point(false).as_bytes()[1..].to_vec()
            }

            fn ours(point: &Point) -> Vec<u8> {
                [point.x(), point.y()].concat()
            }

            #[test]
            fn both_compute_the_same_points() {
                for _ in 0..12 {
                    let (k, l) = (random(), random());
                    let (a, b) = (Point::base_times(&k).unwrap(), Point::base_times(&l).unwrap());
                    assert_eq!(ours(&a), coordinates(ProjectivePoint::GENERATOR * their_scalar(&k)));
                    assert_eq!(ours(&a.multiply(&l).unwrap()), coordinates(theirs(&a) * their_scalar(&l)));
                    assert_eq!(ours(&a.add(&b).unwrap()), coordinates(theirs(&a) + theirs(&b)));
                    assert_eq!(ours(&a.subtract(&b).unwrap()), coordinates(theirs(&a) - theirs(&b)));
                }
            }

            #[test]
            fn both_agree_at_the_edges() {
                let len = $curve.coordinate_len();
                for low in [1u8, 2, 3, 255] {
                    let mut bytes = vec![0; len];
                    bytes[len - 1] = low;
                    let k = Scalar::from_bytes($curve, &bytes).unwrap();
                    let point = Point::base_times(&k).unwrap();
                    assert_eq!(ours(&point), coordinates(ProjectivePoint::GENERATOR * their_scalar(&k)));
                }
            }

            #[test]
            fn they_accept_our_signatures() {
                use $crate_name::ecdsa::signature::Verifier;
                let key = random();
                let signature = ec::sign(&key, b"message").unwrap();
                let public = Point::base_times(&key).unwrap();
                let encoded = [&[4], public.x(), public.y()].concat();
                let verifier = $crate_name::ecdsa::VerifyingKey::from_sec1_bytes(&encoded).unwrap();
                let signature = $crate_name::ecdsa::Signature::from_slice(&signature).unwrap();
                verifier.verify(b"message", &signature).unwrap();
                assert!(verifier.verify(b"massage", &signature).is_err());
            }

            fn random() -> Scalar {
                Scalar::random($curve, &SystemRandom).unwrap()
            }
        }
    };
}

second_opinion!(on_p256, p256, Curve::P256);
second_opinion!(on_p384, p384, Curve::P384);
second_opinion!(on_p521, p521, Curve::P521);
