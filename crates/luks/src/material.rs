//! Key material: what lies in the area of a keyslot.

use crate::af;
use crate::allowed::AcceptedSlot;
use crate::cipher::SectorSize;
use crate::edit_error::EditError;
use crate::kdf::KdfCost;
use crate::slot::Slot;
use crypto::{Hash, Passphrase, Random, RandomFailed, VolumeKey};
use zeroize::Zeroizing;

/// A keyslot to be added.
#[derive(Debug)]
pub struct NewKeyslot<'a> {
    /// The key of the volume; it is checked against the digest.
    pub key: &'a VolumeKey,
    /// What shall open the slot.
    pub passphrase: &'a Passphrase,
    /// The slot; `None`: the lowest that is free.
    pub slot: Option<Slot>,
    /// How slow the passphrase is made.
    pub kdf: KdfCost,
    /// The splitter's hash.
    pub af_hash: Hash,
}

/// The stripes of the key, encrypted as they lie on the disk. Stretches the passphrase, which may take seconds.
pub(crate) fn seal(
    keyslot: &AcceptedSlot,
    new: &NewKeyslot<'_>,
    random: &dyn Random,
) -> Result<Zeroizing<Vec<u8>>, EditError> {
    let refused = |source| EditError::Cipher { source };
    let area_key = keyslot.kdf.derive(new.passphrase, keyslot.area_key_len);
    let area_key = area_key.map_err(|source| EditError::Kdf { source })?;
    let stripes = af::split(keyslot.af_hash, new.key.secret(), random);
    let stripes = stripes.map_err(|source| EditError::Random { source })?;
    let mut bytes = Zeroizing::new(stripes.expose().to_vec());
    let cipher = keyslot.cipher.keyed(area_key.expose(), SectorSize::SMALLEST).map_err(refused)?;
    cipher.encrypt(0, &mut bytes).map_err(refused)?;
    Ok(bytes)
}

pub(crate) fn random_bytes<const N: usize>(random: &dyn Random) -> Result<[u8; N], RandomFailed> {
    let mut bytes = [0; N];
    random.fill(&mut bytes)?;
    Ok(bytes)
}
