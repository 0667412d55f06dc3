//! `cotter luks edit`: another configuration for a binding, from the command line or out of an editor.

use super::change::agreed;
use super::rebind;
use crate::args::EditArgs;
use crate::editor;
use crate::error::CommandError;
use crate::host::Host;
use crate::output;
use clevis::{Config, Stored};
use json::Value;
use linux::{Access, Terminal};

/// Gives a binding another configuration.
pub fn run(args: &EditArgs) -> Result<(), CommandError> {
    if args.config.is_none() && !Terminal::types_stdin() && !editor::is_named() {
        let error = CommandError::usage("an editor needs a terminal, and standard input is none");
        return Err(error.hint("give the new configuration: -c CFG"));
    }
    let found = rebind::find(&args.rebinding, Access::Write)?;
    let slot = found.binding.slot;
    let stored = clevis::configuration(&found.binding.jwe, crate::pins::ALL).map_err(|source| {
        let hint = source.hint();
        CommandError::failed(format!("the configuration of keyslot {slot} cannot be read"), source).hint(hint)
    })?;
    let host = Host::new(args.rebinding.patience.limit());
    let config = match &args.config {
        Some(text) => parse(text.as_bytes())?,
        None => edited(&stored, &host)?,
    };
    let pin = args.pin.as_deref().unwrap_or(stored.pin);
    let (old, new) = (stored.config.field(), config.field());
    if !args.force && pin == stored.pin && sorted(old.value()) == sorted(new.value()) {
        return Err(CommandError::plain("nothing has changed").hint("-f binds anew all the same"));
    }
    host.cancel_on_signal()?;
    if args.config.is_none() && !args.rebinding.dry_run {
        let question = format!("Bind keyslot {slot} to {}?", rebind::policy(pin, new.value()));
        if !agreed(&host, &question, "-c CFG asks nothing")? {
            output::say("nothing was changed");
            return Ok(());
        }
    }
    rebind::carry_out(&args.rebinding, &found, &host, |opened, proof, ports| {
        unlock::edit(&found.binding, opened, (pin, &config), proof, ports)
    })
}

/// What a person makes of the old configuration; what is no configuration can be corrected.
fn edited(stored: &Stored, host: &Host) -> Result<Config, CommandError> {
    if !stored.is_complete() {
        let lost: Vec<String> = stored.lost.iter().map(ToString::to_string).collect();
        output::say(&format!("the binding does not tell all of what it was made by: {}", lost.join("; ")));
    }
    let mut text = format!("{}\n", stored.config.field().value().to_pretty().as_str());
    loop {
        text = editor::edit("configuration.json", &text)?;
        match parse(text.as_bytes()) {
            Ok(config) => return Ok(config),
            Err(error) => {
                output::say(&error.to_string());
                if !agreed(host, "Edit it again?", "-c CFG takes it from the command line")? {
                    return Err(CommandError::plain("nothing was changed"));
                }
            }
        }
    }
}

fn parse(text: &[u8]) -> Result<Config, CommandError> {
    Config::parse(text).map_err(|source| CommandError::failed("this is no configuration", source))
}

/// The same with the members of every object in the order of their letters: that order means nothing.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        Value::Object(object) => {
            let mut members: Vec<(&str, Value)> = object.iter().map(|(name, value)| (name, sorted(value))).collect();
            members.sort_by_key(|(name, _)| *name);
            members.into_iter().fold(json::Object::new(), |object, (name, value)| object.with(name, value)).into()
        }
        other => other.clone(),
    }
}
