//! Why a header is not accepted, in words.

use crate::cipher::Cipher;
use crate::luks2::reencryption::Reencryption;
use crate::slot::Slot;
use std::fmt;

/// The one thing about a header that is not allowed. Where `slot` is an option, `None` means the data.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each says in `Display` what it means
pub enum Refused {
    /// The header demands something that we do not know.
    Requirement { name: String },
    /// The volume is being encrypted, decrypted or reencrypted, or pretends to be.
    Reencryption { state: Reencryption },
    /// There is not exactly one segment.
    SegmentCount { count: usize },
    /// The segment is not `crypt`.
    SegmentKind { name: String },
    /// The segment has a flag.
    SegmentFlag { name: String },
    /// The data carries authentication tags.
    Integrity,
    /// The data is not on this disk.
    DetachedHeader,
    /// A cipher that does not encrypt.
    NullCipher { slot: Option<Slot>, name: String },
    /// A cipher that is not on the list.
    Cipher { slot: Option<Slot>, name: String },
    /// A key of a length that the cipher does not have.
    KeyLength { slot: Option<Slot>, cipher: Cipher, found: u32 },
    /// A sector size that dm-crypt does not have.
    SectorSize { found: u32 },
    /// The slot is not of type `luks2`.
    KeyslotKind { slot: Slot, name: String },
    /// The splitter's stripes are not 4000.
    Stripes { slot: Slot, found: u32 },
    /// A hash that is not on the list. For the data: of the digest.
    Hash { slot: Option<Slot>, name: String },
    /// Fewer iterations of PBKDF2 than 1000.
    TooFewIterations { slot: Option<Slot>, found: u32 },
    /// More iterations of PBKDF2 than allowed.
    TooManyIterations { slot: Option<Slot>, found: u32, most: u32 },
    /// More memory than allowed.
    Argon2Memory { slot: Slot, found_kib: u32, most_kib: u32 },
    /// More passes than allowed.
    Argon2Passes { slot: Slot, found: u32, most: u32 },
    /// More lanes than allowed.
    Argon2Lanes { slot: Slot, found: u32, most: u32 },
    /// No pass, no lane, or less than 8 KiB for each lane.
    Argon2TooLittle { slot: Slot },
    /// No digest covers the data.
    NoDigest,
    /// Several digests cover the data.
    SeveralDigests,
    /// Several digests cover one slot.
    SeveralDigestsOfSlot { slot: Slot },
    /// The digest is not `pbkdf2`.
    DigestKind { name: String },
    /// The digest is too short to mean anything, or longer than any hash.
    DigestLength { found: usize },
    /// The key material of a slot does not lie between the header and the data, or reaches behind the end of the disk.
    AreaOutside { slot: Slot },
    /// The key material of two slots has bytes in common.
    AreaOverlaps { slot: Slot, other: Slot },
}

/// `slot 3`, or `the data`.
struct Of(Option<Slot>);

impl fmt::Display for Of {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(slot) => write!(f, "slot {slot}"),
            None => f.write_str("the data"),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Requirement { name } => write!(f, "the header requires {name:?}, which is not known here"),
            Refused::Reencryption { state } => state.fmt(f),
            Refused::SegmentCount { count } => write!(f, "the header has {count} segments, not one"),
            Refused::SegmentKind { name } => write!(f, "the data is of type {name:?}, not \"crypt\""),
            Refused::SegmentFlag { name } => write!(f, "the data is marked {name:?}"),
            Refused::Integrity => f.write_str("the data has authentication tags, which is not supported yet"),
            Refused::DetachedHeader => f.write_str("the header is kept apart from its data, which is not on this disk"),
            Refused::NullCipher { slot, name } => write!(f, "{} would not be encrypted at all ({name:?})", Of(*slot)),
            Refused::Cipher { slot, name } => write!(f, "the cipher {name:?} of {} is not allowed", Of(*slot)),
            Refused::KeyLength { slot, cipher, found } => {
                write!(f, "{} has a key of {found} bytes, which {cipher} does not take", Of(*slot))
            }
            Refused::SectorSize { found } => write!(f, "the sector size {found} is not 512, 1024, 2048 or 4096"),
            Refused::KeyslotKind { slot, name } => write!(f, "slot {slot} is of the unknown type {name:?}"),
            Refused::Stripes { slot, found } => write!(f, "slot {slot} has {found} stripes, not 4000"),
            Refused::Hash { slot, name } => write!(f, "the hash {name:?} of {} is not allowed", Of(*slot)),
            Refused::TooFewIterations { slot, found } => {
                write!(f, "{} has {found} iterations of PBKDF2, fewer than 1000", Of(*slot))
            }
            Refused::TooManyIterations { slot, found, most } => {
                write!(f, "{} has {found} iterations of PBKDF2, more than {most}", Of(*slot))
            }
            Refused::Argon2Memory { slot, found_kib, most_kib } => {
                write!(f, "slot {slot} wants {found_kib} KiB of memory for Argon2, more than {most_kib}")
            }
            Refused::Argon2Passes { slot, found, most } => {
                write!(f, "slot {slot} wants {found} passes of Argon2, more than {most}")
            }
            Refused::Argon2Lanes { slot, found, most } => {
                write!(f, "slot {slot} wants {found} lanes of Argon2, more than {most}")
            }
            Refused::Argon2TooLittle { slot } => {
                write!(f, "the cost of Argon2 of slot {slot} is less than there can be")
            }
            Refused::NoDigest => f.write_str("no digest covers the data, so no key could be known to be right"),
            Refused::SeveralDigests => f.write_str("several digests cover the data"),
            Refused::SeveralDigestsOfSlot { slot } => write!(f, "several digests cover slot {slot}"),
            Refused::DigestKind { name } => write!(f, "the digest is of the unknown type {name:?}"),
            Refused::AreaOutside { slot } => {
                write!(f, "the key material of slot {slot} does not lie between the header and the data")
            }
            Refused::AreaOverlaps { slot, other } => {
                write!(f, "the key material of slot {slot} overlaps that of slot {other}")
            }
            Refused::DigestLength { found } => write!(f, "the digest has {found} bytes, not 20 to 64"),
        }
    }
}

impl std::error::Error for Refused {}

impl Refused {
    /// What a person can do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Refused::Reencryption { state } => state.hint(),
            Refused::Requirement { .. } => "a newer program may know it: nothing else may touch the volume until then",
            Refused::DetachedHeader => "name the header's own file as well: `--detached-header FILE`",
            Refused::NullCipher { .. } => {
                "somebody may have changed this header: compare it with a backup before anything else"
            }
            Refused::TooManyIterations { .. }
            | Refused::Argon2Memory { .. }
            | Refused::Argon2Passes { .. }
            | Refused::Argon2Lanes { .. } => "if the slot is known to be yours, raise the limit, or remove the slot",
            _ => "compare the header with what it should be: `cotter luks dump -d DEVICE`",
        }
    }
}
