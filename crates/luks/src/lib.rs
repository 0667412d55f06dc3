//! LUKS on disk, and the decrypted view.
//!
//! A header is read once ([`Header::read`]), then accepted ([`Header::accept`]), and only an accepted one opens a slot
//! ([`open_keyslot`]), is changed ([`Edit`]) or is looked through ([`Plain`]). LUKS1 with LUKSMeta and LUKS2 are here;
//! reencryption and authenticated data are refused by name.
//!
//! Absent on purpose: the device mapper, pins, policies, locks. The judge of all of it is cryptsetup: what is written here it
//! opens, what it writes is opened here.

#![forbid(unsafe_code)]

mod accept;
mod af;
mod allowed;
mod area;
mod backup;
mod cipher;
mod edit;
mod edit_error;
mod erase;
mod fingerprint;
mod force;
mod format;
mod format_error;
mod format_options;
mod header;
mod header_error;
mod kdf;
mod key_digest;
mod luks1;
mod luks2;
mod material;
mod open;
mod plain;
mod refused;
mod repair;
mod restore;
mod seal;
mod slot;
mod step;
mod undo;

pub use accept::Accepted;
pub use af::STRIPES;
pub use allowed::{Allowed, Data, DataPlace};
pub use area::Area;
pub use backup::{Backup, BackupError};
pub use cipher::{Cipher, SectorSize};
pub use edit::Edit;
pub use edit_error::EditError;
pub use erase::{EraseError, ErasePlan, Erased};
pub use fingerprint::{HeaderFingerprint, KeyFingerprint};
pub use force::Force;
pub use format::{FormatEvent, FormatPlan, Formatted, PreparedFormat};
pub use format_error::FormatError;
pub use format_options::FormatOptions;
pub use header::{Header, Version};
pub use header_error::HeaderError;
pub use kdf::{Kdf, KdfCost, LEAST_ITERATIONS, Measured, scaled_argon2};
pub use luks1::header::{Luks1, Luks1Error, Luks1Slot};
pub use luks1::meta::{LuksMeta, META_KEPT, META_MOST, MetaError, MetaSlot, MetaState};
pub use luks1::repair::{CLEVIS_UUID, Luks1Fault};
pub use luks2::binary_header::{BinaryError, HeaderCopy, HeaderSize};
pub use luks2::copy::{CopyError, CopyState};
pub use luks2::digest::{Digest, DigestKind, Pbkdf2Digest};
pub use luks2::flag::Flag;
pub use luks2::header::Luks2;
pub use luks2::json::{Config, Metadata, MetadataError, Misplaced};
pub use luks2::keyslot::{KdfMember, Keyslot, KeyslotKind, Luks2Keyslot};
pub use luks2::reencryption::Reencryption;
pub use luks2::segment::{CryptSegment, Segment, SegmentKind};
pub use luks2::token::{Token, TokenKind};
pub use material::NewKeyslot;
pub use open::{OpenError, open_any, open_keyslot, open_order};
pub use plain::{Plain, PlainError};
pub use refused::Refused;
pub use repair::{RepairError, RepairPlan, RepairStep, UnusedAreas};
pub use restore::{RestoreConcern, RestoreError, RestorePlan};
pub use seal::{Difference, SealBroken, SealState};
pub use slot::{Priority, Slot, TokenId};
pub use step::Step;
pub use undo::{Applied, ApplyError, RevertError, Undo, WriteFailure};
