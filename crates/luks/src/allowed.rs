//! The list of what is allowed, and each single value judged by it.
//!
//! Whoever can write to the disk can write any header, and a header decides how a passphrase is stretched, which cipher the
//! data goes through and what is done to the data meanwhile. So only what is on the list is accepted, by exact name.

use crate::area::Area;
use crate::cipher::{Cipher, SectorSize};
use crate::kdf::{Kdf, KdfCost, LEAST_ITERATIONS};
use crate::key_digest::KeyDigest;
use crate::refused::Refused;
use crate::slot::Priority;
use crate::slot::Slot;
use block::Bytes;
use crypto::Hash;
use crypto::kdf::Argon2Cost;
use std::collections::BTreeMap;
use std::num::NonZeroU32;

/// Where the data of a volume is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataPlace {
    /// On the disk of the header, behind it.
    BehindHeader,
    /// On a disk of its own: the header is detached, and its data may begin at 0.
    OtherDisk,
}

/// Where the data is, and upper bounds of what a keyslot may cost. Everything else about what is allowed is fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Where the data is.
    pub data: DataPlace,
    /// How much memory is free, in KiB, if that is known: a slot that needs more is not tried.
    pub free_memory_kib: Option<u64>,
    /// Most memory of Argon2, in KiB.
    pub argon2_memory_kib: u32,
    /// Most passes of Argon2.
    pub argon2_passes: u32,
    /// Most lanes of Argon2.
    pub argon2_lanes: u32,
    /// Most iterations of PBKDF2, of a keyslot or a digest.
    pub pbkdf2_iterations: u32,
}

impl Default for Allowed {
    /// 4 GiB, 100 passes, 64 lanes; 200 million iterations, which is some minutes of SHA-256.
    fn default() -> Allowed {
        Allowed {
            data: DataPlace::BehindHeader,
            free_memory_kib: None,
            argon2_memory_kib: 4 << 20,
            argon2_passes: 100,
            argon2_lanes: 64,
            pbkdf2_iterations: 200_000_000,
        }
    }
}

impl Allowed {
    /// All that is well made, however much a keyslot costs: for who judges a header and derives no key.
    pub fn at_any_cost(data: DataPlace) -> Allowed {
        Allowed {
            data,
            free_memory_kib: None,
            argon2_memory_kib: u32::MAX,
            argon2_passes: u32::MAX,
            argon2_lanes: u32::MAX,
            pbkdf2_iterations: u32::MAX,
        }
    }
}

/// The encrypted data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data {
    /// Where it begins on the disk.
    pub offset: Bytes,
    /// How long it is; `None`: to the end of the disk.
    pub size: Option<Bytes>,
    /// The cipher.
    pub cipher: Cipher,
    /// How much is encrypted as one.
    pub sector_size: SectorSize,
    /// What is added to the number of a 512-byte sector to give its IV.
    pub iv_tweak: u64,
}

/// All that opening needs to know of a header, whatever its version.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) data: Data,
    /// The name of the data's digest in the JSON of LUKS2; `0` for LUKS1.
    pub(crate) digest_name: String,
    pub(crate) digest: KeyDigest,
    pub(crate) slots: BTreeMap<Slot, AcceptedSlot>,
}

/// A keyslot that opens the data.
#[derive(Clone, Debug)]
pub(crate) struct AcceptedSlot {
    pub(crate) priority: Priority,
    pub(crate) key_len: usize,
    pub(crate) area: Area,
    pub(crate) cipher: Cipher,
    pub(crate) area_key_len: usize,
    pub(crate) af_hash: Hash,
    pub(crate) kdf: Kdf,
}

/// The cipher of a slot's area, or of the data.
pub(crate) fn accept_cipher(name: &str, slot: Option<Slot>) -> Result<Cipher, Refused> {
    match Cipher::from_name(name) {
        Some(cipher) => Ok(cipher),
        None if name.contains("null") => Err(Refused::NullCipher { slot, name: name.to_owned() }),
        None => Err(Refused::Cipher { slot, name: name.to_owned() }),
    }
}

pub(crate) fn accept_hash(name: &str, slot: Option<Slot>) -> Result<Hash, Refused> {
    Hash::from_luks_name(name).ok_or_else(|| Refused::Hash { slot, name: name.to_owned() })
}

pub(crate) fn accept_iterations(found: u32, slot: Option<Slot>, allowed: &Allowed) -> Result<NonZeroU32, Refused> {
    let most = allowed.pbkdf2_iterations;
    match NonZeroU32::new(found).filter(|n| *n >= LEAST_ITERATIONS) {
        Some(_) if found > most => Err(Refused::TooManyIterations { slot, found, most }),
        Some(n) => Ok(n),
        None => Err(Refused::TooFewIterations { slot, found }),
    }
}

pub(crate) fn accept_key_len(cipher: Cipher, found: u32, slot: Option<Slot>) -> Result<usize, Refused> {
    match usize::try_from(found) {
        Ok(len) if cipher.key_lengths().contains(&found) => Ok(len),
        _ => Err(Refused::KeyLength { slot, cipher, found }),
    }
}

/// Refuses a cost that is out of bounds; also that of a slot which does not exist yet.
pub(crate) fn check_cost(slot: Slot, cost: &KdfCost, allowed: &Allowed) -> Result<(), Refused> {
    let Argon2Cost { memory_kib, passes, lanes } = match cost {
        KdfCost::Pbkdf2 { iterations, .. } => {
            return accept_iterations(iterations.get(), Some(slot), allowed).map(|_| ());
        }
        KdfCost::Argon2 { cost, .. } => *cost,
    };
    if memory_kib > allowed.argon2_memory_kib {
        Err(Refused::Argon2Memory { slot, found_kib: memory_kib, most_kib: allowed.argon2_memory_kib })
    } else if passes > allowed.argon2_passes {
        Err(Refused::Argon2Passes { slot, found: passes, most: allowed.argon2_passes })
    } else if lanes > allowed.argon2_lanes {
        Err(Refused::Argon2Lanes { slot, found: lanes, most: allowed.argon2_lanes })
    } else if lanes == 0 || passes == 0 || memory_kib < lanes.saturating_mul(8) {
        Err(Refused::Argon2TooLittle { slot })
    } else {
        Ok(())
    }
}
