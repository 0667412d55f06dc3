//! The pins inside a threshold, as its configuration names them.

use super::binding::NAME;
use super::check::Check;
use super::field::Polynomial;
use super::tree;
use crate::config::{Config, ConfigError};
use crate::error::{Name, PinError};
use crate::pin::{self, Pin, Ports};
use json::Value;

/// One share to be tied.
pub(super) struct Child {
    pub(super) pin: Name,
    pub(super) config: Config,
}

impl Child {
    /// Ties a fresh share of the polynomial's secret, and says what the share with this number must be like.
    pub(super) fn encrypt(
        &self,
        number: usize,
        polynomial: &Polynomial,
        ports: &Ports<'_>,
    ) -> Result<(Value, Check), PinError> {
        let failed = |source| self.failed(source);
        let share = polynomial.share(ports.random).map_err(PinError::Random)?;
        let jwe = pin::encrypt(self.pin.as_str(), &self.config, share.secret(), ports).map_err(failed)?;
        let compact = jwe.to_compact().map_err(|source| PinError::Seal { pin: NAME, source })?;
        Ok((compact.into(), Check::of(polynomial.modulus(), number, share.secret())))
    }

    /// As [`Pin::check`].
    pub(super) fn check(&self, pins: &[&dyn Pin]) -> Result<(), PinError> {
        pin::check(self.pin.as_str(), &self.config, pins).map_err(|source| self.failed(source))
    }

    fn failed(&self, source: PinError) -> PinError {
        PinError::Share {
            pin: self.pin.clone(),
            place: self.config.field().place().to_owned(),
            source: Box::new(source),
        }
    }
}

/// The threshold and the children, in the order of the configuration.
pub(super) fn read_config(config: &Config) -> Result<(usize, Vec<Child>), ConfigError> {
    config.only(&["t", "pins"])?;
    let field = config.field();
    let mut children = Vec::new();
    for (name, configs) in field.member("pins")?.members()? {
        for config in tree::one_or_more(&configs)? {
            children.push(Child { pin: Name::new(name), config: Config::from_field(&config)? });
        }
    }
    let threshold = field.optional("t")?.map_or(Ok(1), |t| t.integer())?;
    let threshold = usize::try_from(threshold).ok().filter(|t| (1..=children.len()).contains(t));
    match (threshold, field.optional("t")?) {
        (Some(threshold), _) => Ok((threshold, children)),
        (None, Some(t)) => Err(t.wrong_value("a number from 1 to that of the pins").into()),
        (None, None) => Err(field.member("pins")?.wrong_value("an object with at least one pin").into()),
    }
}
