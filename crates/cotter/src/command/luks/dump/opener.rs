//! What opens a keyslot, as far as its binding tells.

use crate::volume;
use ::luks::Slot;
use unlock::Binding;

/// What opens a keyslot: the pin and its configuration, or a passphrase.
pub fn opened_by(slot: Slot, bindings: &[Binding]) -> String {
    let binding = bindings.iter().find(|binding| binding.slot == slot);
    match binding.map(|binding| clevis::describe(&binding.jwe, clevis::pins::ALL)) {
        None => "a passphrase".to_owned(),
        Some(Ok(found)) => format!("{} {}", found.pin, found.shown.config.to_compact().as_str()),
        Some(Err(error)) => volume::reasons(&error),
    }
}
