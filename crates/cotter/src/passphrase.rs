//! A person's passphrase: from a file, from the first line of standard input, or asked for on the terminal.

use crate::args::{Format, KeyFilePart, KeySource, NewKey};
use crate::error::CommandError;
use crate::host::Host;
use crate::output;
use clevis::PersonError;
use crypto::{Passphrase, Secret, SystemRandom};
use json::{Object, Value};
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

/// The passphrase that a keyslot shall have from now on: a recovery key if one was asked for.
pub fn chosen(key: &NewKey, host: &Host) -> Result<Passphrase, CommandError> {
    if key.generate {
        return recovery_key();
    }
    let part = KeyFilePart { keyfile_size: key.new_keyfile_size, keyfile_offset: key.new_keyfile_offset };
    new(&KeySource { key_file: key.new_key_file.clone(), part }, host.person())
}

/// A new recovery key.
pub fn recovery_key() -> Result<Passphrase, CommandError> {
    unlock::recovery_key(&SystemRandom).map_err(|source| CommandError::failed("no recovery key could be made", source))
}

/// Refuses to make a recovery key that nobody could read: it would be lost as soon as it is made.
pub fn check_shown(key: &NewKey) -> Result<(), CommandError> {
    if key.generate { check_recovery_shown() } else { Ok(()) }
}

/// The same where one is made.
pub fn check_recovery_shown() -> Result<(), CommandError> {
    output::wants_reader(linux::stdout_reader())
}

/// Prints a recovery key, if that is what the new passphrase is. Before it counts, so that a keyslot never has one that nobody
/// has seen.
pub fn show_generated(key: &NewKey, format: Format, passphrase: &Passphrase) -> Result<(), CommandError> {
    if key.generate { show_recovery_key(format, passphrase) } else { Ok(()) }
}

/// Prints this recovery key.
pub fn show_recovery_key(format: Format, passphrase: &Passphrase) -> Result<(), CommandError> {
    let text = String::from_utf8_lossy(passphrase.expose());
    if format.json {
        let record = Value::from(Object::new().with("recovery_key", &*text));
        output::data(record.to_compact().as_bytes())?;
    } else {
        output::data(passphrase.expose())?;
    }
    output::data(b"\n")?;
    output::say("write the recovery key down; nobody can show it again");
    Ok(())
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
