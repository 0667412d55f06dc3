//! Banks, as they are named on the command line.

use crate::error::CommandError;
use tpm2::Bank;

/// The bank of this name.
pub fn named(name: &str) -> Result<Bank, CommandError> {
    Bank::from_name(name)
        .ok_or_else(|| CommandError::usage(format!("there is no bank {}", name.escape_debug())).hint("sha256"))
}
