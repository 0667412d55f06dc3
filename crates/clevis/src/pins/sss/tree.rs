//! How much a nested policy may cost, counted before anything is started.

use super::binding::NAME;
use crate::config::{Config, ConfigError};
use crate::error::BindingError;
use crate::pin;
use jose::Jwe;
use json::{Field, FieldError, Value};

/// Deepest nesting of thresholds; a threshold of plain pins is 1.
pub(super) const DEEPEST: usize = 5;

/// Most shares in all levels together: each is a thread while a secret is brought back.
pub(super) const MOST_SHARES: usize = 64;

const LEVELS: &str = "levels of thresholds";
const SHARES: &str = "shares";

/// A configuration, or an array of them.
pub(super) fn one_or_more<'a>(configs: &Field<'a>) -> Result<Vec<Field<'a>>, FieldError> {
    match configs.value() {
        Value::Array(_) => Ok(configs.items()?.collect()),
        Value::Object(_) => Ok(vec![configs.clone()]),
        _ => Err(configs.wrong_value("a configuration or an array of them")),
    }
}

/// Refuses a configuration that is too deep or has too many shares.
pub(super) fn check_config(config: &Config) -> Result<(), ConfigError> {
    count_configs(&config.field(), DEEPEST, &mut 0)
}

fn count_configs(config: &Field<'_>, levels: usize, shares: &mut usize) -> Result<(), ConfigError> {
    let levels = levels.checked_sub(1).ok_or(ConfigError::TooMuch { what: LEVELS, limit: DEEPEST })?;
    for (name, configs) in config.member("pins")?.members()? {
        for config in one_or_more(&configs)? {
            *shares += 1;
            if *shares > MOST_SHARES {
                return Err(ConfigError::TooMuch { what: SHARES, limit: MOST_SHARES });
            }
            if name == NAME {
                count_configs(&config, levels, shares)?;
            }
        }
    }
    Ok(())
}

/// Refuses a binding that is too deep or has too many shares. A share that cannot be read counts as one and holds no others.
pub(super) fn check_shares(shares: &[String]) -> Result<(), BindingError> {
    count_shares(shares.iter().map(String::as_str), DEEPEST, &mut 0)
}

fn count_shares<'a>(
    shares: impl Iterator<Item = &'a str>,
    levels: usize,
    count: &mut usize,
) -> Result<(), BindingError> {
    let levels = levels.checked_sub(1).ok_or(BindingError::TooMuch { what: LEVELS, limit: DEEPEST })?;
    for share in shares {
        *count += 1;
        if *count > MOST_SHARES {
            return Err(BindingError::TooMuch { what: SHARES, limit: MOST_SHARES });
        }
        if let Some(nested) = nested_header(share) {
            let inner = nested.field("share");
            let texts = inner.member("clevis").and_then(|c| c.member(NAME)).and_then(|s| s.member("jwe"));
            let texts = texts.iter().flat_map(|jwes| jwes.items().into_iter().flatten());
            let texts: Vec<&str> = texts.filter_map(|jwe| jwe.value().as_str()).collect();
            count_shares(texts.into_iter(), levels, count)?;
        }
    }
    Ok(())
}

/// The header of a share that is a threshold itself.
fn nested_header(share: &str) -> Option<Value> {
    let jwe = Jwe::parse_compact(share.as_bytes()).ok()?;
    let name = pin::pin_name(&jwe).ok()?;
    (name.as_str() == NAME).then(|| pin::header(&jwe))
}
