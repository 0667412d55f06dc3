//! What is wrong with the header of a JWE.

use super::share::ShareFault;
use jose::JwkError;
use jose::b64::B64Error;
use json::FieldError;
use std::error::Error;
use std::fmt;
use tang::TangError;
use tpm2::TpmError;

/// What is wrong with the header of a JWE.
#[derive(Debug)]
pub enum BindingError {
    /// A member is missing, of the wrong kind, or means nothing.
    Field(FieldError),
    /// A member is not base64url.
    Base64 {
        /// Where it is.
        place: String,
        /// What is wrong with it.
        source: B64Error,
    },
    /// A key cannot be read.
    Key(JwkError),
    /// The server's keys in it do not serve.
    Tang(TangError),
    /// What the TPM sealed is not in it.
    Sealed(TpmError),
    /// More of something than is allowed.
    TooMuch {
        /// Of what.
        what: &'static str,
        /// How much is allowed.
        limit: usize,
    },
    /// A share is not one of this threshold.
    Share(ShareFault),
}

impl fmt::Display for BindingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BindingError::Field(source) => source.fmt(f),
            BindingError::Base64 { place, .. } => write!(f, "{place} is not base64url"),
            BindingError::Key(_) => f.write_str("the key in it cannot be read"),
            BindingError::Tang(_) => f.write_str("the server's keys in it do not serve"),
            BindingError::Sealed(_) => f.write_str("what the TPM sealed is not in it"),
            BindingError::TooMuch { what, limit } => write!(f, "it has more than {limit} {what}"),
            BindingError::Share(fault) => fault.fmt(f),
        }
    }
}

impl Error for BindingError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            BindingError::Base64 { source, .. } => Some(source),
            BindingError::Key(source) => Some(source),
            BindingError::Tang(source) => Some(source),
            BindingError::Sealed(source) => Some(source),
            // A field error is shown as it is.
            BindingError::Field(_) | BindingError::TooMuch { .. } | BindingError::Share(_) => None,
        }
    }
}

impl From<FieldError> for BindingError {
    fn from(source: FieldError) -> BindingError {
        BindingError::Field(source)
    }
}
