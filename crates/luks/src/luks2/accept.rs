//! What a LUKS2 header must be before anything is opened with it: one segment of encrypted data, known ciphers at full
//! strength, bounded key derivation, a digest for the data, and nothing under way. What the list leaves out: null ciphers
//! (CVE-2025-59054), forged reencryption (CVE-2021-4122), `capi:` names.

use crate::af;
use crate::allowed::{
    AcceptedSlot, Allowed, Data, DataPlace, Facts, accept_cipher, accept_hash, accept_iterations, accept_key_len,
    check_cost,
};
use crate::cipher::SectorSize;
use crate::kdf::{Kdf, KdfCost};
use crate::key_digest::KeyDigest;
use crate::luks2::digest::{Digest, DigestKind, Pbkdf2Digest};
use crate::luks2::json::Metadata;
use crate::luks2::keyslot::{KdfMember, Keyslot, KeyslotKind, Luks2Keyslot};
use crate::luks2::reencryption::Reencryption;
use crate::luks2::segment::{Segment, SegmentKind};
use crate::refused::Refused;
use crate::slot::Slot;
use block::Bytes;
use crypto::kdf::{Argon2Cost, Argon2Variant};
use std::collections::BTreeMap;

/// The shortest digest that is believed: what LUKS1 has. An empty one would fit any key.
const SHORTEST_DIGEST: usize = 20;

/// Accepts the metadata, or says which one thing about it is not allowed.
pub(crate) fn accept(metadata: &Metadata, allowed: &Allowed) -> Result<Facts, Refused> {
    check_requirements(metadata)?;
    let (segment_name, data) = accept_segment(metadata, allowed)?;
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
    Ok(Facts { data, digest_name: digest_name.to_owned(), digest: key_digest, slots })
}

/// Refuses what is unknown, and data that is just being moved.
pub(crate) fn check_requirements(metadata: &Metadata) -> Result<(), Refused> {
    // An unknown one comes first: it may change what the others mean.
    if let Some(name) = metadata.config.requirements.iter().find(|name| !name.contains("reencrypt")) {
        return Err(Refused::Requirement { name: name.clone() });
    }
    Reencryption::of(metadata).map_or(Ok(()), |state| Err(Refused::Reencryption { state }))
}

fn accept_segment(metadata: &Metadata, allowed: &Allowed) -> Result<(String, Data), Refused> {
    let mut segments = metadata.segments.iter();
    let (Some((name, segment)), None) = (segments.next(), segments.next()) else {
        return Err(Refused::SegmentCount { count: metadata.segments.len() });
    };
    Ok((name.clone(), accept_data(segment, allowed)?))
}

fn accept_data(segment: &Segment, allowed: &Allowed) -> Result<Data, Refused> {
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
    if segment.offset == Bytes(0) && allowed.data == DataPlace::BehindHeader {
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
    let (hash, iterations) = (accept_hash(hash, None)?, accept_iterations(*iterations, None, allowed)?);
    Ok(KeyDigest::new(hash, iterations, salt.clone(), digest.clone()))
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
