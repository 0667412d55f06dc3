//! Shamir's secret sharing over the integers modulo a prime p of 256 bits.
//!
//! Dealing: `f(x) = e0 + e1·x + … + e(t-1)·x^(t-1) mod p`, the secret is e0, a share is `x ‖ f(x)`.
//! Combining t shares: `f(x) = Σ f(x_i) · Π_{j≠i} (x - x_j) / (x_i - x_j) mod p`, at x = 0 the secret, elsewhere what a share
//! must be.
//!
//! All arithmetic is in Montgomery form and its time does not depend on the numbers.

use crypto::{PrimeError, Random, RandomFailed, Secret, Share, safe_prime_256};
use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{CtLt, Odd, U256};
use zeroize::{Zeroize, Zeroizing};

/// Bytes of a number; the original writes no other width.
pub(super) const WIDTH: usize = 32;

/// A number modulo p.
type Number = Zeroizing<FixedMontyForm<{ U256::LIMBS }>>;

/// The modulus.
#[derive(Clone, Debug)]
pub(super) struct Modulus(FixedMontyParams<{ U256::LIMBS }>);

/// The polynomial of a threshold, whose degree is one less than the threshold. Wiped when dropped.
pub(super) struct Polynomial {
    modulus: Modulus,
    coefficients: Vec<Number>,
}

/// A share as numbers. Wiped when dropped.
pub(super) struct Point {
    x: Number,
    y: Number,
}

impl Modulus {
    /// A fresh safe prime.
    pub(super) fn fresh() -> Result<Modulus, PrimeError> {
        Modulus::read(&safe_prime_256()?).ok_or(PrimeError)
    }

    /// Reads a modulus: 32 bytes, big endian, odd. Whether it is prime is not checked: a header with another one was written
    /// by somebody who might as well have written another secret.
    pub(super) fn read(bytes: &[u8]) -> Option<Modulus> {
        let bytes: &[u8; WIDTH] = bytes.try_into().ok()?;
        let odd = Odd::new(U256::from_be_slice(bytes)).into_option()?;
        Some(Modulus(FixedMontyParams::new(odd)))
    }

    /// The modulus as a header has it.
    pub(super) fn to_bytes(&self) -> [u8; WIDTH] {
        self.value().to_be_bytes().into()
    }

    fn value(&self) -> &U256 {
        self.0.modulus().as_ref()
    }

    fn number(&self, bytes: &[u8; WIDTH]) -> Option<Number> {
        let value = Zeroizing::new(U256::from_be_slice(bytes));
        let below = value.ct_lt(self.value()).to_bool();
        below.then(|| Zeroizing::new(FixedMontyForm::new(&value, &self.0)))
    }

    /// A number between 1 and p - 1, all alike. Bytes that are no such number are drawn again, which for a prime with its top
    /// bit set happens every second time at most.
    fn draw(&self, random: &dyn Random) -> Result<Number, RandomFailed> {
        let mut bytes = Zeroizing::new([0; WIDTH]);
        for _ in 0..MOST_DRAWS {
            random.fill(&mut bytes[..])?;
            if let Some(number) = self.number(&bytes).filter(|number| !is_zero(number)) {
                return Ok(number);
            }
        }
        Err(RandomFailed)
    }
}

/// Draws until a generator that never gives a usable number is called broken; 2^-128 for one that is not.
const MOST_DRAWS: usize = 128;

impl Polynomial {
    /// A fresh polynomial for a threshold of `threshold` shares.
    pub(super) fn draw(modulus: Modulus, threshold: usize, random: &dyn Random) -> Result<Polynomial, RandomFailed> {
        // With its whole room at once: a vector that grows leaves what it held behind, and nobody wipes that.
        let mut coefficients = Vec::with_capacity(threshold);
        for _ in 0..threshold {
            coefficients.push(modulus.draw(random)?);
        }
        Ok(Polynomial { modulus, coefficients })
    }

    /// The field that it is over.
    pub(super) fn modulus(&self) -> &Modulus {
        &self.modulus
    }

    /// e0, as 32 bytes.
    pub(super) fn secret(&self) -> Secret {
        let zero = FixedMontyForm::zero(&self.modulus.0);
        Secret::filled_by(WIDTH, |into| write(self.coefficients.first().map_or(&zero, |e0| e0), into))
    }

    /// One share, at a random x: 64 bytes.
    pub(super) fn share(&self, random: &dyn Random) -> Result<Share, RandomFailed> {
        let x = self.modulus.draw(random)?;
        let y = self.at(&x);
        Ok(Share::new(Secret::filled_by(2 * WIDTH, |into| {
            let (first, second) = into.split_at_mut(WIDTH);
            write(&x, first);
            write(&y, second);
        })))
    }

    /// Horner's rule.
    fn at(&self, x: &Number) -> Number {
        let mut sum = Zeroizing::new(FixedMontyForm::zero(&self.modulus.0));
        for coefficient in self.coefficients.iter().rev() {
            *sum = sum.mul(x).add(coefficient);
        }
        sum
    }
}

impl Point {
    /// Reads a share: two numbers below p, the first not 0. `None` if it is no such thing.
    pub(super) fn read(modulus: &Modulus, share: &Share) -> Option<Point> {
        let (x, rest) = share.expose().split_first_chunk::<WIDTH>()?;
        let y: &[u8; WIDTH] = rest.try_into().ok()?;
        let x = modulus.number(x).filter(|x| !is_zero(x))?;
        Some(Point { x, y: modulus.number(y)? })
    }
}

/// f(0) from as many points as the threshold has, as 32 bytes. `None` if two of them have the same x, or if the modulus is not
/// prime and it shows.
pub(super) fn combine(modulus: &Modulus, points: &[&Point]) -> Option<Secret> {
    let zero = Zeroizing::new(FixedMontyForm::zero(&modulus.0));
    let value = interpolate(modulus, points, &zero)?;
    Some(Secret::filled_by(WIDTH, |into| write(&value, into)))
}

/// Whether `other` lies on the polynomial through `points`, which are as many as the threshold has.
pub(super) fn fits(modulus: &Modulus, points: &[&Point], other: &Point) -> bool {
    interpolate(modulus, points, &other.x).is_some_and(|y| is_zero(&Zeroizing::new(y.sub(&other.y))))
}

/// `f(x) = Σ y_i · Π_{j≠i} (x - x_j) / (x_i - x_j)`.
fn interpolate(modulus: &Modulus, points: &[&Point], x: &Number) -> Option<Number> {
    let mut sum = Zeroizing::new(FixedMontyForm::zero(&modulus.0));
    for (i, point) in points.iter().enumerate() {
        let mut above = Zeroizing::new(*point.y);
        let mut below = Zeroizing::new(FixedMontyForm::one(&modulus.0));
        for other in points.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, other)| other) {
            *above = above.mul(&x.sub(&other.x));
            *below = below.mul(&point.x.sub(&other.x));
        }
        let inverse = Zeroizing::new(below.invert().into_option()?);
        *sum = sum.add(&above.mul(&inverse));
    }
    Some(sum)
}

fn is_zero(number: &Number) -> bool {
    Zeroizing::new(number.retrieve()).is_zero().to_bool()
}

fn write(number: &FixedMontyForm<{ U256::LIMBS }>, into: &mut [u8]) {
    let mut bytes = Zeroizing::new(number.retrieve()).to_be_bytes();
    into.copy_from_slice(bytes.as_ref());
    bytes.zeroize();
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crypto::SystemRandom;

    fn number(value: u8) -> [u8; WIDTH] {
        let mut bytes = [0; WIDTH];
        bytes[WIDTH - 1] = value;
        bytes
    }

    fn share(x: u8, y: u8) -> Share {
        Share::new(Secret::new([number(x), number(y)].concat()))
    }

    fn borrowed(points: &[Point]) -> Vec<&Point> {
        points.iter().collect()
    }

    /// f(x) = 3 + 5x + 2x² modulo 23, by hand: f(1) = 10, f(2) = 21, f(4) = 9, f(7) = 21.
    #[test]
    fn three_shares_of_a_small_field_give_its_secret() {
        let modulus = Modulus::read(&number(23)).unwrap();
        let points = |list: &[(u8, u8)]| -> Vec<Point> {
            list.iter().map(|(x, y)| Point::read(&modulus, &share(*x, *y)).unwrap()).collect()
        };
        for list in [[(1, 10), (2, 21), (4, 9)], [(7, 21), (1, 10), (2, 21)], [(4, 9), (7, 21), (2, 21)]] {
            assert_eq!(combine(&modulus, &borrowed(&points(&list))).unwrap().expose(), number(3), "{list:?}");
        }
        assert_ne!(combine(&modulus, &borrowed(&points(&[(1, 10), (2, 21)]))).unwrap().expose(), number(3), "too few");
        assert!(combine(&modulus, &borrowed(&points(&[(1, 10), (1, 10), (2, 21)]))).is_none(), "one share twice");
        let good = points(&[(1, 10), (2, 21), (4, 9)]);
        for (x, y, expected) in [(7, 21, true), (7, 20, false), (2, 21, true), (2, 20, false), (7, 0, false)] {
            assert_eq!(fits(&modulus, &borrowed(&good), &points(&[(x, y)])[0]), expected, "{x} {y}");
        }
    }

    #[test]
    fn any_t_shares_of_a_fresh_polynomial_give_its_secret() {
        let modulus = Modulus::fresh().unwrap();
        for threshold in 1..5 {
            let polynomial = Polynomial::draw(modulus.clone(), threshold, &SystemRandom).unwrap();
            let shares: Vec<Share> = (0..6).map(|_| polynomial.share(&SystemRandom).unwrap()).collect();
            for start in 0..6 - threshold {
                let points: Vec<Point> = shares[start..start + threshold]
                    .iter()
                    .map(|share| Point::read(&modulus, share).unwrap())
                    .collect();
                assert!(combine(&modulus, &borrowed(&points)).unwrap().ct_eq(polynomial.secret().expose()));
            }
        }
        assert_eq!(Modulus::read(&modulus.to_bytes()).unwrap().to_bytes(), modulus.to_bytes());
    }

    #[test]
    fn odd_shares_and_moduli_are_refused() {
        let modulus = Modulus::read(&number(23)).unwrap();
        for (x, y) in [(0, 1), (23, 1), (1, 23), (255, 1)] {
            assert!(Point::read(&modulus, &share(x, y)).is_none(), "{x} {y}");
        }
        for length in [0, 1, 63, 65, 128] {
            assert!(Point::read(&modulus, &Share::new(Secret::new(vec![1; length]))).is_none(), "{length}");
        }
        assert!(Modulus::read(&number(22)).is_none() && Modulus::read(&number(0)).is_none());
        assert!(Modulus::read(&[1; 31]).is_none() && Modulus::read(&[1; 33]).is_none());
    }

    #[test]
    fn a_modulus_that_is_not_prime_ends_in_an_answer_or_none() {
        let modulus = Modulus::read(&number(21)).unwrap();
        let points: Vec<Point> =
            [(1, 1), (4, 1), (2, 5)].map(|(x, y)| Point::read(&modulus, &share(x, y)).unwrap()).into();
        assert!(combine(&modulus, &borrowed(&points)).is_none(), "4 - 1 divides 21");
    }

    #[test]
    fn numbers_are_wiped() {
        fn wiped<T: zeroize::ZeroizeOnDrop>(_: &T) {}
        let modulus = Modulus::read(&number(23)).unwrap();
        let mut seven = modulus.number(&number(7)).unwrap();
        wiped(&seven);
        seven.zeroize();
        assert!(is_zero(&seven), "and zeroizing one reaches its value");
    }

    #[test]
    fn a_broken_generator_is_noticed() {
        struct Constant(u8);
        impl Random for Constant {
            fn fill(&self, into: &mut [u8]) -> Result<(), RandomFailed> {
                into.fill(self.0);
                Ok(())
            }
        }
        let modulus = Modulus::fresh().unwrap();
        for byte in [0, 255] {
            assert!(Polynomial::draw(modulus.clone(), 1, &Constant(byte)).is_err(), "{byte}");
        }
    }
}
