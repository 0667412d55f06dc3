//! The key of a client's certificate, sealed to the TPM of this machine: what its file holds is a JWE.

use crate::pin::{self, Ports};
use crate::ports::Unseal;
use crypto::Secret;
use jose::Jwe;
use std::error::Error;
use std::fmt;

/// The pins that seal to a TPM. Another server would be asked by a connection to a server, and a file is as good as the key itself.
const SEALING: [&str; 3] = ["tpm2", "cotter-tpm2", "tpm2plus"];

/// The ports by which a key is opened when a connection needs it.
pub(super) struct SealedKey<'a>(pub(super) &'a Ports<'a>);

impl Unseal for SealedKey<'_> {
    fn unseal(&self, sealed: &[u8]) -> Result<Secret, Box<dyn Error + Send + Sync>> {
        let jwe = Jwe::parse_compact(sealed.trim_ascii()).map_err(|_| ClientKeyError::Neither)?;
        if !SEALING.contains(&pin::pin_name(&jwe)?.as_str()) {
            return Err(ClientKeyError::OtherPin.into());
        }
        // Approvals are of the binding, and not of this.
        Ok(pin::open(&jwe, &Ports { approvals: &[], ..*self.0 })?.secret)
    }
}

impl fmt::Debug for SealedKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedKey(..)")
    }
}

/// Why a file is none with a sealed key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientKeyError {
    /// Nothing that is known.
    Neither,
    /// Sealed, but not to a TPM.
    OtherPin,
}

impl fmt::Display for ClientKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ClientKeyError::Neither => "it is neither PEM nor a JWE",
            ClientKeyError::OtherPin => "it is not sealed to a TPM, by tpm2, cotter-tpm2 or tpm2plus",
        })
    }
}

impl Error for ClientKeyError {}
