//! What can be wrong with what a server, or a binding, says.

use crypto::ec::EcError;
use jose::{JwkError, JwsError};
use json::{FieldError, JsonError};
use std::fmt;

/// Why there is no advertisement to trust, or no recovered point.
#[derive(Debug)]
pub enum TangError {
    /// The advertisement is not a JWS.
    NotSigned {
        /// What is wrong with it.
        source: JwsError,
    },
    /// What was signed is not JSON.
    NotJson {
        /// What is wrong with it.
        source: JsonError,
    },
    /// JSON, but no set of keys and no answer.
    NotKeys {
        /// Where it differs.
        source: FieldError,
    },
    /// A key that cannot be used.
    BadKey {
        /// Where it stands in the set; empty for a lone key.
        place: String,
        /// What is wrong with it.
        source: JwkError,
    },
    /// A private key in a place where everybody reads along.
    PrivateKeyShown {
        /// Where it stands.
        place: String,
    },
    /// No key in the set says that it may verify.
    NoSigningKey,
    /// No key in the set says that it is for exchanges.
    NoExchangeKey,
    /// A signing key of the set is of a type whose signatures are not verified here, such as RSA.
    UnsupportedSigningKey {
        /// S256 thumbprint of the key.
        thumbprint: String,
    },
    /// The set is not signed by this one of its own signing keys.
    MissingSignature {
        /// S256 thumbprint of the key.
        thumbprint: String,
    },
    /// The set is not the one that was asked for: none of its signing keys has this thumbprint.
    UntrustedKeys {
        /// What was wanted.
        wanted: String,
        /// S256 thumbprints of the keys that signed.
        found: Vec<String>,
    },
    /// The binding names an exchange key that is not in the set it carries.
    NoSuchKey {
        /// The thumbprint that the binding names.
        kid: String,
    },
    /// A point of the answer is on another curve than the binding's.
    OtherCurve,
    /// The arithmetic has no result.
    Arithmetic {
        /// Why.
        source: EcError,
    },
}

impl From<JsonError> for TangError {
    fn from(source: JsonError) -> TangError {
        TangError::NotJson { source }
    }
}

impl From<FieldError> for TangError {
    fn from(source: FieldError) -> TangError {
        TangError::NotKeys { source }
    }
}

impl From<EcError> for TangError {
    fn from(source: EcError) -> TangError {
        match source {
            EcError::DifferentCurves => TangError::OtherCurve,
            source => TangError::Arithmetic { source },
        }
    }
}

impl fmt::Display for TangError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TangError::NotSigned { .. } => f.write_str("the advertisement is not a signed message"),
            TangError::NotJson { .. } => f.write_str("the server's words are not JSON"),
            TangError::NotKeys { .. } => f.write_str("the server's words are not keys"),
            TangError::BadKey { place, .. } => write!(f, "the key at {place} cannot be used"),
            TangError::PrivateKeyShown { place } => {
                write!(f, "{place} has a private member in the open: whoever reads it has the key")
            }
            TangError::NoSigningKey => f.write_str("the advertisement has no signing key"),
            TangError::NoExchangeKey => f.write_str("the advertisement has no exchange key"),
            TangError::UnsupportedSigningKey { thumbprint } => {
                write!(
                    f,
                    "the advertisement's signing key {thumbprint} is not an EC key, and no other is verified here"
                )
            }
            TangError::MissingSignature { thumbprint } => {
                write!(f, "the advertisement is not signed by its own key {thumbprint}")
            }
            TangError::UntrustedKeys { wanted, found } => {
                write!(f, "the advertisement is signed by {}, not by {wanted}", found.join(", "))
            }
            TangError::NoSuchKey { kid } => write!(f, "the binding's exchange key {kid} is not among its stored keys"),
            TangError::OtherCurve => f.write_str("the server's point is on another curve than the binding's"),
            TangError::Arithmetic { .. } => f.write_str("the exchange has no result"),
        }
    }
}

impl std::error::Error for TangError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            TangError::NotSigned { source } => Some(source),
            TangError::NotJson { source } => Some(source),
            TangError::NotKeys { source } => Some(source),
            TangError::BadKey { source, .. } => Some(source),
            TangError::Arithmetic { source } => Some(source),
            TangError::PrivateKeyShown { .. }
            | TangError::NoSigningKey
            | TangError::NoExchangeKey
            | TangError::UnsupportedSigningKey { .. }
            | TangError::MissingSignature { .. }
            | TangError::UntrustedKeys { .. }
            | TangError::NoSuchKey { .. }
            | TangError::OtherCurve => None,
        }
    }
}
