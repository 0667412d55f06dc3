//! What an edit would do, in words.

use crate::area::Area;
use crate::slot::{Priority, Slot, TokenId};
use std::fmt;
use uuid::Uuid;

/// One change, for `--dry-run`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names say it
pub enum Step {
    /// A slot is added; its key material is written to this area.
    AddKeyslot { slot: Slot, kdf: &'static str, area: Area },
    /// A slot for a key that is not the volume's is added.
    AddUnboundKeyslot { slot: Slot, kdf: &'static str, area: Area },
    /// A slot gets another passphrase; the area that it had is overwritten with random bytes.
    ReplaceKeyslot { slot: Slot, kdf: &'static str, area: Area, old: Area },
    /// A slot gets another passphrase where it lies; its key material is written to this area, and meanwhile the slot `via` holds it.
    /// Without one a power failure meanwhile loses the slot.
    RewriteKeyslot { slot: Slot, kdf: &'static str, area: Area, via: Option<Slot> },
    /// A slot is removed; its area is overwritten with random bytes.
    RemoveKeyslot { slot: Slot, area: Area },
    /// A token is added.
    AddToken { token: TokenId, kind: String, slots: Vec<Slot> },
    /// A token gives way to another one of the same number.
    ReplaceToken { token: TokenId, kind: String, slots: Vec<Slot> },
    /// A token is removed.
    RemoveToken { token: TokenId, kind: String },
    /// A slot is tried earlier, later or not at all.
    SetPriority { slot: Slot, priority: Priority },
    /// The header is sealed.
    Seal { token: TokenId, epoch: u64 },
    /// The seal is made to fit the change.
    RenewSeal { token: TokenId },
    /// The label changes.
    SetLabel { label: String },
    /// The subsystem label changes.
    SetSubsystem { subsystem: String },
    /// The flags of the mapping change.
    SetFlags { flags: Vec<String> },
    /// An empty LUKSMeta is written to the beginning of this gap.
    InitMeta { gap: Area },
    /// Data for a slot is written to LUKSMeta.
    SaveMeta { slot: Slot, uuid: Uuid, area: Area },
    /// The data of a slot is removed from LUKSMeta.
    WipeMeta { slot: Slot, uuid: Uuid },
    /// This gap is overwritten with zeros.
    NukeMeta { gap: Area },
}

/// Where key material goes over the only copy.
const LOST: &str = ": a power failure meanwhile loses the keyslot";

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::AddKeyslot { slot, kdf, area } => {
                write!(f, "add keyslot {slot} ({kdf}), key material at byte {} ({})", area.offset().0, area.size())
            }
            Step::AddUnboundKeyslot { slot, kdf, area } => {
                let (start, size) = (area.offset().0, area.size());
                write!(f, "add keyslot {slot} ({kdf}) for a key of its own, key material at byte {start} ({size})")
            }
            Step::ReplaceKeyslot { slot, kdf, area, old } if area == old => {
                let (start, size) = (area.offset().0, area.size());
                write!(f, "replace keyslot {slot} ({kdf}) in place, key material at byte {start} ({size}){LOST}")
            }
            Step::ReplaceKeyslot { slot, kdf, area, old } => {
                let (start, size, old) = (area.offset().0, area.size(), old.offset().0);
                write!(
                    f,
                    "replace keyslot {slot} ({kdf}), key material at byte {start} ({size}), overwrite that at byte {old}"
                )
            }
            Step::RewriteKeyslot { slot, kdf, area, via } => {
                write!(
                    f,
                    "rewrite keyslot {slot} ({kdf}), key material at byte {} ({})",
                    area.offset().0,
                    area.size()
                )?;
                match via {
                    Some(via) => write!(f, ", meanwhile in keyslot {via}"),
                    None => f.write_str(LOST),
                }
            }
            Step::RemoveKeyslot { slot, area } => {
                write!(
                    f,
                    "remove keyslot {slot}, overwrite its key material at byte {} ({})",
                    area.offset().0,
                    area.size()
                )
            }
            Step::AddToken { token, kind, slots } => {
                write!(f, "add token {token} ({kind:?}) for keyslot {}", list(slots))
            }
            Step::ReplaceToken { token, kind, slots } => {
                write!(f, "replace token {token} ({kind:?}) for keyslot {}", list(slots))
            }
            Step::RemoveToken { token, kind } => write!(f, "remove token {token} ({kind:?})"),
            Step::SetPriority { slot, priority } => write!(f, "set the priority of keyslot {slot} to {priority}"),
            Step::Seal { token, epoch } => write!(f, "seal the header with token {token} (epoch {epoch})"),
            Step::RenewSeal { token } => write!(f, "renew the seal, token {token}"),
            Step::SetLabel { label } => write!(f, "set the label to {label:?}"),
            Step::SetSubsystem { subsystem } => write!(f, "set the subsystem label to {subsystem:?}"),
            Step::SetFlags { flags } if flags.is_empty() => f.write_str("clear the flags of the mapping"),
            Step::SetFlags { flags } => write!(f, "set the flags of the mapping to {}", flags.join(", ")),
            Step::InitMeta { gap } => write!(f, "make an empty LUKSMeta at byte {} ({})", gap.offset().0, gap.size()),
            Step::SaveMeta { slot, uuid, area } => {
                write!(
                    f,
                    "save data {uuid} for keyslot {slot} in LUKSMeta, at byte {} ({})",
                    area.offset().0,
                    area.size()
                )
            }
            Step::WipeMeta { slot, uuid } => write!(f, "remove data {uuid} for keyslot {slot} from LUKSMeta"),
            Step::NukeMeta { gap } => {
                write!(f, "overwrite all of LUKSMeta with zeros, at byte {} ({})", gap.offset().0, gap.size())
            }
        }
    }
}

fn list(slots: &[Slot]) -> String {
    slots.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
