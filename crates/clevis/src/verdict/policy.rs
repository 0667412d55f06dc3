//! A policy as far as its protection goes, read from a configuration.

use super::tpm::{Form, Pcrs, Tpm};
use crate::config::{Config, ConfigError};
use json::{Field, FieldError, Value};

/// What must be present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Policy {
    /// So many of these.
    Threshold {
        /// How many: at least one, and at most all.
        needed: usize,
        /// Of which.
        of: Vec<Policy>,
    },
    /// A key server.
    Server {
        /// Its name or address, without port and path: one machine that can be stolen.
        host: String,
        /// Whether it wants to know who asks.
        asks: Asks,
    },
    /// The TPM of this machine.
    Tpm(Tpm),
    /// A file of this machine.
    File,
    /// A token that is plugged in.
    Token {
        /// Where its PIN comes from.
        pin: TokenPin,
    },
    /// Nothing: the key stands beside what it protects.
    Nothing,
    /// It never opens.
    Never,
    /// A part that cannot be read.
    Unread {
        /// Its pin.
        pin: String,
    },
}

/// Whom a key server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// Anybody.
    Nobody,
    /// Who has the key of a client certificate.
    Certificate,
}

/// Where the PIN of a token comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenPin {
    /// From a person.
    Person,
    /// From the binding.
    Binding,
}

/// Deepest nesting that is read; no pin accepts more.
const DEEPEST: usize = 8;

impl Policy {
    /// Reads the policy that binding by this pin and configuration makes. Options that do not matter here are not looked at.
    ///
    /// # Errors
    /// [`ConfigError`] if what matters cannot be read.
    pub fn read(pin: &str, config: &Config) -> Result<Policy, ConfigError> {
        read(pin, &config.field(), DEEPEST)
    }

    /// The same policy when so many of its parts could not be read: each counts as one that is open.
    #[must_use]
    pub fn with_unread(self, parts: usize) -> Policy {
        let unread = std::iter::repeat_n(Policy::Unread { pin: "a share".into() }, parts);
        match self {
            Policy::Threshold { needed, of } => {
                Policy::Threshold { needed, of: of.into_iter().chain(unread).collect() }
            }
            whole if parts == 0 => whole,
            _ => Policy::Unread { pin: "the policy".into() },
        }
    }

    /// The policies that are no threshold.
    pub(super) fn leaves(&self) -> Vec<&Policy> {
        match self {
            Policy::Threshold { of, .. } => of.iter().flat_map(Policy::leaves).collect(),
            leaf => vec![leaf],
        }
    }
}

fn read(pin: &str, config: &Field<'_>, levels: usize) -> Result<Policy, ConfigError> {
    Ok(match pin {
        "sss" => threshold(config, levels)?,
        "tang" => Policy::Server {
            host: host(config.member("url")?.text()?),
            asks: if config.optional("cert")?.is_some() { Asks::Certificate } else { Asks::Nobody },
        },
        "tpm2" | "tpm2plus" => Policy::Tpm(tpm(config, Form::Original)?),
        "cotter-tpm2" => Policy::Tpm(tpm(config, Form::Ours)?),
        "file" => Policy::File,
        "pkcs11" => {
            let stored = config.optional("uri")?.map_or(Ok(false), |uri| uri.text().map(has_pin))?;
            Policy::Token { pin: if stored { TokenPin::Binding } else { TokenPin::Person } }
        }
        "null" => match config.optional("fail")?.map_or(Ok(false), |fail| fail.bool())? {
            true => Policy::Never,
            false => Policy::Nothing,
        },
        other => Policy::Unread { pin: other.to_owned() },
    })
}

/// `{"t":N,"pins":{"PIN":CFG or [CFG, …], …}}`
fn threshold(config: &Field<'_>, levels: usize) -> Result<Policy, ConfigError> {
    let pins = config.member("pins")?;
    let levels = levels.checked_sub(1).ok_or_else(|| pins.wrong_value("a policy of fewer levels"))?;
    let mut of = Vec::new();
    for (name, configs) in pins.members()? {
        let several = match configs.value() {
            Value::Array(_) => configs.items()?.collect(),
            _ => vec![configs],
        };
        for config in several {
            config.object()?;
            of.push(read(name, &config, levels)?);
        }
    }
    let needed = config.optional("t")?.map_or(Ok(1), |t| t.integer())?;
    // A share that is not told is missing here, and counted by whoever knows of it.
    let needed = usize::try_from(needed).ok().filter(|needed| *needed > 0);
    let needed = needed.ok_or_else(|| config.wrong_value("a threshold of at least one"))?;
    Ok(Policy::Threshold { needed, of })
}

/// The original's options, and those of `tpm2plus` and of ours beside them.
fn tpm(config: &Field<'_>, form: Form) -> Result<Tpm, FieldError> {
    let pcrs = config.optional("pcr_ids")?.map_or(Ok(Pcrs::default()), |ids| Pcrs::read(&ids))?;
    let given =
        |name: &str| Ok::<bool, FieldError>(config.optional(name)?.is_some_and(|option| is_given(option.value())));
    let any =
        |names: &[&str]| names.iter().try_fold(false, |found, name| Ok::<bool, FieldError>(found || given(name)?));
    Ok(Tpm {
        form,
        pcrs,
        signed: any(&["signed", "use_policy", "policy_pubkey_path", "policy_path"])?,
        pin: form == Form::Ours && given("pin")?,
        latch: form == Form::Ours && latches(config)?,
        counter: form == Form::Ours && given("counter")?,
    })
}

/// Whether a latch is asked for that holds: the pin puts its PCR into the policy, so that extending it shuts the TPM, and nobody can reset it.
fn latches(config: &Field<'_>) -> Result<bool, FieldError> {
    let Some(latch) = config.optional("latch")?.filter(|latch| is_given(latch.value())) else { return Ok(false) };
    // What is none of them is no latch; whoever binds by it is told.
    Ok(match latch.value() {
        Value::Bool(_) => true,
        _ => latch.integer().is_ok_and(|number| LATCHES.contains(&number)),
    })
}

/// PCRs that are zero after the firmware, and that no program may set to zero again (TCG PC Client Platform TPM Profile, table 5): what the
/// pin takes, which has 15 for a latch that names none.
const LATCHES: std::ops::RangeInclusive<u64> = 8..=15;

/// Whether the value of an option says more than no.
fn is_given(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false))
}

/// `pin-value` and `pin-source` are the attributes of RFC 7512 with which a PIN needs no person.
fn has_pin(uri: &str) -> bool {
    uri.contains("pin-value=") || uri.contains("pin-source=")
}

/// The machine in a URL, in small letters: `HTTP://User@Keys.example:7500/x` is `keys.example`.
fn host(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let server = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let server = server.rsplit_once('@').map_or(server, |(_, server)| server);
    let name = match server.split_once(']') {
        Some((address, _)) => address.trim_start_matches('['),
        None => server.split(':').next().unwrap_or_default(),
    };
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn policy(pin: &str, text: &str) -> Policy {
        Policy::read(pin, &Config::parse(text.as_bytes()).unwrap()).unwrap()
    }

    fn server(host: &str) -> Policy {
        Policy::Server { host: host.into(), asks: Asks::Nobody }
    }

    #[test]
    fn hosts_are_machines() {
        for url in
            ["http://Keys.example:7500", "keys.example", "https://u:p@keys.example./x?y", "http://keys.example#a"]
        {
            assert_eq!(host(url), "keys.example", "{url}");
        }
        assert_eq!(host("http://[fe80::1]:80/"), "fe80::1");
    }

    #[test]
    fn each_pin_is_read_by_what_matters() {
        assert_eq!(policy("tang", r#"{"url":"http://a:1","thp":"x"}"#), server("a"));
        let asks = Policy::Server { host: "a".into(), asks: Asks::Certificate };
        assert_eq!(policy("tang", r#"{"url":"https://a","cert":"/c","key":"/k"}"#), asks);
        assert_eq!(policy("tpm2", "{}"), Policy::Tpm(Tpm::default()));
        // The original has no such options, and ignores them.
        assert_eq!(policy("tpm2", r#"{"pin":true,"latch":15}"#), Policy::Tpm(Tpm::default()));
        let ours = Tpm {
            form: Form::Ours,
            pcrs: Pcrs::of(&[7, 15]).unwrap(),
            signed: true,
            pin: true,
            latch: true,
            counter: true,
        };
        let text = r#"{"pcr_ids":"7,15","pin":true,"latch":15,"counter":true,"signed":{"key":"k"}}"#;
        assert_eq!(policy("cotter-tpm2", text), Policy::Tpm(ours));
        let latched = |text: &str| matches!(policy("cotter-tpm2", text), Policy::Tpm(Tpm { latch: true, .. }));
        assert!(latched(r#"{"pcr_ids":"15","latch":true}"#) && latched(r#"{"pcr_ids":"7","latch":14}"#));
        for open in [r#"{"pcr_ids":"15"}"#, r#"{"latch":false}"#, r#"{"pcr_ids":"16","latch":16}"#, r#"{"latch":7}"#] {
            assert!(!latched(open), "{open}");
        }
        let plain = Tpm { form: Form::Ours, ..Tpm::default() };
        assert_eq!(policy("cotter-tpm2", r#"{"pin":false,"latch":null,"pcr_ids":""}"#), Policy::Tpm(plain));
        assert_eq!(policy("tpm2plus", r#"{"use_policy":true}"#), Policy::Tpm(Tpm { signed: true, ..Tpm::default() }));
        assert_eq!(policy("file", r#"{"name":"/k"}"#), Policy::File);
        assert_eq!(policy("pkcs11", r#"{"uri":"pkcs11:token=x"}"#), Policy::Token { pin: TokenPin::Person });
        assert_eq!(policy("pkcs11", r#"{"uri":"pkcs11:?pin-value=1"}"#), Policy::Token { pin: TokenPin::Binding });
        assert_eq!((policy("null", "{}"), policy("null", r#"{"fail":true}"#)), (Policy::Nothing, Policy::Never));
        assert_eq!(policy("tpm1", "{}"), Policy::Unread { pin: "tpm1".into() });
    }

    #[test]
    fn thresholds_hold_what_they_hold() {
        let nested = policy("sss", r#"{"t":2,"pins":{"tang":[{"url":"a"},{"url":"b"}],"sss":{"pins":{"null":{}}}}}"#);
        let inner = Policy::Threshold { needed: 1, of: vec![Policy::Nothing] };
        assert_eq!(nested, Policy::Threshold { needed: 2, of: vec![server("a"), server("b"), inner] });
        let unread = nested.clone().with_unread(2);
        assert_eq!((nested.leaves().len(), unread.leaves().len()), (3, 5));
        assert!(matches!(server("a").with_unread(1), Policy::Unread { .. }));
        assert_eq!(server("a").with_unread(0), server("a"));
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        for (pin, text) in [
            ("tang", "{}"),
            ("tang", r#"{"url":7}"#),
            ("tpm2", r#"{"pcr_ids":"99"}"#),
            ("sss", "{}"),
            ("sss", r#"{"t":0,"pins":{"null":{}}}"#),
            ("sss", r#"{"pins":{"null":7}}"#),
            ("null", r#"{"fail":7}"#),
        ] {
            assert!(Policy::read(pin, &Config::parse(text.as_bytes()).unwrap()).is_err(), "{pin} {text}");
        }
        let deep = (0..DEEPEST).fold(r#"{"null":{}}"#.to_owned(), |pins, _| format!(r#"{{"sss":{{"pins":{pins}}}}}"#));
        assert!(Policy::read("sss", &Config::parse(format!(r#"{{"pins":{deep}}}"#).as_bytes()).unwrap()).is_err());
    }
}
