//! The passphrase that a keyslot shall have from now on: typed twice, read, or made.

use super::{ask, from_elsewhere};
use crate::args::{Format, KeyFilePart, KeySource, NewKey};
use crate::error::CommandError;
use crate::host::Host;
use crate::output;
use crypto::{Passphrase, SystemRandom};
use json::{Object, Value};
use linux::Terminal;

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
