//! What opens a keyslot, as far as the header tells.

use crate::volume;
use ::luks::{Header, Slot};
use unlock::{Binding, Holder};

/// What is known of the ways into a volume.
pub struct Openers<'h> {
    header: &'h Header,
    bindings: Vec<Binding>,
}

impl<'h> Openers<'h> {
    pub fn of(header: &'h Header) -> Openers<'h> {
        Openers { header, bindings: unlock::bindings(header) }
    }

    /// Whether a binding does that can be read.
    pub fn is_bound(&self, slot: Slot) -> bool {
        self.bindings.iter().any(|binding| binding.slot == slot)
    }

    /// What opens a keyslot: the pin and its configuration, or a passphrase.
    pub fn opened_by(&self, slot: Slot) -> String {
        let binding = self.bindings.iter().find(|binding| binding.slot == slot);
        match binding.map(|binding| clevis::describe(&binding.jwe, crate::pins::ALL)) {
            None if unlock::holder(self.header, slot) == Holder::Unknown => {
                "a passphrase, or a binding that was lost".to_owned()
            }
            None => "a passphrase".to_owned(),
            Some(Ok(found)) => format!("{} {}", found.pin, found.shown.config.to_compact().as_str()),
            Some(Err(error)) => volume::reasons(&error),
        }
    }
}
