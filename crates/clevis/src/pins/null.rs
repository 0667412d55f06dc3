//! The pin `null` protects nothing: the key stands beside what it encrypts. It is for tests, and for shares of a threshold
//! that shall always be there (or never: `{"fail":true}` leaves the key out).

use crate::config::Config;
use crate::error::{BindingError, PinError};
use crate::pin::{HEADER, Opened, Pin, Ports, Shown, header};
use crate::stored::Lost;
use crypto::Secret;
use jose::{Jwe, Jwk};
use json::{Field, Object, Value};

const NAME: &str = "null";

/// Bytes of the content key.
const KEY_LEN: usize = 32;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Null;

impl Pin for Null {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, config: &Config, _: &[&dyn Pin]) -> Result<(), PinError> {
        read_fail(config).map(|_| ())
    }

    fn encrypt(&self, config: &Config, secret: &Secret, beside: &Object, ports: &Ports<'_>) -> Result<Jwe, PinError> {
        let fail = read_fail(config)?;
        let key = Secret::try_filled_by(KEY_LEN, |bytes| ports.random.fill(bytes)).map_err(PinError::Random)?;
        let jwk = Jwk::content_key(Secret::copied_from(key.expose()));
        let inner = if fail { Object::new() } else { Object::new().with("jwk", jwk.private_members()) };
        let header = beside.clone().with("clevis", Object::new().with("pin", NAME).with(NAME, inner));
        Jwe::encrypt_dir(&header, &key, secret, ports.random).map_err(|source| PinError::Seal { pin: NAME, source })
    }

    fn open(&self, jwe: &Jwe, _: &Ports<'_>) -> Result<Opened, PinError> {
        let key = read_key(&header(jwe).field(HEADER)).map_err(|source| PinError::BadBinding { pin: NAME, source })?;
        let key = key.ok_or(PinError::ToldToFail)?;
        let secret = jwe.decrypt_with(&key).map_err(|source| PinError::WrongKey { pin: NAME, source })?;
        let bytes = key.oct_key().map_or(&[][..], Secret::expose);
        Ok(Opened::new(secret, Secret::copied_from(bytes)))
    }

    fn describe(&self, header: &Field<'_>, _: &[&dyn Pin]) -> Result<Shown, PinError> {
        let key = read_key(header).map_err(|source| PinError::BadBinding { pin: NAME, source })?;
        // The original shows `{}` in both cases.
        Ok(Shown { config: Object::new().into(), lossy: key.is_none() })
    }

    fn stored(&self, header: &Field<'_>, _: &[&dyn Pin], _: &mut Vec<Lost>) -> Result<Value, PinError> {
        let key = read_key(header).map_err(|source| PinError::BadBinding { pin: NAME, source })?;
        Ok(if key.is_some() { Object::new().into() } else { Object::new().with("fail", true).into() })
    }

    fn meets(&self, config: &Config, header: &Field<'_>, _: &[&dyn Pin]) -> Result<bool, PinError> {
        let key = read_key(header).map_err(|source| PinError::BadBinding { pin: NAME, source })?;
        Ok(read_fail(config)? == key.is_none())
    }
}

fn read_fail(config: &Config) -> Result<bool, PinError> {
    config.only(&["fail"])?;
    let fail = config.field().optional("fail").and_then(|fail| fail.map_or(Ok(false), |fail| fail.bool()));
    fail.map_err(|source| PinError::Config(source.into()))
}

fn read_key(header: &Field<'_>) -> Result<Option<Jwk>, BindingError> {
    let key = header.member("clevis")?.member(NAME)?.optional("jwk")?;
    key.map(|key| Jwk::from_field(&key).map_err(BindingError::Key)).transpose()
}
