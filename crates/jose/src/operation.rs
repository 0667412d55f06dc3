//! What a key may be used for: `key_ops` and `use` (RFC 7517 sections 4.2 and 4.3).

/// What a key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum KeyOperation {
    Sign,
    Verify,
    Encrypt,
    Decrypt,
    WrapKey,
    UnwrapKey,
    DeriveKey,
    DeriveBits,
}

/// Whether a key must say what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Required {
    /// `key_ops` or `use` must name it.
    Explicit,
    /// A key with neither member is for everything.
    Implied,
}

impl KeyOperation {
    /// All eight.
    pub const ALL: [KeyOperation; 8] = [
        Self::Sign,
        Self::Verify,
        Self::Encrypt,
        Self::Decrypt,
        Self::WrapKey,
        Self::UnwrapKey,
        Self::DeriveKey,
        Self::DeriveBits,
    ];

    /// Its name in `key_ops`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sign => "sign",
            Self::Verify => "verify",
            Self::Encrypt => "encrypt",
            Self::Decrypt => "decrypt",
            Self::WrapKey => "wrapKey",
            Self::UnwrapKey => "unwrapKey",
            Self::DeriveKey => "deriveKey",
            Self::DeriveBits => "deriveBits",
        }
    }

    /// The value of `use` that stands for it (RFC 7517 section 4.2). José lets neither stand for a derivation.
    pub(crate) fn implied_by(self) -> Option<&'static str> {
        match self {
            Self::Sign | Self::Verify => Some("sig"),
            Self::Encrypt | Self::Decrypt | Self::WrapKey | Self::UnwrapKey => Some("enc"),
            Self::DeriveKey | Self::DeriveBits => None,
        }
    }
}
