//! `cotter luks dump`: what the header says, without any secret and without judging it.

use crate::args::DumpArgs;
use crate::error::{CommandError, visible};
use crate::output;
use crate::volume::{self, Disks};
use ::luks::{DigestKind, Header, KdfMember, Keyslot, KeyslotKind, Luks2, Segment, SegmentKind, Slot};
use json::{Object, Value};
use linux::Access;
use std::fmt::Write;
use unlock::Binding;

/// Prints the header for a person, or the header and its JSON area as one object.
pub fn run(args: &DumpArgs) -> Result<(), CommandError> {
    let header = Disks::open(&args.device, Access::Read)?.read_header()?;
    match &header {
        Header::Luks1(_) => Err(CommandError::plain("this is a LUKS1 volume, which is not printed yet")),
        Header::Luks2(luks2) => {
            output::record(args.format, as_json(luks2), || as_text(&header, luks2).trim_end().to_owned())
        }
    }
}

fn as_json(header: &Luks2) -> Object {
    let copies: Vec<Value> = header.copies().iter().map(|copy| copy.to_string().into()).collect();
    Object::new()
        .with("version", 2u64)
        .with("uuid", header.uuid().to_string())
        .with("label", header.label())
        .with("subsystem", header.subsystem())
        .with("sequence", header.sequence())
        .with("header_size", header.size().bytes().0)
        .with("copies", copies)
        .with("metadata", header.metadata().document().clone())
}

fn as_text(whole: &Header, header: &Luks2) -> String {
    let metadata = header.metadata();
    let mut text = String::new();
    let or_none = |label: String| if label.is_empty() { "(none)".to_owned() } else { label };
    line(&mut text, "Version", "2");
    line(&mut text, "UUID", header.uuid());
    line(&mut text, "Label", or_none(header.label()));
    line(&mut text, "Subsystem", or_none(header.subsystem()));
    line(&mut text, "Sequence number", header.sequence());
    line(&mut text, "Header copies", format!("{} each", header.size().bytes()));
    for (name, copy) in ["  first", "  second"].into_iter().zip(header.copies()) {
        line(&mut text, name, copy);
    }
    line(&mut text, "Keyslots area", metadata.config.keyslots_size);
    line(&mut text, "Flags", or_none(metadata.config.flags.join(" ")));
    line(&mut text, "Requirements", or_none(metadata.config.requirements.join(" ")));
    for (name, segment) in &metadata.segments {
        heading(&mut text, "Segment", name);
        describe_segment(&mut text, segment);
    }
    let bindings = unlock::bindings(whole);
    for (slot, keyslot) in &metadata.keyslots {
        heading(&mut text, "Keyslot", slot);
        describe_keyslot(&mut text, keyslot);
        line(&mut text, "  Opened by", opened_by(bindings.iter().find(|binding| binding.slot == *slot)));
    }
    for (id, token) in &metadata.tokens {
        heading(&mut text, "Token", id);
        line(&mut text, "  Type", &token.kind);
        line(&mut text, "  Keyslots", joined(&token.keyslots));
    }
    for (name, digest) in &metadata.digests {
        heading(&mut text, "Digest", name);
        let kind = match &digest.kind {
            DigestKind::Pbkdf2(digest) => format!("pbkdf2, {}, {} iterations", digest.hash, digest.iterations),
            DigestKind::Other { name } => name.clone(),
        };
        line(&mut text, "  Type", kind);
        line(&mut text, "  Keyslots", joined(&digest.keyslots));
        line(&mut text, "  Segments", digest.segments.join(" "));
    }
    text
}

fn describe_segment(text: &mut String, segment: &Segment) {
    line(text, "  Begins at", segment.offset);
    line(text, "  Length", segment.size.map_or_else(|| "to the end".to_owned(), |size| size.to_string()));
    match &segment.kind {
        SegmentKind::Crypt(crypt) => {
            line(text, "  Cipher", &crypt.encryption);
            line(text, "  Sector", format!("{} bytes", crypt.sector_size));
        }
        SegmentKind::Other { name } => line(text, "  Type", name),
    }
}

fn describe_keyslot(text: &mut String, keyslot: &Keyslot) {
    line(text, "  Key", format!("{} bits", keyslot.key_size.saturating_mul(8)));
    line(text, "  Priority", format!("{:?}", keyslot.priority).to_lowercase());
    match &keyslot.kind {
        KeyslotKind::Luks2(luks2) => {
            line(text, "  Cipher", &luks2.encryption);
            line(text, "  Derivation", derivation(&luks2.kdf));
            line(text, "  Splitter", format!("{}, {} stripes", luks2.af_hash, luks2.af_stripes));
        }
        KeyslotKind::Other { name } => line(text, "  Type", name),
    }
    line(text, "  Area", format!("{} at byte {}", keyslot.area.size(), keyslot.area.offset().0));
}

fn opened_by(binding: Option<&Binding>) -> String {
    match binding.map(|binding| clevis::describe(&binding.jwe, clevis::pins::ALL)) {
        None => "a passphrase".to_owned(),
        Some(Ok(found)) => format!("{} {}", found.pin, found.shown.config.to_compact().as_str()),
        Some(Err(error)) => volume::reasons(&error),
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

fn heading(text: &mut String, what: &str, name: impl std::fmt::Display) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "\n{what} {}", visible(&name.to_string()));
}

fn line(text: &mut String, name: &str, value: impl std::fmt::Display) {
    let _ = writeln!(text, "{:<18}{}", format!("{name}:"), visible(&value.to_string()));
}
