//! Keyslots that `systemd-cryptenroll` has enrolled: what its tokens in a LUKS2 header say, and the passphrase of those that the TPM seals
//! (systemd-tpm2 of version 252, which is paired, and what later versions added, up to 257).
//!
//! The passphrase of such a keyslot is the base64 of 32 bytes that the TPM sealed. Who unseals has to show what the token says, in this
//! order: a signature over the values of some PCRs, the values that other PCRs had at enrolling, a PIN.
//!
//! Nothing in a token is authenticated. A changed one names another object or another way to it, and then the TPM refuses; what it can do
//! beyond is to have a person asked for a PIN. The PIN goes into the HMAC of one command, whose session is salted with the parent key. Up to
//! 253 nothing names that key: it is believed each time, and whoever puts his own in its place has an HMAC to try PINs on.
//!
//! Enrolling is absent on purpose, and so are the tokens for security keys, smart cards and `systemd-pcrlock`: they are named.

mod open;
mod signature;
mod signer;
mod token;

pub use token::Tpm2;

/// The type of the tokens that are opened here.
pub const TPM2: &str = "systemd-tpm2";
