//! What systemd has enrolled and cannot be opened here, with the way that can.

use std::fmt;

/// The type of tokens for what the TPM seals.
const TPM2: &str = "systemd-tpm2";

/// What only systemd opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unopened {
    /// A security key.
    Fido2,
    /// A smart card.
    Pkcs11,
    /// The TPM, by the policy that `systemd-pcrlock` keeps in it.
    Pcrlock,
    /// The TPM, in several parts that make one passphrase.
    Shards,
    /// The TPM, with a member in the token that is not known: its policy would be read only in part.
    Later,
}

impl Unopened {
    /// The type of its token.
    pub fn name(self) -> &'static str {
        match self {
            Unopened::Fido2 => "systemd-fido2",
            Unopened::Pkcs11 => "systemd-pkcs11",
            Unopened::Pcrlock | Unopened::Shards | Unopened::Later => TPM2,
        }
    }

    /// What opens it.
    pub fn hint(self) -> String {
        let option = match self {
            Unopened::Fido2 => "fido2-device=auto",
            Unopened::Pkcs11 => "pkcs11-uri=auto",
            Unopened::Pcrlock | Unopened::Shards | Unopened::Later => "tpm2-device=auto",
        };
        format!("systemd opens it: `systemd-cryptsetup attach NAME DEVICE - {option}`")
    }
}

impl fmt::Display for Unopened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unopened::Fido2 => "systemd has enrolled a security key (FIDO2), which is not used here",
            Unopened::Pkcs11 => "systemd has enrolled a smart card (PKCS#11), which is not used here",
            Unopened::Pcrlock => {
                "systemd has enrolled the TPM by a policy of systemd-pcrlock, which is not followed here"
            }
            Unopened::Shards => "systemd has enrolled the TPM in several parts, which are not put together here",
            Unopened::Later => "a later systemd has enrolled the TPM in a form that is not known here",
        })
    }
}
