//! The McCallum-Relyea exchange: a shared point that a server can help to find again without ever seeing it.
//!
//! With s the server's exchange key, S = s·G:
//! provisioning takes a random c, keeps C = c·G and uses K = c·S; c and K are then forgotten.
//! Recovery takes a random e, sends X = C + e·G, is given Y = s·X, and finds K = Y − e·S.
//! X tells the server nothing about C, and nobody who sees X and Y learns K.

use crate::jwk::Jwk;
use crypto::ec::{EcError, Point, Scalar};
use std::fmt;

/// Why two keys were not exchanged.
#[derive(Debug)]
pub enum EcmrError {
    /// A key says that it is for another algorithm, or is not on a curve.
    WrongKey,
    /// Keys on two curves, or a result at infinity.
    Arithmetic(EcError),
}

/// `X = C + e·G`: the bound point, blinded.
///
/// # Errors
/// [`EcError`] if the curves differ or the sum is at infinity.
pub fn blind(bound: &Point, blind: &Scalar) -> Result<Point, EcError> {
    bound.add(&Point::base_times(blind)?)
}

/// `Y = s·X`: the server's half.
///
/// # Errors
/// [`EcError`] if the curves differ.
pub fn answer(private: &Scalar, blinded: &Point) -> Result<Point, EcError> {
    blinded.multiply(private)
}

/// `K = Y − e·S`: the blind taken off again. The x coordinate of the result is the shared secret.
///
/// # Errors
/// [`EcError`] if the curves differ or the difference is at infinity.
pub fn unblind(answer: &Point, blind: &Scalar, server: &Point) -> Result<Point, EcError> {
    answer.subtract(&server.multiply(blind)?)
}

/// The operation as José has it for two keys with `alg` `ECMR` (`jose jwk exc`): `d·R` if `local` is private, else `L + R` if
/// `remote` is private, else `L − R`.
///
/// # Errors
/// [`EcmrError`]. A key without `alg` is taken for one of `ECMR`.
pub fn exchange(local: &Jwk, remote: &Jwk) -> Result<Point, EcmrError> {
    let (from, with) = (ecmr_point(local)?, ecmr_point(remote)?);
    match (local.private(), remote.private()) {
        (Some(private), _) => with.multiply(private),
        (None, Some(_)) => from.add(with),
        (None, None) => from.subtract(with),
    }
    .map_err(EcmrError::Arithmetic)
}

fn ecmr_point(key: &Jwk) -> Result<&Point, EcmrError> {
    let for_this = key.alg().is_none_or(|alg| alg == "ECMR");
    key.point().filter(|_| for_this).ok_or(EcmrError::WrongKey)
}

impl fmt::Display for EcmrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EcmrError::WrongKey => f.write_str("not a key for ECMR"),
            EcmrError::Arithmetic(_) => f.write_str("the two keys have no exchange"),
        }
    }
}

impl std::error::Error for EcmrError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            EcmrError::WrongKey => None,
            EcmrError::Arithmetic(source) => Some(source),
        }
    }
}
