//! What our JWEs say beside what the original's say: one member more of the outer protected header, `"cotter": {…}`.
//!
//! - `config`: the configuration as it was given, where the pin's own members lose something of it (`thp`, `adv`);
//! - `pcrs`: what the PCRs held that a binding by `tpm2` compares;
//! - `check`: a check value for each share of a threshold, see the pin `sss`;
//! - `sealed`: what `luks seal` leaves here, see `unlock`.
//!
//! The original passes over members that it does not know. The member is authenticated with the rest of the header: once a JWE has been
//! opened, it says what the JWE's maker said.

use crate::config::{Config, ConfigError};
use crate::error::PinError;
use crate::pin::{self, ANNOTATION, HEADER, Pin, header};
use crypto::{Random, Secret};
use jose::Jwe;
use json::{Object, Value};

/// The name of the configuration in it.
pub(crate) const CONFIG: &str = "config";

/// What `jwe` says beside its policy; nothing if it is the original's.
pub fn annotation(jwe: &Jwe) -> Option<&Object> {
    jwe.header().get(ANNOTATION)?.as_object()
}

/// What a JWE of this configuration must say beside its policy, so that the configuration comes back whole. Often nothing.
///
/// # Errors
/// [`PinError::UnknownPin`]; [`PinError::Config`] if the configuration is none of this pin.
pub fn remembered(pin_name: &str, config: &Config, pins: &[&dyn Pin]) -> Result<Object, PinError> {
    let bare = pin::find(pin_name, pins)?.bare(config, pins).map_err(PinError::Config)?;
    let whole = config.field().value();
    Ok(if bare == *whole { Object::new() } else { Object::new().with(CONFIG, whole.clone()) })
}

/// The same, and always: of a policy whose own members would tell another configuration than the one it is to be made anew by.
pub fn remembered_whole(config: &Config) -> Object {
    Object::new().with(CONFIG, config.field().value().clone())
}

/// The same policy, saying `members` beside what it says already. `key` is the content encryption key that opening `jwe` gave.
///
/// # Errors
/// [`PinError::Annotate`].
pub fn annotate(jwe: &Jwe, members: &Object, key: &Secret, random: &dyn Random) -> Result<Jwe, PinError> {
    let mut said = annotation(jwe).cloned().unwrap_or_default();
    members.iter().for_each(|(name, value)| said.insert(name, value.clone()));
    jwe.with_member(ANNOTATION, Value::Object(said), key, random).map_err(|source| PinError::Annotate { source })
}

/// The configuration that the header keeps, if it keeps one.
pub(crate) fn kept_config(jwe: &Jwe) -> Option<Result<Config, ConfigError>> {
    let header = header(jwe);
    let config = header.field(HEADER).optional(ANNOTATION).ok()??.optional(CONFIG).ok()??;
    Some(Config::from_field(&config))
}
