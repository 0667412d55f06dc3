//! What is wrong with the files of signed policies.

use json::{FieldError, JsonError};
use std::error::Error;
use std::fmt;

/// What is wrong with a file that says who signs policies, or which are signed.
#[derive(Debug)]
pub enum SignedPolicyError {
    /// It is not JSON, or too much of it.
    NotJson(JsonError),
    /// It says something else than such files say.
    Field(FieldError),
    /// The key in it is not the one that the binding was made for.
    OtherKey,
    /// None of its policies for this purpose is signed by that key and met now.
    NoneFits {
        /// How many there are.
        tried: usize,
    },
}

impl fmt::Display for SignedPolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SignedPolicyError::NotJson(_) => f.write_str("it is not JSON"),
            SignedPolicyError::Field(source) => source.fmt(f),
            SignedPolicyError::OtherKey => f.write_str("its key is not the one that the binding was made for"),
            SignedPolicyError::NoneFits { tried } => {
                write!(f, "none of its {tried} policies for this binding is signed and says what the PCRs hold now")
            }
        }
    }
}

impl Error for SignedPolicyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            SignedPolicyError::NotJson(source) => Some(source),
            // A field error is shown as it is.
            SignedPolicyError::Field(_) | SignedPolicyError::OtherKey | SignedPolicyError::NoneFits { .. } => None,
        }
    }
}
