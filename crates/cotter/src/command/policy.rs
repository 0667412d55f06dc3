//! `cotter policy`: what policies are worth.

use crate::args::{ExplainArgs, PolicyCommand};
use crate::error::CommandError;
use crate::output;
use crate::verdict;
use clevis::Config;
use clevis::verdict::{Surroundings, Verdict};
use json::Object;

/// Carries out one of the commands.
pub fn run(which: PolicyCommand) -> Result<(), CommandError> {
    match which {
        PolicyCommand::Explain(args) => explain(&args),
    }
}

/// Prints the verdict; a goal that is missed is the exit code.
fn explain(args: &ExplainArgs) -> Result<(), CommandError> {
    let (pin, config) = words(&args.policy)?;
    clevis::check(&pin, &config, crate::pins::ALL).map_err(|source| {
        let hint = source.hint();
        CommandError::failed("no policy can be bound by this", source).hint(hint).into_usage()
    })?;
    let here = verdict::this_machine();
    let around = Surroundings {
        machine: args.machine.map_or(here.machine, Into::into),
        secure_boot: args.secure_boot.map_or(here.secure_boot, Into::into),
        loader: args.loader.map_or(here.loader, Into::into),
    };
    let found = Verdict::of(&verdict::policy(&pin, &config)?, &around);
    let record = Object::new().with("pin", pin.as_str()).with("verdict", verdict::record(&found));
    output::record(args.format, record, || verdict::table(&found, ""))?;
    verdict::require(&found, &args.goals.require)
}

/// The pin and its configuration: two words, or one that holds both.
fn words(words: &[String]) -> Result<(String, Config), CommandError> {
    let parse = |text: &str| {
        let hint = "write it as JSON in single quotes: tpm2 '{\"pcr_ids\":\"7\"}', or '{\"tpm2\":{\"pcr_ids\":\"7\"}}'";
        Config::parse(text.as_bytes())
            .map_err(|source| CommandError::failed("the policy cannot be read", source).hint(hint).into_usage())
    };
    match words {
        [pin, config] => Ok((pin.clone(), parse(config)?)),
        [one] => inside(parse(one)?),
        _ => Err(CommandError::usage("give a pin and its configuration")),
    }
}

/// `{"PIN":CFG}`, or the configuration of an `sss`, which is known by its `pins`.
fn inside(whole: Config) -> Result<(String, Config), CommandError> {
    let neither = || CommandError::usage("the policy is neither {\"PIN\":CFG} nor the configuration of an sss");
    let field = whole.field();
    let members: Vec<_> = field.members().map_err(|_| neither())?.collect();
    if members.iter().any(|(name, _)| *name == "pins") {
        return Ok(("sss".to_owned(), whole));
    }
    match members.as_slice() {
        [(pin, config)] => Config::from_field(config).map(|config| ((*pin).to_owned(), config)).map_err(|_| neither()),
        _ => Err(neither()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(list: &[&str]) -> Option<(String, String)> {
        let list: Vec<String> = list.iter().map(|word| (*word).to_owned()).collect();
        words(&list).ok().map(|(pin, config)| (pin, config.field().value().to_compact().to_string()))
    }

    #[test]
    fn a_policy_is_two_words_or_one() {
        let tpm = Some(("tpm2".to_owned(), r#"{"pcr_ids":"7"}"#.to_owned()));
        assert_eq!(read(&["tpm2", r#"{"pcr_ids":"7"}"#]), tpm);
        assert_eq!(read(&[r#"{"tpm2":{"pcr_ids":"7"}}"#]), tpm);
        assert_eq!(read(&[r#"{"pins":{"null":{}}}"#]).map(|(pin, _)| pin).as_deref(), Some("sss"));
        for bad in ["{}", r#"{"t":1}"#, r#"{"a":{},"b":{}}"#, "[]", "tpm2"] {
            assert_eq!(read(&[bad]), None, "{bad}");
        }
    }
}
