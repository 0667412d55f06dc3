//! A person's passphrase: from a file, from the first line of standard input, or asked for on the terminal.

use crate::args::KeySource;
use crate::error::CommandError;
use clevis::PersonError;
use crypto::{Passphrase, Secret};
use linux::{StdinError, Terminal};
use std::io::ErrorKind;
use std::path::Path;

/// The passphrase that opens a volume.
pub fn existing(key: &KeySource, person: &Terminal) -> Result<Passphrase, CommandError> {
    match from_elsewhere(key)? {
        Some(passphrase) => Ok(passphrase),
        None => ask(person, "Enter existing LUKS password: "),
    }
}

/// The passphrase of a new volume, typed twice if it is typed, and never empty: that would protect nothing.
pub fn new(key: &KeySource, person: &Terminal) -> Result<Passphrase, CommandError> {
    let passphrase = match from_elsewhere(key)? {
        Some(passphrase) => passphrase,
        None => ask_twice(person)?,
    };
    if passphrase.secret().is_empty() {
        let error =
            CommandError::plain("the passphrase is empty, and an empty one protects nothing; nothing was changed");
        return Err(error.hint("give one: -k FILE, or -k - with the passphrase on standard input"));
    }
    Ok(passphrase)
}

fn ask_twice(person: &Terminal) -> Result<Passphrase, CommandError> {
    let first = ask(person, "Enter new passphrase: ")?;
    let again = ask(person, "Enter it again: ")?;
    if first.secret().ct_eq(again.expose()) {
        Ok(first)
    } else {
        Err(CommandError::plain("the two passphrases are not the same; nothing was changed"))
    }
}

fn ask(person: &Terminal, prompt: &str) -> Result<Passphrase, CommandError> {
    person.passphrase(prompt).map_err(|source| match source {
        PersonError::Terminal { source } if source.kind() == ErrorKind::Interrupted => {
            CommandError::plain("given up; nothing was changed")
        }
        source => CommandError::failed("no passphrase", source),
    })
}

/// Why a passphrase that was read opens nothing, if its end gives it away.
pub fn likely_slip(key: &KeySource, passphrase: &Passphrase) -> &'static str {
    match (&key.key_file, passphrase.expose().last()) {
        (Some(_), Some(b'\n')) => {
            "the key file ends in a newline, which is then part of the passphrase: -k - < FILE leaves it out"
        }
        _ => "",
    }
}

/// The passphrase, unless a person has to be asked: no file was named and standard input is a terminal.
fn from_elsewhere(key: &KeySource) -> Result<Option<Passphrase>, CommandError> {
    let secret = match &key.key_file {
        Some(path) if path == Path::new("-") && Terminal::types_stdin() => return Ok(None),
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
