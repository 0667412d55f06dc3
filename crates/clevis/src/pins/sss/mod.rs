//! The pin `sss`: a secret comes back when t of n other pins give their shares (nbde-formats 3.2).
//!
//! The shares are tied one after the other, because some pins ask a person. To bring the secret back all children start at
//! once, in threads; the first t good shares decide, the others are cancelled, and nobody waits for a silent server longer
//! than its port takes to notice that. A child that gives something odd has failed, as any other that fails: the original
//! stops there.

mod binding;
mod field;
mod gather;
mod tree;

use crate::config::{Config, ConfigError};
use crate::error::{BindingError, Name, PinError};
use crate::pin::{self, HEADER, Pin, Ports, Shown, header};
use binding::{Binding, NAME, bad_binding};
use crypto::Secret;
use field::{Modulus, Polynomial};
use jose::{Jwe, b64};
use json::{Field, Object, Value};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Sss;

impl Pin for Sss {
    fn name(&self) -> &'static str {
        NAME
    }

    fn encrypt(&self, config: &Config, secret: &Secret, ports: &Ports<'_>) -> Result<Jwe, PinError> {
        tree::check_config(config)?;
        let (threshold, children) = read_config(config)?;
        let modulus = Modulus::fresh().map_err(PinError::Prime)?;
        let polynomial = Polynomial::draw(modulus.clone(), threshold, ports.random).map_err(PinError::Random)?;
        let jwes = children.iter().map(|child| child.encrypt(&polynomial, ports)).collect::<Result<Vec<Value>, _>>()?;
        let inner = Object::new()
            .with("jwe", jwes)
            .with("p", b64::encode(&modulus.to_bytes()))
            .with("t", u64::try_from(threshold).unwrap_or(u64::MAX));
        let header = Object::new().with("clevis", Object::new().with("pin", NAME).with(NAME, inner));
        Jwe::encrypt_dir(&header, &polynomial.secret(), secret, ports.random).map_err(seal)
    }

    fn decrypt(&self, jwe: &Jwe, ports: &Ports<'_>) -> Result<Secret, PinError> {
        let binding = Binding::read(&header(jwe).field(HEADER)).map_err(bad_binding)?;
        tree::check_shares(&binding.shares).map_err(bad_binding)?;
        let points = gather::gather(&binding, ports)?;
        let key = field::combine(&binding.modulus, &points).ok_or_else(|| bad_binding(BindingError::NoSecret))?;
        jwe.decrypt(&key).map_err(|source| PinError::WrongKey { pin: NAME, source })
    }

    fn describe(&self, header: &Field<'_>, pins: &[&dyn Pin]) -> Result<Shown, PinError> {
        let binding = Binding::read(header).map_err(bad_binding)?;
        tree::check_shares(&binding.shares).map_err(bad_binding)?;
        Ok(describe(&binding, pins))
    }
}

fn seal(source: jose::JweError) -> PinError {
    PinError::Seal { pin: NAME, source }
}

/// One share to be tied.
struct Child {
    pin: Name,
    config: Config,
}

impl Child {
    fn encrypt(&self, polynomial: &Polynomial, ports: &Ports<'_>) -> Result<Value, PinError> {
        let failed = |source| PinError::Share {
            pin: self.pin.clone(),
            place: self.config.field().place().to_owned(),
            source: Box::new(source),
        };
        let share = polynomial.share(ports.random).map_err(PinError::Random)?;
        let jwe = pin::encrypt(self.pin.as_str(), &self.config, share.secret(), ports).map_err(failed)?;
        jwe.to_compact().map(Value::from).map_err(seal)
    }
}

/// The threshold and the children, in the order of the configuration.
fn read_config(config: &Config) -> Result<(usize, Vec<Child>), ConfigError> {
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

/// The text of the original, which drops `null` and what it does not know, and all but the last of several nested thresholds.
fn describe(binding: &Binding, pins: &[&dyn Pin]) -> Shown {
    let (mut listed, mut nested, mut lossy) = (Object::new(), None, false);
    for share in &binding.shares {
        let description = Jwe::parse_compact(share.as_bytes()).ok().and_then(|jwe| pin::describe(&jwe, pins).ok());
        match description {
            Some(inner) if inner.pin == NAME => {
                lossy |= inner.shown.lossy || nested.is_some();
                nested = Some(inner.shown.config);
            }
            Some(inner) if inner.pin != "null" => {
                lossy |= inner.shown.lossy;
                append(&mut listed, inner.pin, inner.shown.config);
            }
            _ => lossy = true,
        }
    }
    if let Some(nested) = nested {
        listed.insert(NAME, nested);
    }
    let threshold = u64::try_from(binding.threshold).unwrap_or(u64::MAX);
    Shown { config: Object::new().with("t", threshold).with("pins", listed).into(), lossy }
}

fn append(listed: &mut Object, pin: &str, config: Value) {
    match listed.get_mut(pin) {
        Some(Value::Array(configs)) => configs.push(config),
        _ => listed.insert(pin, vec![config]),
    }
}
