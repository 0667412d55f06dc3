//! A new LUKS2 volume: what lies where, and its header without slots.

use crate::af;
use crate::allowed::DataPlace;
use crate::area::{ALIGNMENT, Area};
use crate::cipher::SectorSize;
use crate::edit_error::EditError;
use crate::format_error::FormatError;
use crate::format_options::{Fill, FormatOptions, Images, Wipe};
use crate::header::Header;
use crate::luks2::binary_header::{BinaryHeader, Identity};
use crate::luks2::digest::Pbkdf2Digest;
use crate::luks2::header::Luks2;
use crate::luks2::json::Metadata;
use crate::luks2::pair::{SealedHeader, random_salt};
use block::Bytes;
use crypto::{Random, VolumeKey};
use json::{Object, Value};
use std::fmt;

/// Most that a keyslots area may be.
const LARGEST_KEYSLOTS_AREA: u64 = 128 << 20;

/// What lies where.
#[derive(Clone, Debug)]
pub(crate) struct Luks2Layout {
    pub(crate) sector_size: SectorSize,
    keyslots_size: Bytes,
}

impl Luks2Layout {
    pub(crate) fn new(disk: Bytes, options: &FormatOptions) -> Result<Luks2Layout, FormatError> {
        let FormatOptions { key_len, data_offset, header_size, .. } = *options;
        let apart = options.data == DataPlace::OtherDisk;
        if !data_offset.is_multiple_of(ALIGNMENT) {
            return Err(FormatError::Misaligned { offset: data_offset });
        }
        let slot = (u64::from(key_len) * u64::from(af::STRIPES)).next_multiple_of(ALIGNMENT);
        let least = Bytes(header_size.both().0 + slot);
        // Also where the data is on another disk, the key material must end before the place that the data begins at there.
        let bounded = !apart || data_offset > Bytes(0);
        if bounded && data_offset < least {
            return Err(FormatError::OffsetTooSmall { offset: data_offset, least });
        }
        let end = if !apart {
            data_offset
        } else if bounded {
            disk.min(data_offset)
        } else {
            disk
        };
        let room = end.checked_sub(header_size.both()).filter(|room| room.0 >= slot);
        let room = room.ok_or(FormatError::DiskTooSmall { disk, least })?;
        let keyslots_size = keyslots_size(options, room, slot)?;
        // What suits a disk that is not seen here, the caller must say.
        let fitting = || if apart { SectorSize::SMALLEST } else { fitting_sector_size(disk, data_offset) };
        let sector_size = options.sector_size.unwrap_or_else(fitting);
        let least = data_offset.checked_add(Bytes(sector_size.bytes().into())).unwrap_or(Bytes(u64::MAX));
        if !apart && disk < least {
            return Err(FormatError::DiskTooSmall { disk, least });
        }
        if [&options.label, &options.subsystem].iter().any(|l| l.len() > 47 || l.contains('\0')) {
            return Err(FormatError::Label);
        }
        Ok(Luks2Layout { sector_size, keyslots_size })
    }

    /// The place of both copies becomes zeros, that of the key material random bytes.
    pub(crate) fn wipes(&self, options: &FormatOptions) -> Vec<Wipe> {
        let headers = options.header_size.both();
        let zeros = Area::new(Bytes(0), headers).map(|area| Wipe { area, fill: Fill::Zeros });
        let random = Area::new(headers, self.keyslots_size).map(|area| Wipe { area, fill: Fill::Random });
        zeros.into_iter().chain(random).collect()
    }

    /// A header without slots.
    pub(crate) fn empty_header(
        &self,
        options: &FormatOptions,
        disk: Bytes,
        key: &VolumeKey,
        random: &dyn Random,
    ) -> Result<(Images, Header), FormatError> {
        let sealed = self.sealed(options, key, random)?;
        let images = vec![(Bytes(0), sealed.primary_bytes), (sealed.secondary.offset, sealed.secondary_bytes)];
        let header = Luks2::of_both(sealed.primary, sealed.secondary, sealed.metadata, disk);
        Ok((images, Header::Luks2(Box::new(header))))
    }

    /// What a plan says about it.
    pub(crate) fn describe(&self, options: &FormatOptions, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (size, room) = (options.header_size.bytes(), self.keyslots_size);
        writeln!(f, "write a LUKS2 header: two copies of {size}, {room} for key material")
    }

    fn sealed(
        &self,
        options: &FormatOptions,
        key: &VolumeKey,
        random: &dyn Random,
    ) -> Result<SealedHeader, FormatError> {
        let failed = |source| FormatError::Random { source };
        let metadata = Metadata::from_document(self.document(options, key, random)?, options.header_size);
        let metadata = metadata.map_err(|source| FormatError::Metadata { source })?;
        let uuid = options.uuid(random)?;
        let FormatOptions { label, subsystem, hash, .. } = options;
        let identity = Identity { uuid, label, subsystem, checksum_hash: *hash };
        let primary = BinaryHeader::primary(options.header_size, &identity, random_salt(random).map_err(failed)?);
        let primary = primary.ok_or(FormatError::Label)?;
        let secondary = primary.other(random_salt(random).map_err(failed)?);
        SealedHeader::new(primary, secondary, metadata).ok_or_else(|| metadata_full(options))
    }

    fn document(&self, options: &FormatOptions, key: &VolumeKey, random: &dyn Random) -> Result<Value, FormatError> {
        let segment = Object::new()
            .with("type", "crypt")
            .with("offset", options.data_offset.0.to_string())
            .with("size", "dynamic")
            .with("iv_tweak", "0")
            .with("encryption", options.cipher.name())
            .with("sector_size", self.sector_size.bytes());
        let config = Object::new()
            .with("json_size", options.header_size.json_len().to_string())
            .with("keyslots_size", self.keyslots_size.0.to_string());
        let digest = Pbkdf2Digest::of(key, options.hash, random).map_err(|source| FormatError::Random { source })?;
        Ok(Object::new()
            .with("keyslots", Object::new())
            .with("tokens", Object::new())
            .with("segments", Object::new().with("0", segment))
            .with("digests", Object::new().with("0", digest.to_json(&[], &["0"])))
            .with("config", config)
            .into())
    }
}

/// The area for key material within `room`, in which at least one slot must fit.
fn keyslots_size(options: &FormatOptions, room: Bytes, slot: u64) -> Result<Bytes, FormatError> {
    let most = Bytes(room.0.min(LARGEST_KEYSLOTS_AREA) / ALIGNMENT * ALIGNMENT);
    match options.keyslots_size {
        Some(found) if !found.is_multiple_of(ALIGNMENT) || found.0 < slot || found > most => {
            Err(FormatError::KeyslotsSize { found, least: Bytes(slot), most })
        }
        Some(found) => Ok(found),
        None if options.data == DataPlace::OtherDisk && options.data_offset == Bytes(0) => {
            let usual = options.usual_end().0.saturating_sub(options.header_size.both().0);
            Ok(most.min(Bytes(usual.max(slot))))
        }
        None => Ok(most),
    }
}

fn metadata_full(options: &FormatOptions) -> FormatError {
    let size = Bytes::from(options.header_size.json_len());
    FormatError::Keyslot { source: EditError::MetadataFull { size } }
}

/// As cryptsetup chooses: whole pages where the data is made of them.
fn fitting_sector_size(disk: Bytes, data_offset: Bytes) -> SectorSize {
    match disk.checked_sub(data_offset) {
        Some(data) if data.is_multiple_of(SectorSize::LARGEST.bytes().into()) => SectorSize::LARGEST,
        _ => SectorSize::SMALLEST,
    }
}
