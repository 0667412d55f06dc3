//! What a person wrote to say how a secret is to be tied: a JSON object, read strictly.
//!
//! The original ignores options that it does not know. Here they are errors: a misspelt `thp` would silently become a policy
//! that trusts more than was asked for.

use json::{Field, FieldError, JsonError, Limits, Value};
use std::fmt;

/// The configuration of one pin.
#[derive(Clone, Debug)]
pub struct Config {
    value: Value,
    place: String,
}

/// Why a configuration is not followed.
#[derive(Debug)]
pub enum ConfigError {
    /// Not JSON, or too much of it.
    NotJson {
        /// What is wrong with it.
        source: JsonError,
    },
    /// An option is missing, of the wrong kind, or means nothing.
    Option(FieldError),
    /// An option that the pin does not have.
    Unknown {
        /// Where it stands.
        place: String,
        /// The options that the pin has.
        known: &'static [&'static str],
    },
    /// More of something than is allowed.
    TooMuch {
        /// Of what.
        what: &'static str,
        /// How much is allowed.
        limit: usize,
    },
}

impl Config {
    /// Reads the configuration as it stands on the command line.
    ///
    /// # Errors
    /// [`ConfigError`] if it is not one JSON object.
    pub fn parse(text: &[u8]) -> Result<Config, ConfigError> {
        let value = json::parse(text, &Limits::POLICY).map_err(|source| ConfigError::NotJson { source })?;
        Config::from_field(&value.field("configuration"))
    }

    /// Takes the configuration of one pin out of a larger one, and remembers where it stood.
    ///
    /// # Errors
    /// [`ConfigError::Option`] if it is not an object.
    pub fn from_field(field: &Field<'_>) -> Result<Config, ConfigError> {
        field.object()?;
        Ok(Config { value: field.value().clone(), place: field.place().to_owned() })
    }

    /// The whole, to be walked.
    pub fn field(&self) -> Field<'_> {
        self.value.field(&self.place)
    }

    /// Refuses every option that is not among `known`.
    ///
    /// # Errors
    /// [`ConfigError::Unknown`] for the first of them.
    pub fn only(&self, known: &'static [&'static str]) -> Result<(), ConfigError> {
        let unknown = self.field().members()?.find(|(name, _)| !known.contains(name));
        unknown.map_or(Ok(()), |(_, option)| Err(ConfigError::Unknown { place: option.place().to_owned(), known }))
    }
}

impl From<FieldError> for ConfigError {
    fn from(source: FieldError) -> ConfigError {
        ConfigError::Option(source)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::NotJson { .. } => f.write_str("the configuration is not a JSON object"),
            ConfigError::Option(source) => source.fmt(f),
            ConfigError::Unknown { place, known: [] } => {
                write!(f, "{} is not an option; there are none", place.escape_debug())
            }
            ConfigError::Unknown { place, known } => {
                write!(f, "{} is not an option; there are {}", place.escape_debug(), known.join(", "))
            }
            ConfigError::TooMuch { what, limit } => write!(f, "the configuration has more than {limit} {what}"),
        }
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ConfigError::NotJson { source } => Some(source),
            // Shown as it is.
            ConfigError::Option(_) | ConfigError::Unknown { .. } | ConfigError::TooMuch { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_one_object_is_a_configuration() {
        assert!(Config::parse(b" {} ").is_ok());
        for bad in ["", "[]", "1", "{", "{} {}", "{\"a\":1,\"a\":2}"] {
            assert!(Config::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_unknown_option_is_named_with_its_place() {
        let config = Config::parse(br#"{"pins":{"tang":{"url":"u","thumb":"x"}}}"#).unwrap();
        let inner = Config::from_field(&config.field().member("pins").unwrap().member("tang").unwrap()).unwrap();
        assert!(inner.only(&["url", "thumb"]).is_ok());
        let error = inner.only(&["url", "thp"]).unwrap_err();
        assert_eq!(error.to_string(), "configuration.pins.tang.thumb is not an option; there are url, thp");
    }
}
