//! What a header must be before anything is opened with it.
//!
//! Whoever can write to the disk can write any header, and a header decides how a passphrase is stretched, which cipher the
//! data goes through and what is done to the data meanwhile. So only what is on the list is accepted, by exact name: one
//! segment of encrypted data, known ciphers at full strength, bounded key derivation, a digest for the data, and nothing
//! under way. What the list leaves out: null ciphers (CVE-2025-59054), forged reencryption (CVE-2021-4122), `capi:` names.
//!
//! [`Accepted`] holds the same facts as [`Header`], as values that need no further check.

use crate::af;
use crate::cipher::{Cipher, SectorSize};
use crate::header::Header;
use crate::kdf::{Kdf, KdfCost, LEAST_ITERATIONS};
use crate::luks2::area::Area;
use crate::luks2::digest::{Digest, DigestKind, Pbkdf2Digest};
use crate::luks2::id::Slot;
use crate::luks2::json::Metadata;
use crate::luks2::keyslot::{KdfMember, Keyslot, KeyslotKind, Luks2Keyslot, Priority};
use crate::luks2::segment::{Segment, SegmentKind};
use crate::refused::Refused;
use block::Bytes;
use crypto::Hash;
use crypto::kdf::{Argon2Cost, Argon2Variant};
use std::collections::BTreeMap;
use std::num::NonZeroU32;

/// Upper bounds of what a keyslot may cost. Everything else about what is allowed is fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
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
        Allowed { argon2_memory_kib: 4 << 20, argon2_passes: 100, argon2_lanes: 64, pbkdf2_iterations: 200_000_000 }
    }
}

/// The shortest digest that is believed: what LUKS1 has. An empty one would fit any key.
const SHORTEST_DIGEST: usize = 20;

/// A header that may be used.
#[derive(Debug)]
pub struct Accepted {
    header: Header,
    allowed: Allowed,
    data: Data,
    digest_name: String,
    digest: KeyDigest,
    slots: BTreeMap<Slot, AcceptedSlot>,
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

/// How the volume key is known.
#[derive(Clone, Debug)]
pub(crate) struct KeyDigest {
    pub(crate) hash: Hash,
    pub(crate) iterations: NonZeroU32,
    pub(crate) salt: Vec<u8>,
    pub(crate) digest: Vec<u8>,
}

impl Header {
    /// Accepts the header, or says which one thing about it is not allowed.
    ///
    /// # Errors
    /// [`Refused`], one variant per reason.
    pub fn accept(self, allowed: &Allowed) -> Result<Accepted, Refused> {
        let metadata = self.metadata();
        check_requirements(metadata)?;
        let (segment_name, data) = accept_segment(metadata)?;
        let (digest_name, digest) = digest_of(metadata, &segment_name)?;
        let key_digest = accept_digest(digest, allowed)?;
        let mut slots = BTreeMap::new();
        for (slot, keyslot) in &metadata.keyslots {
            let of_data = digest.keyslots.contains(slot);
            if metadata.digests.values().filter(|d| d.keyslots.contains(slot)).count() > 1 {
                return Err(Refused::SeveralDigestsOfSlot { slot: *slot });
            }
            let accepted = accept_slot(*slot, keyslot, &data, of_data, allowed)?;
            if of_data {
                slots.insert(*slot, accepted);
            }
        }
        let digest_name = digest_name.to_owned();
        Ok(Accepted { data, digest_name, digest: key_digest, slots, allowed: *allowed, header: self })
    }
}

impl Accepted {
    /// The header as it was read.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Where and how the data is encrypted.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// The slots that hold the key of the data, in ascending order.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        self.slots.keys().copied()
    }

    /// The key derivation of a slot, if it holds the key of the data.
    pub fn kdf(&self, slot: Slot) -> Option<&KdfCost> {
        self.slot(slot).map(|slot| &slot.kdf.cost)
    }

    /// The splitter's hash of the first slot, which Clevis takes for a slot it adds; SHA-256 if there is none.
    pub fn slot_hash(&self) -> Hash {
        self.slots.values().next().map_or(Hash::Sha256, |slot| slot.af_hash)
    }

    pub(crate) fn slot(&self, slot: Slot) -> Option<&AcceptedSlot> {
        self.slots.get(&slot)
    }

    pub(crate) fn accepted_slots(&self) -> impl Iterator<Item = (Slot, &AcceptedSlot)> {
        self.slots.iter().map(|(slot, accepted)| (*slot, accepted))
    }

    /// The bounds it was accepted under.
    pub(crate) fn allowed(&self) -> &Allowed {
        &self.allowed
    }

    pub(crate) fn digest(&self) -> &KeyDigest {
        &self.digest
    }

    /// The name of the data's digest in the JSON.
    pub(crate) fn digest_name(&self) -> &str {
        &self.digest_name
    }
}

fn check_requirements(metadata: &Metadata) -> Result<(), Refused> {
    if let Some(name) = metadata.config.requirements.first() {
        return Err(if name.contains("reencrypt") {
            Refused::Reencryption
        } else {
            Refused::Requirement { name: name.clone() }
        });
    }
    let reencrypts = |k: &Keyslot| matches!(&k.kind, KeyslotKind::Other { name } if name == "reencrypt");
    if metadata.keyslots.values().any(reencrypts) { Err(Refused::Reencryption) } else { Ok(()) }
}

fn accept_segment(metadata: &Metadata) -> Result<(String, Data), Refused> {
    let mut segments = metadata.segments.iter();
    let (Some((name, segment)), None) = (segments.next(), segments.next()) else {
        return Err(Refused::SegmentCount { count: metadata.segments.len() });
    };
    Ok((name.clone(), accept_data(segment)?))
}

fn accept_data(segment: &Segment) -> Result<Data, Refused> {
    let crypt = match &segment.kind {
        SegmentKind::Crypt(crypt) => crypt,
        SegmentKind::Other { name } => {
            return Err(Refused::SegmentKind { name: name.clone() });
        }
    };
    if let Some(flag) = segment.flags.first() {
        return Err(Refused::SegmentFlag { name: flag.clone() });
    }
    if crypt.integrity {
        return Err(Refused::Integrity);
    }
    if segment.offset == Bytes(0) {
        return Err(Refused::DetachedHeader);
    }
    Ok(Data {
        offset: segment.offset,
        size: segment.size,
        cipher: accept_cipher(&crypt.encryption, None)?,
        sector_size: SectorSize::new(crypt.sector_size.into())
            .ok_or(Refused::SectorSize { found: crypt.sector_size })?,
        iv_tweak: crypt.iv_tweak,
    })
}

/// The cipher of a slot's area, or of the data.
fn accept_cipher(name: &str, slot: Option<Slot>) -> Result<Cipher, Refused> {
    match Cipher::from_name(name) {
        Some(cipher) => Ok(cipher),
        None if name.contains("null") => Err(Refused::NullCipher { slot, name: name.to_owned() }),
        None => Err(Refused::Cipher { slot, name: name.to_owned() }),
    }
}

fn digest_of<'a>(metadata: &'a Metadata, segment: &String) -> Result<(&'a str, &'a Digest), Refused> {
    let mut digests = metadata.digests.iter().filter(|(_, digest)| digest.segments.contains(segment));
    match (digests.next(), digests.next()) {
        (Some((name, digest)), None) => Ok((name, digest)),
        (None, _) => Err(Refused::NoDigest),
        (Some(_), Some(_)) => Err(Refused::SeveralDigests),
    }
}

fn accept_digest(digest: &Digest, allowed: &Allowed) -> Result<KeyDigest, Refused> {
    let Pbkdf2Digest { hash, iterations, salt, digest } = match &digest.kind {
        DigestKind::Pbkdf2(digest) => digest,
        DigestKind::Other { name } => return Err(Refused::DigestKind { name: name.clone() }),
    };
    if digest.len() < SHORTEST_DIGEST || digest.len() > 64 {
        return Err(Refused::DigestLength { found: digest.len() });
    }
    Ok(KeyDigest {
        hash: accept_hash(hash, None)?,
        iterations: accept_iterations(*iterations, None, allowed)?,
        salt: salt.clone(),
        digest: digest.clone(),
    })
}

fn accept_hash(name: &str, slot: Option<Slot>) -> Result<Hash, Refused> {
    Hash::from_luks_name(name).ok_or_else(|| Refused::Hash { slot, name: name.to_owned() })
}

fn accept_iterations(found: u32, slot: Option<Slot>, allowed: &Allowed) -> Result<NonZeroU32, Refused> {
    let most = allowed.pbkdf2_iterations;
    match NonZeroU32::new(found).filter(|n| *n >= LEAST_ITERATIONS) {
        Some(_) if found > most => Err(Refused::TooManyIterations { slot, found, most }),
        Some(n) => Ok(n),
        None => Err(Refused::TooFewIterations { slot, found }),
    }
}

fn accept_slot(
    slot: Slot,
    keyslot: &Keyslot,
    data: &Data,
    of_data: bool,
    allowed: &Allowed,
) -> Result<AcceptedSlot, Refused> {
    let luks2 = match &keyslot.kind {
        KeyslotKind::Luks2(luks2) => luks2,
        KeyslotKind::Other { name } => return Err(Refused::KeyslotKind { slot, name: name.clone() }),
    };
    if luks2.af_stripes != af::STRIPES {
        return Err(Refused::Stripes { slot, found: luks2.af_stripes });
    }
    let cipher = accept_cipher(&luks2.encryption, Some(slot))?;
    let area_key_len = accept_key_len(cipher, luks2.encryption_key_size, Some(slot))?;
    // A slot that is not of the data may hold a key of any length: it is never opened.
    let key_len = if of_data { accept_key_len(data.cipher, keyslot.key_size, None)? } else { 0 };
    Ok(AcceptedSlot {
        priority: keyslot.priority,
        key_len,
        area: keyslot.area,
        cipher,
        area_key_len,
        af_hash: accept_hash(&luks2.af_hash, Some(slot))?,
        kdf: accept_kdf(slot, luks2, allowed)?,
    })
}

fn accept_key_len(cipher: Cipher, found: u32, slot: Option<Slot>) -> Result<usize, Refused> {
    match usize::try_from(found) {
        Ok(len) if cipher.key_lengths().contains(&found) => Ok(len),
        _ => Err(Refused::KeyLength { slot, cipher, found }),
    }
}

fn accept_kdf(slot: Slot, luks2: &Luks2Keyslot, allowed: &Allowed) -> Result<Kdf, Refused> {
    let (cost, salt) = match &luks2.kdf {
        KdfMember::Pbkdf2 { hash, iterations, salt } => {
            let hash = accept_hash(hash, Some(slot))?;
            (KdfCost::Pbkdf2 { hash, iterations: accept_iterations(*iterations, Some(slot), allowed)? }, salt)
        }
        KdfMember::Argon2 { name, time, memory, cpus, salt } => {
            let variant = if name == "argon2i" { Argon2Variant::Argon2i } else { Argon2Variant::Argon2id };
            let cost = Argon2Cost { memory_kib: *memory, passes: *time, lanes: *cpus };
            (KdfCost::Argon2 { variant, cost }, salt)
        }
    };
    check_cost(slot, &cost, allowed)?;
    Ok(Kdf { cost, salt: salt.clone() })
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
