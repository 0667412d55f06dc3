//! `cotter encrypt` and `cotter decrypt`: any bytes, tied to a policy.

use crate::args::{DecryptArgs, EncryptArgs, Policy};
use crate::counters;
use crate::error::CommandError;
use crate::host::Host;
use crate::output;
use clevis::{Config, PinError, TrustPolicy};
use crypto::Secret;
use jose::Jwe;
use json::Value;
use linux::{StdinError, Terminal};

/// Longest plaintext that is encrypted. A policy is for keys and passphrases; data belongs on a disk.
const LONGEST_PLAINTEXT: usize = 512 << 10;
/// Longest JWE that is read.
const LONGEST_JWE: usize = 1 << 20;

/// Standard input to a compact JWE on standard output, with a newline on a terminal only.
pub fn encrypt(args: &EncryptArgs) -> Result<(), CommandError> {
    let config = config(&args.policy)?;
    refuse_signed(&args.policy.pin, &config)?;
    let plaintext = read_stdin("what to encrypt", LONGEST_PLAINTEXT)?;
    let host = Host::new(args.patience.limit());
    let jwe = clevis::encrypt(&args.policy.pin, &config, &plaintext, &host.ports(trust(&args.policy)));
    let made = jwe.map_err(|error| pin_error("cannot encrypt", error)).and_then(|jwe| {
        let compact = jwe.to_compact().map_err(|source| CommandError::failed("cannot encrypt", source))?;
        output::data(compact.as_bytes())
    });
    made.inspect_err(|_| counters::take_back(&host))?;
    counters::tell(&host);
    if output::is_seen() { output::line("") } else { Ok(()) }
}

/// A policy for approvals opens with those that lie beside it on a volume. What a configuration has wrong is better said first, by the pin.
fn refuse_signed(pin: &str, config: &Config) -> Result<(), CommandError> {
    let makes_sense = clevis::remembered(pin, config, clevis::pins::ALL).is_ok();
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

/// A compact JWE on standard input to its plaintext on standard output, once the tag of all of it has been verified.
pub fn decrypt(args: &DecryptArgs) -> Result<(), CommandError> {
    let jwe = read_stdin("a JWE", LONGEST_JWE)?;
    if jwe.expose().trim_ascii().is_empty() {
        return Err(CommandError::plain("there is no JWE: standard input is empty"));
    }
    let jwe = Jwe::parse_compact(jwe.expose()).map_err(|source| CommandError::failed("cannot read the JWE", source))?;
    let host = Host::new(args.patience.limit());
    let opened = clevis::open(&jwe, &host.ports(TrustPolicy::Ask));
    let opened = opened.map_err(|error| pin_error("cannot decrypt", error))?;
    opened.wrong.iter().for_each(|share| output::say(&share.to_string()));
    output::data(opened.secret.expose())
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
    let known: Vec<&str> = clevis::pins::ALL.iter().map(|pin| pin.name()).collect();
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

/// The error of a pin, with what to do about it.
pub fn pin_error(what: impl Into<String>, error: PinError) -> CommandError {
    let hint = error.hint();
    CommandError::failed(what, error).hint(hint)
}

/// The keys of a person are not typed blindly into a command that waits for data.
fn read_stdin(what: &str, most: usize) -> Result<Secret, CommandError> {
    if Terminal::types_stdin() {
        return Err(CommandError::usage(format!("give {what} on standard input")).hint("< FILE, or COMMAND |"));
    }
    linux::read_stdin(most).map_err(|source: StdinError| CommandError::failed(format!("cannot read {what}"), source))
}
