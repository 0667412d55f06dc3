//! The safe prime of a Shamir field, as the `sss` pin wants it.

use crate::ffi;
use std::fmt;

/// No prime was found, which only a lack of memory or of randomness explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrimeError;

impl fmt::Display for PrimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no safe prime could be made")
    }
}

impl std::error::Error for PrimeError {}

/// A random prime p of exactly 256 bits whose (p - 1) / 2 is prime too; big endian.
///
/// # Errors
/// [`PrimeError`] if the library gives none.
pub fn safe_prime_256() -> Result<[u8; 32], PrimeError> {
    let mut prime = [0; 32];
    if ffi::safe_prime(&mut prime) { Ok(prime) } else { Err(PrimeError) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_safe_prime_has_its_top_bit_and_is_3_modulo_4() {
        let p = safe_prime_256().unwrap();
        assert!(p[0] & 0x80 != 0 && p[31] & 3 == 3);
        assert!(p != safe_prime_256().unwrap());
    }
}
