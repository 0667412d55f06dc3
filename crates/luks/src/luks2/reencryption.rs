//! Whether the data of a volume is just being encrypted, decrypted or reencrypted (LUKS2 on-disk format, section 3.2.2: keyslots
//! of type `reencrypt`; section 3.6: requirements). It is recognised, and left to the program that began it.

use crate::luks2::json::Metadata;
use crate::luks2::keyslot::KeyslotKind;
use std::fmt;

/// What is going on with the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reencryption {
    /// It is being encrypted in place.
    Encrypting,
    /// It is being decrypted in place.
    Decrypting,
    /// It gets another key or cipher.
    Reencrypting,
    /// It gets another key or cipher, under the first version of the requirement: what goes on is not protected by the volume
    /// key, so anybody may have written it (CVE-2021-4122).
    Unprotected,
    /// It was being rewritten by `cryptsetup-reencrypt`, which keeps its state in files outside the volume.
    Offline,
    /// The header says so in one place and not in the other: no program leaves it like that.
    Contradictory,
}

impl Reencryption {
    /// Finds out what goes on; `None` if nothing does.
    pub(crate) fn of(metadata: &Metadata) -> Option<Reencryption> {
        let wants = |name: &str| metadata.config.requirements.iter().any(|wanted| wanted == name);
        let required = metadata.config.requirements.iter().any(|name| name.contains("reencrypt"));
        match (mode(metadata), required) {
            (None, false) => None,
            (None, true) if wants("offline-reencrypt") => Some(Reencryption::Offline),
            (Some(_), true) if wants("online-reencrypt") => Some(Reencryption::Unprotected),
            (Some("encrypt"), true) => Some(Reencryption::Encrypting),
            (Some("decrypt"), true) => Some(Reencryption::Decrypting),
            (Some("reencrypt"), true) => Some(Reencryption::Reencrypting),
            _ => Some(Reencryption::Contradictory),
        }
    }

    /// What a person can do next.
    pub fn hint(self) -> &'static str {
        match self {
            Reencryption::Encrypting | Reencryption::Decrypting | Reencryption::Reencrypting => {
                "if it was started on purpose, finish it: `cryptsetup reencrypt --resume-only DEVICE`, with `--header FILE` if the header is kept apart"
            }
            Reencryption::Unprotected => {
                "if it was started on purpose, `cryptsetup repair DEVICE` asks for the passphrase and protects it, then `cryptsetup reencrypt --resume-only DEVICE` finishes it; if not, restore a backup of the header"
            }
            Reencryption::Offline => {
                "if it was started on purpose, finish it with `cryptsetup-reencrypt DEVICE` in the directory that has its LUKS-*.log file"
            }
            Reencryption::Contradictory => {
                "somebody may have changed this header: restore a backup of it, `cotter luks restore`"
            }
        }
    }
}

/// The mode of the keyslot that stands for the reencryption; empty if it has none.
fn mode(metadata: &Metadata) -> Option<&str> {
    let reencrypts = |kind: &KeyslotKind| matches!(kind, KeyslotKind::Other { name } if name == "reencrypt");
    let slot = metadata.keyslots.iter().find(|(_, keyslot)| reencrypts(&keyslot.kind))?.0.to_string();
    let keyslots = metadata.document().as_object().and_then(|root| root.get("keyslots")?.as_object());
    let keyslot = keyslots.and_then(|slots| slots.get(&slot)?.as_object());
    Some(keyslot.and_then(|keyslot| keyslot.get("mode")?.as_str()).unwrap_or_default())
}

impl fmt::Display for Reencryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reencryption::Encrypting => "the volume is being encrypted",
            Reencryption::Decrypting => "the volume is being decrypted",
            Reencryption::Reencrypting => "the volume is being reencrypted",
            Reencryption::Unprotected => {
                "the volume is being reencrypted, and nothing proves that its owner wants that"
            }
            Reencryption::Offline => "the volume is being reencrypted by cryptsetup-reencrypt",
            Reencryption::Contradictory => "the header contradicts itself about a reencryption",
        })
    }
}
