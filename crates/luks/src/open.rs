//! From a passphrase to the volume key.

use crate::accept::Accepted;
use crate::af;
use crate::allowed::AcceptedSlot;
use crate::cipher::SectorSize;
use crate::slot::Priority;
use crate::slot::Slot;
use block::{BlockError, BlockRead};
use crypto::kdf::KdfError;
use crypto::sector::SectorError;
use crypto::{Passphrase, Secret, VolumeKey};
use std::fmt;
use zeroize::Zeroizing;

/// Why a slot gave no volume key.
#[derive(Debug)]
pub enum OpenError {
    /// There is no such slot, or it does not hold the key of the data.
    NoSuchSlot {
        /// The slot.
        slot: Slot,
    },
    /// The passphrase is not that of this slot.
    WrongPassphrase {
        /// The slot.
        slot: Slot,
    },
    /// The passphrase is not that of any slot.
    NoSlotOpens {
        /// Those that were tried.
        tried: Vec<Slot>,
    },
    /// Opening the slot takes more memory than is free. It was not tried.
    NotEnoughMemory {
        /// The slot.
        slot: Slot,
        /// How much it takes, in KiB.
        needed_kib: u64,
        /// How much is free, in KiB.
        free_kib: u64,
    },
    /// The passphrase could not be stretched.
    Kdf {
        /// The slot.
        slot: Slot,
        /// What went wrong.
        source: KdfError,
    },
    /// The cipher refused the key or the data.
    Cipher {
        /// The slot.
        slot: Slot,
        /// What went wrong.
        source: SectorError,
    },
    /// The key material could not be read.
    Disk {
        /// The slot.
        slot: Slot,
        /// What went wrong.
        source: BlockError,
    },
}

/// Opens one slot. Reads its key material and nothing else.
///
/// # Errors
/// [`OpenError::WrongPassphrase`] if the passphrase gives another key than the digest wants (compared in constant time); the
/// others when it did not come to that. [`OpenError::NotEnoughMemory`] comes before anything is tried: a process that takes
/// more than there is may be killed without a word.
pub fn open_keyslot(
    disk: &dyn BlockRead,
    header: &Accepted,
    slot: Slot,
    passphrase: &Passphrase,
) -> Result<VolumeKey, OpenError> {
    let keyslot = header.slot(slot).ok_or(OpenError::NoSuchSlot { slot })?;
    if let (Some(free_kib), Some(needed_kib)) = (header.allowed().free_memory_kib, header.memory_kib(slot))
        && needed_kib > free_kib
    {
        return Err(OpenError::NotEnoughMemory { slot, needed_kib, free_kib });
    }
    let area_key =
        keyslot.kdf.derive(passphrase, keyslot.area_key_len).map_err(|source| OpenError::Kdf { slot, source })?;
    let stripes = read_stripes(disk, slot, keyslot, &area_key)?;
    let key = VolumeKey::new(af::merge(keyslot.af_hash, &stripes, keyslot.key_len));
    if header.digest().fits(&key) { Ok(key) } else { Err(OpenError::WrongPassphrase { slot }) }
}

/// Tries the passphrase on every slot in [`open_order`].
///
/// # Errors
/// [`OpenError::NoSlotOpens`] if it is wrong for all of them. Any other failure of a slot is returned only if no later slot
/// opens.
pub fn open_any(
    disk: &dyn BlockRead,
    header: &Accepted,
    passphrase: &Passphrase,
) -> Result<(Slot, VolumeKey), OpenError> {
    let mut tried = Vec::new();
    let mut failed = None;
    for slot in open_order(header) {
        match open_keyslot(disk, header, slot, passphrase) {
            Ok(key) => return Ok((slot, key)),
            Err(OpenError::WrongPassphrase { slot }) => tried.push(slot),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    Err(failed.unwrap_or(OpenError::NoSlotOpens { tried }))
}

/// The slots that are tried when none is named: preferred ones first, ignored ones not at all, each group in ascending order.
pub fn open_order(header: &Accepted) -> Vec<Slot> {
    let with = |wanted| header.accepted_slots().filter(move |(_, s)| s.priority == wanted).map(|(slot, _)| slot);
    with(Priority::Prefer).chain(with(Priority::Normal)).collect()
}

/// The stripes of a slot in clear.
fn read_stripes(
    disk: &dyn BlockRead,
    slot: Slot,
    keyslot: &AcceptedSlot,
    area_key: &Secret,
) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let refused = |source| OpenError::Cipher { slot, source };
    let mut stripes = Zeroizing::new(vec![0; af::split_len(keyslot.key_len).unwrap_or(0)]);
    disk.read_at(keyslot.area.offset(), &mut stripes).map_err(|source| OpenError::Disk { slot, source })?;
    let cipher = keyslot.cipher.keyed(area_key.expose(), SectorSize::SMALLEST).map_err(refused)?;
    cipher.decrypt(0, &mut stripes).map_err(refused)?;
    Ok(stripes)
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::NoSuchSlot { slot } => write!(f, "slot {slot} does not hold the key of the data"),
            OpenError::WrongPassphrase { slot } => write!(f, "the passphrase does not open slot {slot}"),
            OpenError::NoSlotOpens { tried } if tried.is_empty() => {
                f.write_str("there is no slot that a passphrase could open")
            }
            OpenError::NoSlotOpens { tried } => write!(f, "the passphrase opens none of {} slots", tried.len()),
            OpenError::NotEnoughMemory { slot, needed_kib, free_kib } => {
                write!(f, "slot {slot} takes {needed_kib} KiB of memory, and {free_kib} KiB are free")
            }
            OpenError::Kdf { slot, .. } => write!(f, "the passphrase could not be stretched for slot {slot}"),
            OpenError::Cipher { slot, .. } => write!(f, "the key material of slot {slot} could not be decrypted"),
            OpenError::Disk { slot, .. } => write!(f, "the key material of slot {slot} could not be read"),
        }
    }
}

impl OpenError {
    /// What a person can do next, where there is something to be done.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            OpenError::NotEnoughMemory { .. } => Some(
                "give the machine more memory, or use a slot that takes less: `cotter luks dump -d DEVICE` tells what each takes",
            ),
            OpenError::Disk { .. } => Some("see the system's log for what the device reported"),
            _ => None,
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            OpenError::Kdf { source, .. } => Some(source),
            OpenError::Cipher { source, .. } => Some(source),
            OpenError::Disk { source, .. } => Some(source),
            _ => None,
        }
    }
}
