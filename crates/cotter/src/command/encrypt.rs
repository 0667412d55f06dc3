//! `cotter encrypt`: any bytes, tied to a policy.

use crate::args::{EncryptArgs, Policy};
use crate::command::decrypt::read_stdin;
use crate::counters;
use crate::error::CommandError;
use crate::host::Host;
use crate::output;
use clevis::{Config, PinError, TrustPolicy};
use json::Value;

/// Longest plaintext that is encrypted. A policy is for keys and passphrases; data belongs on a disk.
const LONGEST_PLAINTEXT: usize = 512 << 10;
/// Standard input to a compact JWE on standard output, with a newline on a terminal only.
pub fn run(args: &EncryptArgs) -> Result<(), CommandError> {
    let config = config(&args.policy)?;
    refuse_signed(&args.policy.pin, &config)?;
    let plaintext = read_stdin("what to encrypt", LONGEST_PLAINTEXT)?;
    let host = Host::new(args.patience.limit());
    let jwe = clevis::encrypt(&args.policy.pin, &config, &plaintext, &host.ports(trust(&args.policy)));
    let made = jwe.map_err(cannot).and_then(|jwe| {
        let compact = jwe.to_compact().map_err(|source| CommandError::failed("cannot encrypt", source))?;
        output::data(compact.as_bytes())
    });
    made.inspect_err(|_| counters::take_back(&host))?;
    counters::tell(&host);
    if output::is_seen() { output::line("") } else { Ok(()) }
}

fn cannot(error: PinError) -> CommandError {
    let hint = error.making_hint();
    CommandError::failed("cannot encrypt", error).hint(hint)
}

/// A policy for approvals opens with those that lie beside it on a volume. What a configuration has wrong is better said first, by the pin.
fn refuse_signed(pin: &str, config: &Config) -> Result<(), CommandError> {
    let makes_sense = clevis::remembered(pin, config, crate::pins::ALL).is_ok();
    if !makes_sense || !is_signed(pin, config.field().value()) {
        return Ok(());
    }
    let error = CommandError::plain("a JWE has no place for approvals, which `signed` needs: nothing could decrypt it");
    Err(error.hint("`cotter luks bind` keeps them on the volume; here, leave out `signed`"))
}

fn is_signed(pin: &str, config: &Value) -> bool {
    let given = |name| config.as_object().and_then(|config| config.get(name));
    match pin {
        "cotter-tpm2" => given("signed").is_some_and(|signed| matches!(signed, Value::Object(_))),
        "sss" => given("pins").and_then(Value::as_object).is_some_and(|pins| {
            pins.iter().any(|(name, config)| match config {
                Value::Array(several) => several.iter().any(|config| is_signed(name, config)),
                config => is_signed(name, config),
            })
        }),
        _ => false,
    }
}

/// Pins of the original that are still missing here.
const NOT_YET: [&str; 3] = ["tpm1", "pkcs11", "file"];

/// The configuration on the command line.
pub fn config(policy: &Policy) -> Result<Config, CommandError> {
    if let Some(error) = unknown_pin(&policy.pin) {
        return Err(error);
    }
    Config::parse(policy.config.as_bytes()).map_err(|source| {
        let error = CommandError::failed(format!("the configuration of the pin {}", policy.pin), source);
        let example = match policy.pin.as_str() {
            "tang" => r#"{"url":"http://keys.example:7500"}"#,
            "tpm2" | "cotter-tpm2" => r#"{"pcr_ids":"7"}"#,
            "sss" => r#"{"t":1,"pins":{"tang":[{"url":"http://a.example"},{"url":"http://b.example"}]}}"#,
            "file" => r#"{"name":"/run/media/stick/disk.key"}"#,
            _ => "{}",
        };
        error.hint(format!("write it as JSON in single quotes: '{example}'"))
    })
}

fn unknown_pin(name: &str) -> Option<CommandError> {
    let known: Vec<&str> = crate::pins::ALL.iter().map(|pin| pin.name()).collect();
    if known.contains(&name) {
        return None;
    }
    if NOT_YET.contains(&name) {
        return Some(
            CommandError::plain(format!("the pin {name} is not there yet"))
                .hint("`cotter encrypt --help` lists those that are"),
        );
    }
    let error = CommandError::usage(format!("there is no pin {}", name.escape_debug()));
    Some(error.hint("one of: tang, tpm2, tpm2plus, cotter-tpm2, sss, file (and null, which protects nothing)"))
}

/// How the server's keys are trusted.
pub fn trust(policy: &Policy) -> TrustPolicy {
    if policy.yes { TrustPolicy::Yes } else { TrustPolicy::Ask }
}
