//! The measure of everything that asks a key server: one full P-521 point multiplication, by the library we use.

use crate::clock::{self, Cost};
use crypto::SystemRandom;
use crypto::ec::{Curve, Point, Scalar};
use std::hint::black_box;

/// About a tenth of a second together.
const COUNT: u64 = 300;

/// One bare multiplication: coordinates in, coordinates out, which is what an exchange has to do at least.
pub(crate) struct Multiplication {
    scalar: Scalar,
    point: Point,
}

impl Multiplication {
    /// A random scalar and a random point.
    pub(crate) fn new() -> Multiplication {
        let random = || Scalar::random(Curve::P521, &SystemRandom).unwrap();
        Multiplication { scalar: random(), point: Point::base_times(&random()).unwrap() }
    }

    /// The cost of one.
    pub(crate) fn cost(&self) -> Cost {
        let work = || {
            for _ in 0..COUNT {
                let (x, y) = (black_box(self.point.x()), black_box(self.point.y()));
                let point = Point::from_coordinates(Curve::P521, x, y).unwrap();
                let product = point.multiply(&self.scalar).unwrap();
                black_box((product.x(), product.y()));
            }
        };
        clock::of_own(work).shared(COUNT)
    }
}
