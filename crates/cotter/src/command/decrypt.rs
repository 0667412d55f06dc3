//! `cotter decrypt`: what was tied to a policy, if this machine meets it.

use crate::args::DecryptArgs;
use crate::error::CommandError;
use crate::host::Host;
use crate::output;
use clevis::{PinError, TrustPolicy};
use crypto::Secret;
use jose::Jwe;
use linux::{StdinError, Terminal};

/// Longest JWE that is read.
const LONGEST_JWE: usize = 1 << 20;

/// A compact JWE on standard input to its plaintext on standard output, once the tag of all of it has been verified.
pub fn run(args: &DecryptArgs) -> Result<(), CommandError> {
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

/// The error of a pin, with what to do about it where a JWE is all there is.
pub fn pin_error(what: impl Into<String>, error: PinError) -> CommandError {
    let hint = error.lone_hint();
    CommandError::failed(what, error).hint(hint)
}

/// The keys of a person are not typed blindly into a command that waits for data.
pub fn read_stdin(what: &str, most: usize) -> Result<Secret, CommandError> {
    if Terminal::types_stdin() {
        return Err(CommandError::usage(format!("give {what} on standard input")).hint("< FILE, or COMMAND |"));
    }
    linux::read_stdin(most).map_err(|source: StdinError| CommandError::failed(format!("cannot read {what}"), source))
}
