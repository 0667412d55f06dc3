//! Why a header cannot be changed as asked.

use crate::header::Version;
use crate::luks1::meta::MetaError;
use crate::luks2::json::MetadataError;
use crate::refused::Refused;
use crate::seal::SealBroken;
use crate::slot::{Slot, TokenId};
use block::Bytes;
use crypto::RandomFailed;
use crypto::kdf::KdfError;
use crypto::sector::SectorError;
use std::fmt;
use uuid::Uuid;

/// Why a change is not possible. The edit is as it was before.
#[derive(Debug)]
pub enum EditError {
    /// The disk does not begin with a LUKS header any more; only the second copy was found. Something else may be there.
    PrimaryGone,
    /// The two copies of the header contradict each other, and a change would overwrite the one that may be right.
    Contradiction {
        /// The UUID of the other copy, if it is of another volume.
        other: Option<Uuid>,
    },
    /// This version of the format has no such thing.
    NotInThisVersion {
        /// What it has not.
        what: &'static str,
        /// The version.
        version: Version,
    },
    /// The sequence number cannot grow.
    SequenceExhausted,
    /// The slot is in use.
    SlotInUse {
        /// The slot.
        slot: Slot,
    },
    /// All slots are in use.
    NoFreeSlot,
    /// No slot is free to hold the new key while this one is overwritten.
    NoSlotToSpare {
        /// The slot that was to be replaced.
        slot: Slot,
    },
    /// There is no gap between the key material and the data that LUKSMeta could lie in.
    NoGap,
    /// The gap reaches behind the end of the disk.
    GapBehindDisk {
        /// Where the gap ends, because the data begins.
        payload: Bytes,
        /// How long the disk is.
        disk: Bytes,
    },
    /// The gap is too long to be overwritten as a whole.
    GapTooLong {
        /// How long it is.
        size: Bytes,
    },
    /// There is no LUKSMeta yet.
    NoMeta,
    /// There is LUKSMeta, but it cannot be used.
    Meta {
        /// What is wrong with it.
        source: MetaError,
    },
    /// The slot has data in LUKSMeta.
    MetaInUse {
        /// The slot.
        slot: Slot,
    },
    /// The UUID of all zeros means an empty slot of LUKSMeta.
    ReservedUuid,
    /// There are no data to be stored in LUKSMeta.
    NoMetaData {
        /// For which slot.
        slot: Slot,
    },
    /// There is no room for such data in LUKSMeta.
    NoRoomForMeta {
        /// For which slot.
        slot: Slot,
        /// How much there is of it.
        size: Bytes,
    },
    /// Data for LUKSMeta, or what its table says is there, is longer than [`crate::META_MOST`].
    MetaTooLong {
        /// Of which slot.
        slot: Slot,
        /// How long it is.
        size: Bytes,
    },
    /// There is no such slot, or it does not hold the key of the data.
    NoSuchSlot {
        /// The slot.
        slot: Slot,
    },
    /// The token is in use.
    TokenInUse {
        /// The token.
        token: TokenId,
    },
    /// All tokens are in use.
    NoFreeToken,
    /// There is no such token.
    NoSuchToken {
        /// The token.
        token: TokenId,
    },
    /// There is no gap for the key material.
    NoRoom {
        /// How much is needed.
        size: Bytes,
    },
    /// The JSON would not fit into its area.
    MetadataFull {
        /// How long the area is.
        size: Bytes,
    },
    /// The key is not the key of this volume.
    WrongVolumeKey,
    /// The key is the key of this volume, and a slot for another one was asked for.
    VolumeKey,
    /// The header's seal is no good: a change would hide that.
    SealBroken {
        /// Why not.
        source: SealBroken,
    },
    /// The epoch of the seal cannot grow.
    EpochExhausted,
    /// A seal is not put there, nor overwritten, as a token like others.
    SealToken {
        /// The token.
        token: TokenId,
    },
    /// A label is longer than 47 bytes, or holds a NUL.
    Label,
    /// The cost of the passphrase is out of the bounds under which the header was accepted.
    Refused {
        /// In what way.
        source: Refused,
    },
    /// The metadata would be wrong; a token that is none, for example.
    Metadata {
        /// What would be wrong.
        source: MetadataError,
    },
    /// The passphrase could not be stretched.
    Kdf {
        /// What went wrong.
        source: KdfError,
    },
    /// The cipher refused the key.
    Cipher {
        /// What went wrong.
        source: SectorError,
    },
    /// There were no random bytes.
    Random {
        /// What went wrong.
        source: RandomFailed,
    },
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EditError::PrimaryGone => {
                f.write_str("the disk does not begin with a LUKS header; only the second copy is there")
            }
            EditError::Contradiction { other: Some(uuid) } => {
                write!(f, "the other copy of the header is of another volume, with the UUID {uuid}")
            }
            EditError::Contradiction { other: None } => {
                f.write_str("the two copies of the header have one sequence number and say different things")
            }
            EditError::NotInThisVersion { what, version } => write!(f, "{version} has no {what}"),
            EditError::SequenceExhausted => f.write_str("the header's sequence number cannot grow any more"),
            EditError::SlotInUse { slot } => write!(f, "slot {slot} is in use"),
            EditError::NoFreeSlot => f.write_str("all slots are in use"),
            EditError::NoSlotToSpare { slot } => {
                write!(f, "all slots are in use, so slot {slot} could only be overwritten where it is")
            }
            EditError::NoGap => f.write_str("there is no room between the key material and the data"),
            EditError::GapBehindDisk { payload, disk } => {
                write!(
                    f,
                    "the gap before the data at byte {} reaches behind the end of the disk of {} bytes",
                    payload.0, disk.0
                )
            }
            EditError::GapTooLong { size } => write!(f, "the gap of {size} is too long to be overwritten as a whole"),
            EditError::NoMeta => f.write_str("there is no LUKSMeta yet"),
            EditError::Meta { .. } => f.write_str("the LUKSMeta that is there cannot be used"),
            EditError::MetaInUse { slot } => write!(f, "slot {slot} has data in LUKSMeta"),
            EditError::ReservedUuid => f.write_str("the UUID of all zeros means an empty slot of LUKSMeta"),
            EditError::NoMetaData { slot } => write!(f, "there are no data for slot {slot} of LUKSMeta"),
            EditError::NoRoomForMeta { slot, size } => {
                write!(f, "there is no room in LUKSMeta for {} bytes for slot {slot}", size.0)
            }
            EditError::MetaTooLong { slot, size } => {
                write!(f, "{} bytes are more than LUKSMeta is allowed to hold for slot {slot}", size.0)
            }
            EditError::NoSuchSlot { slot } => write!(f, "there is no slot {slot}"),
            EditError::TokenInUse { token } => write!(f, "token {token} is in use"),
            EditError::NoFreeToken => f.write_str("all 32 tokens are in use"),
            EditError::NoSuchToken { token } => write!(f, "there is no token {token}"),
            EditError::NoRoom { size } => write!(f, "there is no gap of {size} for the key material of another slot"),
            EditError::MetadataFull { size } => write!(f, "the metadata would not fit into its {size}"),
            EditError::WrongVolumeKey => f.write_str("the key is not the key of this volume"),
            EditError::VolumeKey => f.write_str("the key is the key of this volume"),
            EditError::SealBroken { .. } => f.write_str("the seal of the header is broken"),
            EditError::EpochExhausted => f.write_str("the epoch of the seal cannot grow any more"),
            EditError::SealToken { token } => write!(f, "token {token} would be, or is, the seal of the header"),
            EditError::Label => f.write_str("a label has at most 47 bytes, and no NUL"),
            EditError::Refused { .. } => f.write_str("the slot would not be accepted"),
            EditError::Metadata { .. } => f.write_str("the header would not be right after the change"),
            EditError::Kdf { .. } => f.write_str("the passphrase could not be stretched"),
            EditError::Cipher { .. } => f.write_str("the key material could not be encrypted"),
            EditError::Random { .. } => f.write_str("there are no random bytes"),
        }
    }
}

impl std::error::Error for EditError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            EditError::Refused { source } => Some(source),
            EditError::Meta { source } => Some(source),
            EditError::SealBroken { source } => Some(source),
            EditError::Metadata { source } => Some(source),
            EditError::Kdf { source } => Some(source),
            EditError::Cipher { source } => Some(source),
            EditError::Random { source } => Some(source),
            _ => None,
        }
    }
}
