//! What a header says beside its keys: priorities, labels, flags.

use super::Luks2Edit;
use super::document::member;
use crate::edit_error::EditError;
use crate::luks2::binary_header::FixedText;
use crate::luks2::flag::Flag;
use crate::seal::Own;
use crate::slot::{Priority, Slot};
use crate::step::Step;
use json::Value;

impl Luks2Edit<'_> {
    /// Says when a slot is tried.
    ///
    /// # Errors
    /// [`EditError`]; nothing has been changed then.
    pub fn set_priority(&mut self, slot: Slot, priority: Priority) -> Result<(), EditError> {
        if !self.metadata.keyslots.contains_key(&slot) {
            return Err(EditError::NoSuchSlot { slot });
        }
        self.change(|document| {
            let place =
                member(document, "keyslots").and_then(|slots| slots.get_mut(&slot.to_string())?.as_object_mut());
            match (place, priority) {
                (Some(place), Priority::Normal) => drop(place.remove("priority")),
                (Some(place), Priority::Ignore) => place.insert("priority", 0u32),
                (Some(place), Priority::Prefer) => place.insert("priority", 2u32),
                (None, _) => {}
            }
        })?;
        self.steps.push(Step::SetPriority { slot, priority });
        Ok(())
    }

    /// Sets the label; empty: none.
    ///
    /// # Errors
    /// [`EditError::Label`] if it is longer than 47 bytes or holds a NUL.
    pub fn set_label(&mut self, label: &str) -> Result<(), EditError> {
        let text = FixedText::new(label).ok_or(EditError::Label)?;
        (self.primary.label, self.secondary.label) = (text.clone(), text);
        self.steps.push(Step::SetLabel { label: label.to_owned() });
        Ok(())
    }

    /// Sets the subsystem label; empty: none.
    ///
    /// # Errors
    /// [`EditError::Label`] if it is longer than 47 bytes or holds a NUL.
    pub fn set_subsystem(&mut self, subsystem: &str) -> Result<(), EditError> {
        let text = FixedText::new(subsystem).ok_or(EditError::Label)?;
        (self.primary.subsystem, self.secondary.subsystem) = (text.clone(), text);
        self.steps.push(Step::SetSubsystem { subsystem: subsystem.to_owned() });
        Ok(())
    }

    /// Sets the flags with which the volume is mapped unless told otherwise. Flags in the header that are not known here stay.
    ///
    /// # Errors
    /// [`EditError`]; nothing has been changed then.
    pub fn set_flags(&mut self, flags: &[Flag]) -> Result<(), EditError> {
        let wanted = Flag::ALL.into_iter().filter(|flag| flags.contains(flag)).map(|flag| flag.name().to_owned());
        let foreign = self.metadata.config.flags.iter().filter(|name| Flag::from_name(name).is_none()).cloned();
        let foreign: Vec<String> = foreign.collect();
        // Who keeps what somebody else may have put there does not vouch for it.
        let own = Own { flags: foreign.is_empty(), ..Own::default() };
        let names: Vec<String> = wanted.chain(foreign).collect();
        let value = Value::from(names.clone());
        self.change_own(own, |document| {
            if let Some(config) = member(document, "config") {
                config.insert("flags", value);
            }
        })?;
        self.steps.push(Step::SetFlags { flags: names });
        Ok(())
    }
}
