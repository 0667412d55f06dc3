//! Token objects: how a passphrase may be found (LUKS2 on-disk format, section 3.5). What they say beyond their type and
//! their slots is for others to understand; it is kept as it is. Types that a person may meet are recognised, to name them.

use crate::luks2::digest::slots;
use crate::slot::Slot;
use json::{Field, FieldError, Object, Value};
use std::fmt;

/// One token.
#[derive(Clone, Debug)]
pub struct Token {
    /// Its type, such as `clevis`.
    pub kind: String,
    /// The slots it serves, each once, in ascending order.
    pub keyslots: Vec<Slot>,
    /// All of its members, these two included.
    pub members: Object,
}

impl Token {
    /// Reads the object of one token.
    pub(crate) fn parse(field: &Field<'_>) -> Result<Token, FieldError> {
        Ok(Token {
            kind: field.member("type")?.text()?.to_owned(),
            keyslots: slots(&field.member("keyslots")?)?,
            members: field.object()?.clone(),
        })
    }
}

/// What a token is for, as far as its type tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// `clevis`: the passphrase under a policy, as Clevis and cotter bind it.
    Clevis,
    /// `cotter-seal`: no passphrase, but what shows whether the header has been changed.
    CotterSeal,
    /// `cotter-approvals`: no passphrase, but signatures that say for which boots one comes out of the TPM. Each speaks for itself, and they
    /// come and go without the volume key, so no seal covers them.
    CotterApprovals,
    /// `luks2-keyring`: the passphrase is looked for in the kernel's keyring.
    Luks2Keyring {
        /// The description of the key; `None` if the token does not say.
        description: Option<String>,
    },
    /// `systemd-tpm2`: the passphrase is sealed by the TPM.
    SystemdTpm2,
    /// `systemd-fido2`: the passphrase comes from a security key.
    SystemdFido2,
    /// `systemd-pkcs11`: the passphrase is encrypted for a smart card.
    SystemdPkcs11,
    /// `systemd-recovery`: a recovery key, which a person types.
    SystemdRecovery,
    /// Any other.
    Other,
}

impl Token {
    /// What the token is for.
    pub fn recognised(&self) -> TokenKind {
        match self.kind.as_str() {
            "clevis" => TokenKind::Clevis,
            "cotter-seal" => TokenKind::CotterSeal,
            "cotter-approvals" => TokenKind::CotterApprovals,
            "luks2-keyring" => {
                let description = self.members.get("key_description").and_then(Value::as_str);
                TokenKind::Luks2Keyring { description: description.map(str::to_owned) }
            }
            "systemd-tpm2" => TokenKind::SystemdTpm2,
            "systemd-fido2" => TokenKind::SystemdFido2,
            "systemd-pkcs11" => TokenKind::SystemdPkcs11,
            "systemd-recovery" => TokenKind::SystemdRecovery,
            _ => TokenKind::Other,
        }
    }
}

impl fmt::Display for TokenKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TokenKind::Clevis => "Clevis binding",
            TokenKind::CotterSeal => "seal of the header",
            TokenKind::CotterApprovals => "approvals of what may boot",
            TokenKind::Luks2Keyring { description: Some(description) } => {
                return write!(f, "passphrase in the kernel's keyring as {description:?}");
            }
            TokenKind::Luks2Keyring { description: None } => "passphrase in the kernel's keyring",
            TokenKind::SystemdTpm2 => "passphrase sealed by the TPM (systemd-cryptenroll)",
            TokenKind::SystemdFido2 => "passphrase from a FIDO2 security key (systemd-cryptenroll)",
            TokenKind::SystemdPkcs11 => "passphrase for a PKCS#11 smart card (systemd-cryptenroll)",
            TokenKind::SystemdRecovery => "recovery key (systemd-cryptenroll)",
            TokenKind::Other => "unknown to cotter",
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use json::{Limits, parse};

    #[test]
    fn a_foreign_token_keeps_its_members() {
        let value = parse(br#"{"type":"x","keyslots":["1"],"y":{"z":null}}"#, &Limits::SMALL).unwrap();
        let token = Token::parse(&value.field("tokens.0")).unwrap();
        assert_eq!((token.kind.as_str(), token.keyslots.as_slice()), ("x", [Slot::new(1).unwrap()].as_slice()));
        assert!(token.members.get("y").is_some());
        assert_eq!(
            (token.recognised(), token.recognised().to_string().as_str()),
            (TokenKind::Other, "unknown to cotter")
        );
    }

    #[test]
    fn types_that_people_meet_are_named() {
        let check = |kind: &str, expected: TokenKind, named: &str| {
            let text = format!(r#"{{"type":"{kind}","keyslots":[],"key_description":"my key"}}"#);
            let value = parse(text.as_bytes(), &Limits::SMALL).unwrap();
            let found = Token::parse(&value.field("tokens.0")).unwrap().recognised();
            assert_eq!((&found, found.to_string().as_str()), (&expected, named));
        };
        check("clevis", TokenKind::Clevis, "Clevis binding");
        check("cotter-seal", TokenKind::CotterSeal, "seal of the header");
        let description = Some("my key".to_owned());
        let named = "passphrase in the kernel's keyring as \"my key\"";
        check("luks2-keyring", TokenKind::Luks2Keyring { description }, named);
        check("systemd-tpm2", TokenKind::SystemdTpm2, "passphrase sealed by the TPM (systemd-cryptenroll)");
        check("systemd-fido2", TokenKind::SystemdFido2, "passphrase from a FIDO2 security key (systemd-cryptenroll)");
        check("systemd-pkcs11", TokenKind::SystemdPkcs11, "passphrase for a PKCS#11 smart card (systemd-cryptenroll)");
        check("systemd-recovery", TokenKind::SystemdRecovery, "recovery key (systemd-cryptenroll)");
        check("systemd-tpm3", TokenKind::Other, "unknown to cotter");
        assert_eq!(TokenKind::Luks2Keyring { description: None }.to_string(), "passphrase in the kernel's keyring");
    }
}
