//! What a LUKS1 header says.

use super::lines::Lines;
use super::opener::Openers;
use crate::volume;
use ::luks::{Luks1, Luks1Slot, MetaState, STRIPES, Slot};
use block::Bytes;
use json::{Object, Value};

pub fn as_json(header: &Luks1, openers: &Openers<'_>) -> Object {
    let slots = Slot::all().zip(&header.slots).map(|(slot, entry)| {
        let object = Object::new().with("slot", u64::from(slot.number())).with("active", entry.active);
        if !entry.active {
            return object;
        }
        object
            .with("iterations", entry.iterations)
            .with("material_offset", entry.material.0)
            .with("stripes", entry.stripes)
            .with("memory_kib", memory(header, entry).0.div_ceil(1024))
            .with("opened_by", openers.opened_by(slot))
    });
    Object::new()
        .with("version", 1u64)
        .with("uuid", header.uuid().to_string())
        .with("cipher", header.cipher.as_str())
        .with("hash", header.hash.as_str())
        .with("key_bits", u64::from(header.key_bytes) * 8)
        .with("payload_offset", header.payload.0)
        .with("digest_iterations", header.digest_iterations)
        .with("keyslots", slots.collect::<Vec<_>>())
        .with("luksmeta", meta_as_json(header.meta()))
}

fn meta_as_json(state: &MetaState) -> Value {
    let said = Object::new().with("state", state_in_words(state));
    let Some(meta) = state.present() else { return said.into() };
    let slots = meta.slots().map(|(slot, entry)| {
        Object::new()
            .with("slot", u64::from(slot.number()))
            .with("uuid", entry.uuid.to_string())
            .with("offset", entry.offset)
            .with("length", entry.length)
    });
    said.with("offset", meta.gap().offset().0)
        .with("size", meta.gap().size().0)
        .with("slots", slots.collect::<Vec<_>>())
        .into()
}

fn state_in_words(state: &MetaState) -> String {
    match state {
        MetaState::NoGap => "no room for any".to_owned(),
        MetaState::Absent => "not initialised".to_owned(),
        MetaState::Damaged(error) => format!("damaged: {}", volume::reasons(error)),
        MetaState::Present(_) => "present".to_owned(),
    }
}

pub fn as_text(header: &Luks1, openers: &Openers<'_>) -> Lines {
    let mut text = Lines::default();
    text.line("Version", 1);
    text.line("UUID", header.uuid());
    text.line("Cipher", &header.cipher);
    text.line("Hash", &header.hash);
    text.line("Key", format!("{} bits", u64::from(header.key_bytes) * 8));
    match header.payload {
        Bytes(0) => text.line("Data", "on another disk"),
        payload => text.line("Data", format!("from byte {} ({payload}) to the end", payload.0)),
    }
    text.line("Digest", format!("{} iterations", header.digest_iterations));
    for (slot, entry) in Slot::all().zip(&header.slots) {
        if entry.active {
            describe_slot(&mut text, header, slot, entry, openers);
        }
    }
    let free: Vec<String> =
        Slot::all().zip(&header.slots).filter(|(_, entry)| !entry.active).map(|(slot, _)| slot.to_string()).collect();
    text.heading("Free keyslots", if free.is_empty() { "none".to_owned() } else { free.join(" ") });
    describe_meta(&mut text, header.meta());
    text
}

fn describe_slot(text: &mut Lines, header: &Luks1, slot: Slot, entry: &Luks1Slot, openers: &Openers<'_>) {
    text.heading("Keyslot", slot);
    text.line("  Derivation", format!("pbkdf2, {}, {} iterations", header.hash, entry.iterations));
    text.line("  Memory", format!("{}, for the key material", memory(header, entry)));
    text.line("  Splitter", format!("{}, {} stripes", header.hash, entry.stripes));
    text.line("  Area", format!("at byte {}", entry.material.0));
    text.line("  Opened by", openers.opened_by(slot));
}

/// PBKDF2 takes none worth the name; the stripes of the key are held at once.
fn memory(header: &Luks1, entry: &Luks1Slot) -> Bytes {
    Bytes(u64::from(header.key_bytes) * u64::from(entry.stripes.min(STRIPES)))
}

fn describe_meta(text: &mut Lines, state: &MetaState) {
    text.heading("LUKSMeta:", state_in_words(state));
    let Some(meta) = state.present() else { return };
    text.line("  Gap", format!("{} at byte {}", meta.gap().size(), meta.gap().offset().0));
    for (slot, entry) in meta.slots() {
        let kept = match meta.data(slot) {
            Some(Err(error)) => format!(", {}", volume::reasons(error)),
            _ => String::new(),
        };
        text.line(&format!("  Slot {slot}"), format!("{}, {} bytes{kept}", entry.uuid, entry.length));
    }
}
