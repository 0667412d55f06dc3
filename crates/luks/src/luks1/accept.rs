//! What a LUKS1 header must be before anything is opened with it: the same list as for LUKS2.

use crate::af;
use crate::allowed::{
    AcceptedSlot, Allowed, Data, DataPlace, Facts, accept_cipher, accept_hash, accept_iterations, accept_key_len,
};
use crate::area::Area;
use crate::cipher::{Cipher, SectorSize};
use crate::kdf::{Kdf, KdfCost};
use crate::key_digest::KeyDigest;
use crate::luks1::header::{HEADER_LEN, Luks1, Luks1Slot};
use crate::refused::Refused;
use crate::slot::Priority;
use crate::slot::Slot;
use block::{Bytes, SECTOR};
use crypto::Hash;
use std::collections::BTreeMap;
use std::num::NonZeroU32;

/// Accepts the header, or says which one thing about it is not allowed.
pub(crate) fn accept(header: &Luks1, allowed: &Allowed) -> Result<Facts, Refused> {
    let data = accept_data(header, allowed)?;
    let hash = accept_hash(&header.hash, None)?;
    let iterations = accept_digest_iterations(header.digest_iterations, allowed)?;
    let digest = KeyDigest::new(hash, iterations, header.digest_salt.to_vec(), header.digest.to_vec());
    let key_len = accept_key_len(data.cipher, header.key_bytes, None)?;
    let mut slots = BTreeMap::new();
    for ((slot, entry), area) in Slot::all().zip(&header.slots).zip(accept_areas_on(header, header.disk_len())?) {
        if entry.active {
            slots.insert(slot, accept_slot(slot, entry, area, (data.cipher, key_len, hash), allowed)?);
        }
    }
    Ok(Facts { data, digest_name: "0".to_owned(), digest, slots })
}

/// cryptsetup before 1.1 took 10 for all. Nothing hangs on it: nobody guesses a random key.
const OLD_DIGEST_ITERATIONS: u32 = 10;

fn accept_digest_iterations(found: u32, allowed: &Allowed) -> Result<NonZeroU32, Refused> {
    match NonZeroU32::new(found) {
        Some(old) if found == OLD_DIGEST_ITERATIONS => Ok(old),
        _ => accept_iterations(found, None, allowed),
    }
}

fn accept_data(header: &Luks1, allowed: &Allowed) -> Result<Data, Refused> {
    let cipher = accept_cipher(&header.cipher, None)?;
    if header.payload == Bytes(0) && allowed.data == DataPlace::BehindHeader {
        return Err(Refused::DetachedHeader);
    }
    Ok(Data { offset: header.payload, size: None, cipher, sector_size: SectorSize::SMALLEST, iv_tweak: 0 })
}

/// The places of the eight slots' key material, in use or not, on a disk of this length. Whoever overwrites or copies key
/// material asks for them too: a header may say that it lies in the data.
pub(crate) fn accept_areas_on(header: &Luks1, disk: Bytes) -> Result<Vec<Area>, Refused> {
    let areas = accept_areas(header)?;
    match Slot::all().zip(&areas).find(|(_, area)| area.end() > disk) {
        Some((slot, _)) => Err(Refused::AreaOutside { slot }),
        None => Ok(areas),
    }
}

/// The same, however long the disk is: behind the header, before the data, none over another.
pub(crate) fn accept_areas(header: &Luks1) -> Result<Vec<Area>, Refused> {
    let mut areas: Vec<Area> = Vec::with_capacity(Slot::LUKS1);
    for (slot, entry) in Slot::all().zip(&header.slots) {
        let area = accept_area(slot, entry, header)?;
        if let Some((other, _)) = Slot::all().zip(&areas).find(|(_, other)| other.overlaps(&area)) {
            return Err(Refused::AreaOverlaps { slot, other });
        }
        areas.push(area);
    }
    Ok(areas)
}

fn accept_area(slot: Slot, entry: &Luks1Slot, header: &Luks1) -> Result<Area, Refused> {
    if entry.stripes != af::STRIPES {
        return Err(Refused::Stripes { slot, found: entry.stripes });
    }
    let outside = Refused::AreaOutside { slot };
    let Some(area) = entry.area(header.key_bytes) else { return Err(outside) };
    let behind_header = area.offset() >= Bytes::from(HEADER_LEN);
    let before_data = header.payload == Bytes(0) || area.end() <= header.payload;
    if behind_header && before_data { Ok(area) } else { Err(outside) }
}

fn accept_slot(
    slot: Slot,
    entry: &Luks1Slot,
    area: Area,
    (cipher, key_len, hash): (Cipher, usize, Hash),
    allowed: &Allowed,
) -> Result<AcceptedSlot, Refused> {
    let iterations = accept_iterations(entry.iterations, Some(slot), allowed)?;
    let kdf = Kdf { cost: KdfCost::Pbkdf2 { hash, iterations }, salt: entry.salt.to_vec() };
    Ok(AcceptedSlot { priority: Priority::Normal, key_len, area, cipher, area_key_len: key_len, af_hash: hash, kdf })
}

impl Luks1Slot {
    /// Where the stripes of a key of this length lie, to the end of the last sector they touch.
    pub(crate) fn area(&self, key_bytes: u32) -> Option<Area> {
        let len = u64::from(key_bytes) * u64::from(self.stripes);
        Area::new(self.material, Bytes(len.checked_next_multiple_of(SECTOR)?))
    }
}
