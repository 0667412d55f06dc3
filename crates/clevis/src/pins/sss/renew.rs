//! A threshold's configuration, changed pin by pin.

use super::tree::one_or_more;
use crate::config::{Config, ConfigError};
use crate::error::{Name, PinError};
use crate::pin::{self, Pin, Ports};
use crate::stored::{Renewal, Renewed};
use json::{Field, FieldError, Object, Value};

/// The configuration without what headers do not keep.
pub(super) fn bare(config: &Config, pins: &[&dyn Pin]) -> Result<Value, ConfigError> {
    each_pin(config, |name, child| match pin::find(name, pins) {
        Ok(pin) => pin.bare(child, pins),
        // Whoever binds by it says that there is no such pin.
        Err(_) => Ok(child.field().value().clone()),
    })
}

/// The configuration with the keys of today.
pub(super) fn renew(config: &Config, renewal: &Renewal<'_>, ports: &Ports<'_>) -> Result<Renewed, PinError> {
    let mut kept = Vec::new();
    let given = each_pin(config, |name, child| {
        let failed = |source| PinError::Share {
            pin: Name::new(name),
            place: child.field().place().to_owned(),
            source: Box::new(source),
        };
        let renewed = pin::find(name, ports.pins).and_then(|pin| pin.renew(child, renewal, ports)).map_err(failed)?;
        kept.push(renewed.kept);
        Ok::<Value, PinError>(renewed.given)
    })?;
    // The same walk in the same order.
    let mut kept = kept.into_iter();
    let kept = each_pin(config, |_, child| Ok(kept.next().unwrap_or_else(|| child.field().value().clone())));
    kept.map(|kept| Renewed { given, kept }).map_err(PinError::Config)
}

/// The same configuration with every pin's own part as `change` makes it.
fn each_pin<E: From<ConfigError>>(
    config: &Config,
    mut change: impl FnMut(&str, &Config) -> Result<Value, E>,
) -> Result<Value, E> {
    let field = |source: FieldError| E::from(ConfigError::from(source));
    let mut pins = Object::new();
    for (name, configs) in
        config.field().member("pins").and_then(|pins| pins.members().map(Vec::from_iter)).map_err(field)?
    {
        let mut one = |child: &Field<'_>| change(name, &Config::from_field(child)?);
        let changed = match configs.value() {
            Value::Array(_) => {
                let children = one_or_more(&configs).map_err(field)?;
                Value::Array(children.iter().map(&mut one).collect::<Result<_, _>>()?)
            }
            _ => one(&configs)?,
        };
        pins.insert(name, changed);
    }
    Ok(config.field().object().map_err(field)?.clone().with("pins", pins).into())
}
