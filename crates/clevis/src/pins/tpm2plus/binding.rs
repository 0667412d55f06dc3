//! What a configuration and a header say.

use crate::config::{Config, ConfigError};
use crate::error::BindingError;
use crate::pins::tpm2::{ECC, HashName, KeyName, SHA256, read_halves, write_halves};
use ::tpm2::{ParentTemplate, Protection, Public, Sealed, TpmError};
use json::{Field, FieldError, Object};

pub(crate) const NAME: &str = "tpm2plus";
/// The member of the header that holds the parameters: that of the original.
pub(super) const PARAMETERS: &str = "tpm2";

/// The places where that program looks.
const KEY_PATH: &str = "/boot/clevis_pubkey.json";
const POLICY_PATH: &str = "/boot/clevis_policy.json";

/// What a configuration says, and a header too.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    hash: HashName,
    key: KeyName,
    /// The public key that signs.
    pub(super) key_path: String,
    /// What it has signed.
    pub(super) policy_path: String,
    /// For what purpose.
    pub(super) reference: String,
}

/// What a header says.
pub(super) struct Binding {
    pub(super) settings: Settings,
    pub(super) sealed: Sealed,
    pub(super) public: Public,
}

impl Settings {
    pub(super) fn read(config: &Config) -> Result<Settings, ConfigError> {
        config.only(&["hash", "key", "use_policy", "policy_pubkey_path", "policy_ref", "policy_path"])?;
        let field = config.field();
        if let Some(uses) = field.optional("use_policy")?
            && !uses.bool()?
        {
            return Err(uses.wrong_value("true: without a policy the pin is tpm2").into());
        }
        Settings::of(&field).map_err(ConfigError::Option)
    }

    fn of(field: &Field<'_>) -> Result<Settings, FieldError> {
        let text = |name: &str, or: &str| {
            field.optional(name)?.map_or(Ok(or.to_owned()), |text| Ok::<String, FieldError>(text.text()?.to_owned()))
        };
        Ok(Settings {
            hash: field.optional("hash")?.map_or(Ok(SHA256), |hash| HashName::read(&hash))?,
            key: field.optional("key")?.map_or(Ok(ECC), |key| KeyName::read(&key))?,
            key_path: text("policy_pubkey_path", KEY_PATH)?,
            policy_path: text("policy_path", POLICY_PATH)?,
            reference: text("policy_ref", "")?,
        })
    }

    /// The parent key: the original's.
    pub(super) fn parent(&self) -> ParentTemplate {
        ParentTemplate { key: self.key.key, hash: self.hash.hash, protection: Protection::Counted }
    }

    /// Whether the two make the same policy; a kind of key has two names.
    pub(super) fn is(&self, other: &Settings) -> bool {
        let files =
            |settings: &Settings| (settings.key_path.clone(), settings.policy_path.clone(), settings.reference.clone());
        self.parent() == other.parent() && files(self) == files(other)
    }

    /// As a person would write it.
    pub(super) fn configuration(&self) -> Object {
        self.members(Object::new()).with("use_policy", true)
    }

    /// The parameters in a header.
    pub(super) fn to_json(&self, sealed: &Sealed) -> Object {
        self.members(write_halves(sealed, Object::new()))
    }

    fn members(&self, json: Object) -> Object {
        json.with("hash", self.hash.name)
            .with("key", self.key.name)
            .with("policy_pubkey_path", self.key_path.as_str())
            .with("policy_ref", self.reference.as_str())
            .with("policy_path", self.policy_path.as_str())
    }
}

impl Binding {
    /// Reads `clevis.tpm2`.
    pub(super) fn read(header: &Field<'_>) -> Result<Binding, BindingError> {
        let parameters = header.member("clevis")?.member(PARAMETERS)?;
        // What a header must say and a configuration need not.
        for name in ["hash", "key", "policy_pubkey_path", "policy_path"] {
            parameters.member(name)?;
        }
        if let Some(ids) = parameters.optional("pcr_ids")? {
            return Err(ids.wrong_value("absent beside a signed policy: no program opens the two together").into());
        }
        let (sealed, public) = read_halves(&parameters)?;
        if public.opens_by_value() {
            return Err(BindingError::Sealed(TpmError::Unsayable { what: "it opens whatever anybody has signed" }));
        }
        Ok(Binding { settings: Settings::of(&parameters)?, sealed, public })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn settings(text: &str) -> Result<Settings, ConfigError> {
        Settings::read(&Config::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn what_is_not_said_is_where_that_program_looks() {
        let plain = settings("{}").unwrap();
        assert!(plain.is(&settings(r#"{"use_policy":true,"policy_ref":"","key":"ecc256","hash":"sha256"}"#).unwrap()));
        assert_eq!((&*plain.key_path, &*plain.policy_path, &*plain.reference), (KEY_PATH, POLICY_PATH, ""));
        let other = settings(r#"{"policy_pubkey_path":"/k","policy_path":"/p","policy_ref":"r","key":"rsa"}"#).unwrap();
        let text = json::Value::from(other.configuration()).to_compact();
        assert!(settings(&text).unwrap().is(&other) && !other.is(&plain));
        for wrong in [r#"{"use_policy":false}"#, r#"{"pcr_ids":"7"}"#, r#"{"policy_path":7}"#, r#"{"key":"x"}"#] {
            assert!(settings(wrong).is_err(), "{wrong}");
        }
    }
}
