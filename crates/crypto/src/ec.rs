//! Points with both coordinates on the NIST curves, and ECDSA over them (FIPS 186-5, SP 800-186).
//!
//! The McCallum-Relyea exchange adds and subtracts points, so the x coordinate that ordinary agreement gives is not enough.

pub use crate::curve::Curve;
use crate::curve::LONGEST_POINT;
use crate::ffi::{self, Sign};
use crate::{Random, RandomFailed, Secret};
use aws_lc_rs::signature::{EcdsaKeyPair, UnparsedPublicKey};
use std::fmt;

/// Why a curve operation gave no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EcError {
    /// A coordinate or scalar of another length than the curve's.
    WrongLength {
        /// What it should be, in bytes.
        expected: usize,
        /// What it is.
        found: usize,
    },
    /// The coordinates satisfy no curve equation, or one is not below p.
    NotOnCurve,
    /// A scalar of zero, or not below the order of the base point.
    ScalarOutOfRange,
    /// Two operands on different curves.
    DifferentCurves,
    /// The result is the point at infinity, which no key and no answer may be.
    Infinity,
    /// The random generator failed.
    Random(RandomFailed),
    /// The signature fits neither the key nor the message.
    BadSignature,
    /// The library refused to sign with this key.
    NotSigned,
}

/// A point of a curve, never the one at infinity. It may be the secret of an exchange, so it is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Point {
    curve: Curve,
    /// `04 ‖ x ‖ y`, then zeros.
    encoded: [u8; LONGEST_POINT],
}

impl Point {
    /// The point with these coordinates, big endian and padded to the field size.
    ///
    /// # Errors
    /// [`EcError::WrongLength`], [`EcError::NotOnCurve`].
    pub fn from_coordinates(curve: Curve, x: &[u8], y: &[u8]) -> Result<Point, EcError> {
        let expected = curve.coordinate_len();
        for coordinate in [x, y] {
            if coordinate.len() != expected {
                return Err(EcError::WrongLength { expected, found: coordinate.len() });
            }
        }
        let mut encoded = [0; LONGEST_POINT];
        for (to, from) in encoded.iter_mut().zip([4].iter().chain(x).chain(y)) {
            *to = *from;
        }
        let point = Point { curve, encoded };
        if ffi::on_curve(curve, point.encoded()) { Ok(point) } else { Err(EcError::NotOnCurve) }
    }

    /// `scalar · G`
    pub fn base_times(scalar: &Scalar) -> Result<Point, EcError> {
        let product = ffi::multiply(scalar.curve, None, scalar.expose());
        product.map(|encoded| Point { curve: scalar.curve, encoded }).map_err(|_| EcError::Infinity)
    }

    /// `scalar · self`, in a time that does not depend on the scalar.
    ///
    /// # Errors
    /// [`EcError::DifferentCurves`]. The curves have prime order, so the product is never at infinity.
    pub fn multiply(&self, scalar: &Scalar) -> Result<Point, EcError> {
        self.same_curve(scalar.curve)?;
        let product = ffi::multiply(self.curve, Some(self.encoded()), scalar.expose());
        product.map(|encoded| Point { curve: self.curve, encoded }).map_err(|_| EcError::Infinity)
    }

    /// `self + other`
    ///
    /// # Errors
    /// [`EcError::DifferentCurves`], [`EcError::Infinity`].
    pub fn add(&self, other: &Point) -> Result<Point, EcError> {
        self.sum(Sign::Plus, other)
    }

    /// `self - other`
    ///
    /// # Errors
    /// [`EcError::DifferentCurves`], [`EcError::Infinity`].
    pub fn subtract(&self, other: &Point) -> Result<Point, EcError> {
        self.sum(Sign::Minus, other)
    }

    /// The curve it lies on.
    pub fn curve(&self) -> Curve {
        self.curve
    }

    /// The x coordinate, big endian, padded.
    pub fn x(&self) -> &[u8] {
        let len = self.curve.coordinate_len();
        self.encoded.get(1..1 + len).unwrap_or_default()
    }

    /// The y coordinate, big endian, padded.
    pub fn y(&self) -> &[u8] {
        let len = self.curve.coordinate_len();
        self.encoded.get(1 + len..1 + 2 * len).unwrap_or_default()
    }

    fn sum(&self, sign: Sign, other: &Point) -> Result<Point, EcError> {
        self.same_curve(other.curve)?;
        let sum = ffi::add(self.curve, self.encoded(), sign, other.encoded());
        sum.map(|encoded| Point { curve: self.curve, encoded }).map_err(|_| EcError::Infinity)
    }

    fn same_curve(&self, other: Curve) -> Result<(), EcError> {
        if self.curve == other { Ok(()) } else { Err(EcError::DifferentCurves) }
    }

    /// `04 ‖ x ‖ y` (SEC 1, section 2.3.3, uncompressed).
    fn encoded(&self) -> &[u8] {
        self.encoded.get(..self.curve.encoded_len()).unwrap_or_default()
    }
}

impl Drop for Point {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.encoded);
    }
}

impl fmt::Debug for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Point({:?})", self.curve)
    }
}

/// A secret number from 1 to n - 1: a private key, a blind.
pub struct Scalar {
    curve: Curve,
    bytes: Secret,
}

impl Scalar {
    /// The scalar with these bytes, big endian and padded to the field size.
    ///
    /// # Errors
    /// [`EcError::WrongLength`], [`EcError::ScalarOutOfRange`].
    pub fn from_bytes(curve: Curve, bytes: &[u8]) -> Result<Scalar, EcError> {
        Scalar::new(curve, Secret::copied_from(bytes))
    }

    fn new(curve: Curve, bytes: Secret) -> Result<Scalar, EcError> {
        let expected = curve.coordinate_len();
        if bytes.len() != expected {
            return Err(EcError::WrongLength { expected, found: bytes.len() });
        }
        let in_range = below(bytes.expose(), curve.order()) & !all_zero(bytes.expose());
        if in_range { Ok(Scalar { curve, bytes }) } else { Err(EcError::ScalarOutOfRange) }
    }

    /// A scalar that nobody else has.
    ///
    /// # Errors
    /// [`EcError::Random`].
    pub fn random(curve: Curve, random: &dyn Random) -> Result<Scalar, EcError> {
        // Draws from a range less than twice as large as n (P-521: 521 bits), so one of 128 draws fits unless the
        // generator is broken.
        for _ in 0..128 {
            let bytes = Secret::try_filled_by(curve.coordinate_len(), |into| {
                random.fill(into)?;
                if let (Curve::P521, Some(top)) = (curve, into.first_mut()) {
                    *top &= 1;
                }
                Ok(())
            })
            .map_err(EcError::Random)?;
            if let Ok(scalar) = Scalar::new(curve, bytes) {
                return Ok(scalar);
            }
        }
        Err(EcError::Random(RandomFailed))
    }

    /// The curve it belongs to.
    pub fn curve(&self) -> Curve {
        self.curve
    }

    /// The one way to the bytes: big endian, padded.
    pub fn expose(&self) -> &[u8] {
        self.bytes.expose()
    }
}

impl fmt::Debug for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scalar({:?}, ..)", self.curve)
    }
}

/// `a < b` for numbers of the same length, without a branch on a digit: the borrow of `a - b`.
fn below(a: &[u8], b: &[u8]) -> bool {
    let borrow = a.iter().zip(b).rev().fold(0u16, |borrow, (a, b)| {
        let difference = u16::from(*a).wrapping_sub(u16::from(*b)).wrapping_sub(borrow);
        difference >> 15
    });
    borrow == 1
}

fn all_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0, |any, byte| any | byte) == 0
}

/// ECDSA over the SHA-2 of the curve's size (ES256, ES384, ES512 of RFC 7518, section 3.4): `r ‖ s`, each padded.
///
/// # Errors
/// [`EcError::NotSigned`].
pub fn sign(key: &Scalar, message: &[u8]) -> Result<Vec<u8>, EcError> {
    let public = Point::base_times(key)?;
    let pair = EcdsaKeyPair::from_private_key_and_public_key(key.curve.signing(), key.expose(), public.encoded());
    let random = aws_lc_rs::rand::SystemRandom::new();
    let signature = pair.map_err(|_| EcError::NotSigned)?.sign(&random, message);
    signature.map(|s| s.as_ref().to_vec()).map_err(|_| EcError::NotSigned)
}

/// Checks what [`sign`] makes.
///
/// # Errors
/// [`EcError::BadSignature`].
pub fn verify(key: &Point, message: &[u8], signature: &[u8]) -> Result<(), EcError> {
    let public = UnparsedPublicKey::new(key.curve.verification(), key.encoded());
    public.verify(message, signature).map_err(|_| EcError::BadSignature)
}

impl fmt::Display for EcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EcError::WrongLength { expected, found } => write!(f, "{found} bytes where the curve has {expected}"),
            EcError::NotOnCurve => f.write_str("the point is not on its curve"),
            EcError::ScalarOutOfRange => f.write_str("the private key is not a number of its curve"),
            EcError::DifferentCurves => f.write_str("the keys are on different curves"),
            EcError::Infinity => f.write_str("the result is the point at infinity"),
            EcError::Random(_) => f.write_str("no random number could be drawn"),
            EcError::BadSignature => f.write_str("the signature does not fit the key and the message"),
            EcError::NotSigned => f.write_str("the key cannot sign"),
        }
    }
}

impl std::error::Error for EcError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if let EcError::Random(source) = self { Some(source) } else { None }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::SystemRandom;

    fn unhex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
    }

    fn small(curve: Curve, value: u8) -> Scalar {
        let bytes = Secret::filled_by(curve.coordinate_len(), |b| *b.last_mut().unwrap() = value);
        Scalar::new(curve, bytes).unwrap()
    }

    /// x of G and of 2·G (SP 800-186 section 3.2.1; NIST's point multiplication examples, k = 2).
    #[test]
    fn small_multiples_of_the_base_point() {
        for (curve, k, x) in [
            (Curve::P256, 1, "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"),
            (Curve::P256, 2, "7cf27b188d034f7e8a52380304b51ac3c08969e277f21b35a60b48fc47669978"),
            (
                Curve::P384,
                2,
                "08d999057ba3d2d969260045c55b97f089025959a6f434d651d207d19fb96e9e4fe0e86ebe0e64f85b96a9c75295df61",
            ),
            (
                Curve::P521,
                2,
                "00433c219024277e7e682fcb288148c282747403279b1ccc06352c6e5505d769be97b3b204da6ef55507aa104a3a35c5af41cf2fa364d60fd967f43e3933ba6d783d",
            ),
        ] {
            assert_eq!(Point::base_times(&small(curve, k)).unwrap().x(), unhex(x), "{curve:?} {k}");
        }
    }

    /// Shared secret of NIST's CAVS ECC CDH component test, P-521, COUNT = 0: both coordinates go in, x comes out.
    #[test]
    fn nist_cdh_vector() {
        let x = unhex(
            "00685a48e86c79f0f0875f7bc18d25eb5fc8c0b07e5da4f4370f3a9490340854334b1e1b87fa395464c60626124a4e70d0f785601d37c09870ebf176666877a2046d",
        );
        let y = unhex(
            "01ba52c56fc8776d9e8f5db4f0cc27636d0b741bbe05400697942e80b739884a83bde99e0f6716939e632bc8986fa18dccd443a348b6c3e522497955a4f3c302f676",
        );
        let d = unhex(
            "017eecc07ab4b329068fba65e56a1f8890aa935e57134ae0ffcce802735151f4eac6564f6ee9974c5e6887a1fefee5743ae2241bfeb95d5ce31ddcb6f9edb4d6fc47",
        );
        let z = unhex(
            "005fc70477c3e63bc3954bd0df3ea0d1f41ee21746ed95fc5e1fdf90930d5e136672d72cc770742d1711c3c3a4c334a0ad9759436a4d3c5bf6e74b9578fac148c831",
        );
        let scalar = Scalar::from_bytes(Curve::P521, &d).unwrap();
        let point = Point::from_coordinates(Curve::P521, &x, &y).unwrap();
        assert_eq!(point.multiply(&scalar).unwrap().x(), z);
    }

    #[test]
    fn addition_and_subtraction_undo_each_other() {
        for curve in Curve::ALL {
            let a = Point::base_times(&Scalar::random(curve, &SystemRandom).unwrap()).unwrap();
            let b = Point::base_times(&Scalar::random(curve, &SystemRandom).unwrap()).unwrap();
            assert!(a.add(&b).unwrap().subtract(&b).unwrap() == a);
            assert!(a.add(&a).unwrap() == a.multiply(&small(curve, 2)).unwrap());
            assert_eq!(a.subtract(&a).unwrap_err(), EcError::Infinity);
        }
    }

    #[test]
    fn what_is_not_a_point_or_a_scalar_is_refused() {
        for curve in Curve::ALL {
            let len = curve.coordinate_len();
            let good = Point::base_times(&small(curve, 9)).unwrap();
            let mut y = good.y().to_vec();
            y[len - 1] ^= 1;
            assert_eq!(Point::from_coordinates(curve, good.x(), &y).unwrap_err(), EcError::NotOnCurve);
            assert_eq!(Point::from_coordinates(curve, &vec![0; len], &vec![0; len]).unwrap_err(), EcError::NotOnCurve);
            assert_eq!(Point::from_coordinates(curve, &vec![0xff; len], &y).unwrap_err(), EcError::NotOnCurve);
            let wrong = EcError::WrongLength { expected: len, found: len - 1 };
            assert_eq!(Point::from_coordinates(curve, &good.x()[1..], good.y()).unwrap_err(), wrong);

            let scalar = |bytes: Vec<u8>| Scalar::from_bytes(curve, &bytes).map(|_| ());
            assert_eq!(scalar(vec![0; len]), Err(EcError::ScalarOutOfRange));
            assert_eq!(scalar(curve.order().to_vec()), Err(EcError::ScalarOutOfRange));
            let mut largest = curve.order().to_vec();
            largest[len - 1] -= 1;
            assert_eq!(scalar(largest), Ok(()));
            assert_eq!(scalar(vec![1; len + 1]), Err(EcError::WrongLength { expected: len, found: len + 1 }));
        }
        let other = Point::base_times(&small(Curve::P256, 3)).unwrap();
        assert_eq!(other.multiply(&small(Curve::P384, 3)).unwrap_err(), EcError::DifferentCurves);
    }

    #[test]
    fn a_signature_fits_one_key_and_one_message() {
        for curve in Curve::ALL {
            let key = Scalar::random(curve, &SystemRandom).unwrap();
            let public = Point::base_times(&key).unwrap();
            let signature = sign(&key, b"message").unwrap();
            assert_eq!(signature.len(), curve.signature_len());
            assert_eq!(verify(&public, b"message", &signature), Ok(()));
            assert_eq!(verify(&public, b"massage", &signature), Err(EcError::BadSignature));
            let other = Point::base_times(&Scalar::random(curve, &SystemRandom).unwrap()).unwrap();
            assert!(verify(&other, b"message", &signature).is_err());
            for i in [0, signature.len() / 2, signature.len() - 1] {
                let mut bad = signature.clone();
                bad[i] ^= 1;
                assert!(verify(&public, b"message", &bad).is_err());
            }
            assert!(verify(&public, b"message", &signature[1..]).is_err());
        }
    }

    #[test]
    fn debug_shows_no_digit() {
        assert_eq!(format!("{:?}", small(Curve::P256, 7)), "Scalar(P256, ..)");
    }
}
