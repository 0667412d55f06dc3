//! A person's passphrase: from a file, from the first line of standard input, or asked for on the terminal.

#[cfg(feature = "full")]
mod new;

use crate::args::{KeyFilePart, KeySource};
use crate::error::CommandError;
use clevis::PersonError;
use crypto::{Passphrase, Secret};
use linux::{StdinError, Terminal};
#[cfg(feature = "full")]
pub use new::{check_recovery_shown, check_shown, chosen, new, recovery_key, show_generated, show_recovery_key};
use std::io::ErrorKind;
use std::path::Path;

/// The passphrase that opens a volume.
pub fn existing(key: &KeySource, person: &Terminal) -> Result<Passphrase, CommandError> {
    match from_elsewhere(key)? {
        Some(passphrase) => Ok(passphrase),
        None => ask(person, "Enter existing LUKS password: "),
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

/// What to look at when a passphrase that was read opens nothing; its end may give it away.
pub fn likely_slip(key: &KeySource, passphrase: &Passphrase) -> &'static str {
    match (&key.key_file, passphrase.expose().last()) {
        (Some(_), Some(b'\n')) => {
            "the key file ends in a newline, which is then part of the passphrase: -k - < FILE leaves it out"
        }
        (None, _) if Terminal::types_stdin() => {
            "type it again: is Caps Lock on, or another keyboard layout? `cotter luks dump` lists the keyslots"
        }
        _ => "`cotter luks dump` lists the keyslots; is it the right volume?",
    }
}

/// The passphrase, unless a person has to be asked: no file was named and standard input is a terminal.
fn from_elsewhere(key: &KeySource) -> Result<Option<Passphrase>, CommandError> {
    let secret = match &key.key_file {
        Some(path) if path == Path::new("-") && key.part.is_some() => {
            let error = CommandError::usage("a part can be taken of a key file, but not of standard input");
            return Err(error.hint("-k /dev/stdin reads standard input as a file: all of it, or a part"));
        }
        Some(path) if path == Path::new("-") && Terminal::types_stdin() => return Ok(None),
        Some(path) if path == Path::new("-") => first_line()?,
        Some(path) => key_file(path, key.part)?,
        None if Terminal::types_stdin() => return Ok(None),
        None => first_line()?,
    };
    Ok(Some(Passphrase::new(secret)))
}

fn first_line() -> Result<Secret, CommandError> {
    let failed = |source: StdinError| CommandError::failed("cannot read the passphrase from standard input", source);
    linux::read_stdin_line().map_err(failed)
}

fn key_file(path: &Path, part: KeyFilePart) -> Result<Secret, CommandError> {
    let what = || format!("cannot read the key file {}", path.display());
    let otherwise = if part.is_some() { "" } else { "; -k - takes the passphrase from standard input" };
    let hint = || format!("see what it is: `ls -l {}`{otherwise}", path.display());
    let read = if part.is_some() {
        linux::read_key_file_part(path, part.keyfile_offset.unwrap_or(0), part.keyfile_size)
    } else {
        linux::read_key_file(path)
    };
    read.map_err(|source| CommandError::failed(what(), source).hint(hint()))
}
