//! A new LUKS1 volume: what lies where, and its header without slots.
//!
//! The places are those of cryptsetup 2.6.1: the key material of each slot begins on a multiple of 4096 bytes, the first at
//! 4096 itself. The digest of the volume key has the fewest iterations there are: nobody guesses a random key.

use crate::af::STRIPES;
use crate::allowed::DataPlace;
use crate::area::{ALIGNMENT, Area};
use crate::cipher::{Cipher, SectorSize};
use crate::format_error::FormatError;
use crate::format_options::{Fill, FormatOptions, Images, Wipe};
use crate::header::{Header, Version};
use crate::kdf::{KdfCost, LEAST_ITERATIONS};
use crate::luks1::header::{DIGEST_LEN, HEADER_LEN, Luks1, Luks1Slot, SALT_LEN};
use crate::luks1::meta::{self, MetaState, TABLE_LEN};
use crate::luks1::places::{keyslots_end, slot_place};
use crate::luks2::binary_header::{HeaderCopy, HeaderSize};
use crate::material::random_bytes;
use crate::slot::Slot;
use block::{Bytes, SECTOR};
use crypto::kdf::pbkdf2;
use crypto::{Random, VolumeKey};
use uuid::Uuid;

/// The header is wiped up to here, whatever comes behind it.
const LEAST_WIPED: u64 = 4096;
/// Where the data begins further on than this, the place between header and data is not wiped.
const MOST_WIPED: u64 = 128 << 20;

/// What lies where.
#[derive(Clone, Debug)]
pub(crate) struct Luks1Layout {
    areas: Vec<Area>,
    gap: Option<Area>,
    data_offset: Bytes,
}

impl Luks1Layout {
    pub(crate) fn new(disk: Bytes, options: &FormatOptions) -> Result<Luks1Layout, FormatError> {
        refuse_what_luks1_has_not(options)?;
        let FormatOptions { key_len, data_offset: offset, data, .. } = *options;
        if !offset.is_multiple_of(ALIGNMENT) {
            return Err(FormatError::Misaligned { offset });
        }
        u32::try_from(offset.0 / SECTOR).map_err(|_| FormatError::OffsetTooLarge { offset })?;
        let end = keyslots_end(key_len);
        let elsewhere = data == DataPlace::OtherDisk;
        if offset < end && !(elsewhere && offset == Bytes(0)) {
            return Err(FormatError::OffsetTooSmall { offset, least: end });
        }
        let least = if elsewhere { end } else { Bytes(offset.0 + SECTOR) };
        if disk < least {
            return Err(FormatError::DiskTooSmall { disk, least });
        }
        let slots = empty_slots(key_len);
        let areas: Vec<Area> = slots.iter().filter_map(|slot| slot.area(key_len)).collect();
        let gap = meta::gap(&areas, offset);
        Ok(Luks1Layout { areas, gap, data_offset: offset })
    }

    /// The key areas become random bytes, the rest up to the data zeros.
    pub(crate) fn wipes(&self) -> Vec<Wipe> {
        let all = (1..=MOST_WIPED).contains(&self.data_offset.0);
        let zeros_end = if all { self.data_offset } else { Bytes(LEAST_WIPED) };
        let zeros = |from: Bytes, to: Bytes| {
            let area = Area::new(from, to.min(zeros_end).checked_sub(from)?)?;
            Some(Wipe { area, fill: Fill::Zeros })
        };
        let mut wipes = Vec::new();
        let mut at = Bytes(0);
        for area in &self.areas {
            wipes.extend(zeros(at, area.offset()));
            wipes.push(Wipe { area: *area, fill: Fill::Random });
            at = area.end();
        }
        wipes.extend(zeros(at, self.data_offset));
        // An older volume's LUKSMeta is not this one's.
        let table = self.gap.filter(|_| !all).and_then(|gap| Area::new(gap.offset(), Bytes(ALIGNMENT)));
        wipes.extend(table.map(|area| Wipe { area, fill: Fill::Zeros }));
        wipes
    }

    /// A header without slots.
    pub(crate) fn empty_header(
        &self,
        options: &FormatOptions,
        disk: Bytes,
        key: &VolumeKey,
        random: &dyn Random,
    ) -> Result<(Images, Header), FormatError> {
        let salt = random_bytes::<SALT_LEN>(random).map_err(|source| FormatError::Random { source })?;
        let bytes = header_bytes(options, key, &salt, options.uuid(random)?);
        let images = vec![(Bytes(0), bytes.to_vec())];
        let parsed = Luks1::parse(bytes, disk).map_err(|source| FormatError::Luks1 { source })?;
        let (meta, table) = match self.gap {
            Some(_) => (MetaState::Absent, Some(Box::new([0; TABLE_LEN]))),
            None => (MetaState::NoGap, None),
        };
        Ok((images, Header::Luks1(Box::new(Luks1 { meta, table, ..parsed }))))
    }
}

fn refuse_what_luks1_has_not(options: &FormatOptions) -> Result<(), FormatError> {
    let what = if !options.label.is_empty() {
        "label"
    } else if !options.subsystem.is_empty() {
        "subsystem label"
    } else if options.sector_size.is_some_and(|size| size != SectorSize::SMALLEST) {
        "sectors of more than 512 bytes"
    } else if options.header_size != HeaderSize::SMALLEST {
        "header of another size"
    } else if options.keyslots_size.is_some() {
        "area for key material of another size"
    } else {
        match options.kdf {
            KdfCost::Argon2 { .. } => "Argon2",
            KdfCost::Pbkdf2 { hash, .. } if hash != options.hash => "hash of its own for a slot",
            KdfCost::Pbkdf2 { .. } => return Ok(()),
        }
    };
    Err(FormatError::NotInThisVersion { what, version: Version::Luks1 })
}

fn empty_slots(key_len: u32) -> Vec<Luks1Slot> {
    let slot = |slot| {
        let material = slot_place(slot, key_len);
        Luks1Slot { active: false, iterations: 0, salt: [0; SALT_LEN], material, stripes: STRIPES }
    };
    Slot::of_luks1().map(slot).collect()
}

fn header_bytes(options: &FormatOptions, key: &VolumeKey, salt: &[u8; SALT_LEN], uuid: Uuid) -> Box<[u8; HEADER_LEN]> {
    let mut digest = [0; DIGEST_LEN];
    pbkdf2(options.hash, key.expose(), salt, LEAST_ITERATIONS, &mut digest);
    let (name, mode) = name_and_mode(options.cipher);
    // It was checked when the plan was made.
    let payload = u32::try_from(options.data_offset.0 / SECTOR).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(HEADER_LEN);
    bytes.extend(HeaderCopy::Primary.magic());
    bytes.extend(1u16.to_be_bytes());
    bytes.extend(padded::<32>(name));
    bytes.extend(padded::<32>(mode));
    bytes.extend(padded::<32>(options.hash.luks_name()));
    bytes.extend([payload, options.key_len].map(u32::to_be_bytes).concat());
    bytes.extend(digest);
    bytes.extend(salt);
    bytes.extend(LEAST_ITERATIONS.get().to_be_bytes());
    bytes.extend(padded::<40>(&uuid.to_string()));
    bytes.extend(empty_slots(options.key_len).iter().flat_map(Luks1Slot::to_bytes));
    let mut header = Box::new([0; HEADER_LEN]);
    header.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    header
}

/// dm-crypt's name up to the first hyphen, and the rest.
fn name_and_mode(cipher: Cipher) -> (&'static str, &'static str) {
    cipher.name().split_once('-').unwrap_or((cipher.name(), ""))
}

/// A text with NULs behind it. All texts are shorter than their fields.
fn padded<const N: usize>(text: &str) -> [u8; N] {
    let mut field = [0; N];
    field.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
    field
}
