//! What a LUKS2 header says.

use super::lines::Lines;
use super::opener::Openers;
use ::luks::{
    DigestKind, KdfMember, Keyslot, KeyslotKind, Luks2, Metadata, Segment, SegmentKind, Slot, Token, TokenKind,
};
use block::Bytes;
use json::{Object, Value};
use linux::machine;

pub fn as_json(header: &Luks2, openers: &Openers<'_>) -> Object {
    let copies: Vec<Value> = header.copies().iter().map(|copy| copy.to_string().into()).collect();
    let metadata = header.metadata();
    let keyslots = metadata.keyslots.iter().map(|(slot, keyslot)| {
        Object::new()
            .with("slot", u64::from(slot.number()))
            .with("bound_to_data", opens_data(metadata, *slot))
            .with("priority", keyslot.priority.name())
            .with("memory_kib", memory(keyslot).0.div_ceil(1024))
            .with("opened_by", whose(metadata, *slot, openers))
    });
    let tokens = metadata.tokens.iter().map(|(id, token)| {
        Object::new()
            .with("token", u64::from(id.number()))
            .with("type", token.kind.as_str())
            .with("meaning", meaning(token))
            .with("keyslots", token.keyslots.iter().map(|slot| u64::from(slot.number())).collect::<Vec<_>>())
    });
    Object::new()
        .with("version", 2u64)
        .with("uuid", header.uuid().to_string())
        .with("label", header.label())
        .with("subsystem", header.subsystem())
        .with("sequence", header.sequence())
        .with("header_size", header.size().bytes().0)
        .with("copies", copies)
        .with("keyslots", keyslots.collect::<Vec<_>>())
        .with("tokens", tokens.collect::<Vec<_>>())
        .with("metadata", metadata.document().clone())
}

pub fn as_text(header: &Luks2, openers: &Openers<'_>) -> Lines {
    let metadata = header.metadata();
    let mut text = Lines::default();
    describe_header(&mut text, header);
    for (name, segment) in &metadata.segments {
        text.heading("Segment", name);
        describe_segment(&mut text, segment);
    }
    for (slot, keyslot) in &metadata.keyslots {
        text.heading("Keyslot", slot);
        describe_keyslot(&mut text, keyslot);
        text.line("  Opened by", whose(metadata, *slot, openers));
        if !opens_data(metadata, *slot) {
            text.line("  Opens", "no data: its key is not that of the volume (unbound)");
        }
    }
    for (id, token) in &metadata.tokens {
        text.heading("Token", id);
        text.line("  Type", format!("{}: {}", token.kind, meaning(token)));
        text.line("  Keyslots", joined(&token.keyslots));
    }
    for (name, digest) in &metadata.digests {
        text.heading("Digest", name);
        let kind = match &digest.kind {
            DigestKind::Pbkdf2(digest) => format!("pbkdf2, {}, {} iterations", digest.hash, digest.iterations),
            DigestKind::Other { name } => name.clone(),
        };
        text.line("  Type", kind);
        text.line("  Keyslots", joined(&digest.keyslots));
        text.line("  Segments", digest.segments.join(" "));
    }
    text
}

fn describe_header(text: &mut Lines, header: &Luks2) {
    let or_none = |label: String| if label.is_empty() { "(none)".to_owned() } else { label };
    let config = &header.metadata().config;
    text.line("Version", "2");
    text.line("UUID", header.uuid());
    text.line("Label", or_none(header.label()));
    text.line("Subsystem", or_none(header.subsystem()));
    text.line("Sequence number", header.sequence());
    text.line("Header copies", format!("{} each", header.size().bytes()));
    for (name, copy) in ["  first", "  second"].into_iter().zip(header.copies()) {
        text.line(name, copy);
    }
    text.line("Keyslots area", config.keyslots_size);
    text.line("Flags", or_none(config.flags.join(" ")));
    text.line("Requirements", or_none(config.requirements.join(" ")));
    let seal = header.metadata().tokens.values().find(|token| token.recognised() == TokenKind::CotterSeal);
    text.line(
        "Seal",
        seal.map_or("(none)".to_owned(), |_| "there is one; it is checked when the volume is opened".to_owned()),
    );
}

fn describe_segment(text: &mut Lines, segment: &Segment) {
    text.line("  Begins at", segment.offset);
    text.line("  Length", segment.size.map_or_else(|| "to the end".to_owned(), |size| size.to_string()));
    match &segment.kind {
        SegmentKind::Crypt(crypt) => {
            text.line("  Cipher", &crypt.encryption);
            text.line("  Sector", format!("{} bytes", crypt.sector_size));
        }
        SegmentKind::Other { name } => text.line("  Type", name),
    }
    if !segment.flags.is_empty() {
        text.line("  Flags", segment.flags.join(" "));
    }
}

fn describe_keyslot(text: &mut Lines, keyslot: &Keyslot) {
    text.line("  Key", format!("{} bits", u64::from(keyslot.key_size) * 8));
    text.line("  Priority", keyslot.priority);
    match &keyslot.kind {
        KeyslotKind::Luks2(luks2) => {
            text.line("  Cipher", &luks2.encryption);
            text.line("  Derivation", derivation(&luks2.kdf));
            text.line("  Memory", needed(keyslot));
            text.line("  Splitter", format!("{}, {} stripes", luks2.af_hash, luks2.af_stripes));
        }
        KeyslotKind::Other { name } => text.line("  Type", name),
    }
    text.line("  Area", format!("{} at byte {}", keyslot.area.size(), keyslot.area.offset().0));
}

/// What it takes to open a keyslot: Argon2's memory, and the stripes of the key.
fn memory(keyslot: &Keyslot) -> Bytes {
    let Some(luks2) = keyslot.as_luks2() else { return Bytes(0) };
    let stripes = u64::from(keyslot.key_size) * u64::from(luks2.af_stripes);
    let kdf = match luks2.kdf {
        KdfMember::Pbkdf2 { .. } => 0,
        KdfMember::Argon2 { memory, .. } => u64::from(memory) * 1024,
    };
    Bytes(kdf.saturating_add(stripes.min(keyslot.area.size().0)))
}

/// The same in words, and whether this machine has it.
fn needed(keyslot: &Keyslot) -> String {
    let needed = memory(keyslot);
    match machine::free_memory_kib() {
        Some(free) if needed.0.div_ceil(1024) > free => {
            format!("{needed}, more than the {} that are free here", Bytes(free.saturating_mul(1024)))
        }
        _ => needed.to_string(),
    }
}

/// Whether the key of a slot is that of the data.
fn opens_data(metadata: &Metadata, slot: Slot) -> bool {
    metadata.digests.values().any(|digest| digest.keyslots.contains(&slot) && !digest.segments.is_empty())
}

/// What opens a slot, as far as bindings and tokens tell.
fn whose(metadata: &Metadata, slot: Slot, openers: &Openers<'_>) -> String {
    let bound = openers.is_bound(slot);
    let token = metadata.tokens.values().find(|token| token.keyslots.contains(&slot));
    match token {
        Some(token) if !bound => meaning(token),
        _ => openers.opened_by(slot),
    }
}

/// What a token is for.
fn meaning(token: &Token) -> String {
    let kind = token.recognised();
    let epoch = token.members.get("epoch").and_then(Value::as_str);
    match (&kind, epoch) {
        (TokenKind::CotterSeal, Some(epoch)) => format!("{kind}, epoch {epoch}"),
        _ => kind.to_string(),
    }
}

fn derivation(kdf: &KdfMember) -> String {
    match kdf {
        KdfMember::Pbkdf2 { hash, iterations, .. } => format!("pbkdf2, {hash}, {iterations} iterations"),
        KdfMember::Argon2 { name, time, memory, cpus, .. } => {
            format!("{name}, {} MiB, {time} passes, {cpus} threads", memory.div_ceil(1024))
        }
    }
}

fn joined(slots: &[Slot]) -> String {
    slots.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
