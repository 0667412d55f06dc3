//! A person's passphrase: from a file, from the first line of standard input, or asked for on the terminal.

use crate::args::KeySource;
use crate::error::CommandError;
use crypto::{Passphrase, Secret};
use linux::{StdinError, Terminal};
use std::path::Path;

/// The passphrase that opens a volume.
pub fn existing(key: &KeySource) -> Result<Passphrase, CommandError> {
    match from_elsewhere(key)? {
        Some(passphrase) => Ok(passphrase),
        None => ask("Enter existing LUKS password: "),
    }
}

/// The passphrase of a new volume; typed twice if it is typed.
pub fn new(key: &KeySource) -> Result<Passphrase, CommandError> {
    if let Some(passphrase) = from_elsewhere(key)? {
        return Ok(passphrase);
    }
    let first = ask("Enter new passphrase: ")?;
    let again = ask("Enter it again: ")?;
    if first.secret().ct_eq(again.expose()) {
        Ok(first)
    } else {
        Err(CommandError::plain("the two passphrases are not the same"))
    }
}

fn ask(prompt: &str) -> Result<Passphrase, CommandError> {
    Terminal.passphrase(prompt).map_err(|source| CommandError::failed("no passphrase", source))
}

/// The passphrase, unless a person has to be asked: nothing was named and standard input is a terminal.
fn from_elsewhere(key: &KeySource) -> Result<Option<Passphrase>, CommandError> {
    let secret = match &key.key_file {
        Some(path) if path == Path::new("-") => first_line()?,
        Some(path) => whole_file(path)?,
        None if Terminal::types_stdin() => return Ok(None),
        None => first_line()?,
    };
    Ok(Some(Passphrase::new(secret)))
}

fn first_line() -> Result<Secret, CommandError> {
    let failed = |source: StdinError| CommandError::failed("cannot read the passphrase from standard input", source);
    linux::read_stdin_line().map_err(failed)
}

fn whole_file(path: &Path) -> Result<Secret, CommandError> {
    let what = || format!("cannot read the key file {}", path.display());
    linux::read_key_file(path).map_err(|source| CommandError::failed(what(), source))
}
